import time

import property_budget
import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Write a row of the table when a property has run."""
    report = yield
    if report.when == "setup":
        property_budget.counted.update(examples=0, since=time.process_time())
    elif report.when == "call" and not report.skipped:
        spent = time.process_time() - property_budget.counted["since"]
        property_budget.write_row(item.nodeid.partition("properties/")[2], report.failed, spent)
    return report


@pytest.fixture(scope="session")
def scratch(tmp_path_factory):
    """A folder for the files of all examples: each writes over those of the last."""
    return tmp_path_factory.mktemp("examples")
