"""What must hold of the tests themselves: skips have listed reasons, warnings are errors."""

import csv
import re
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SETTINGS = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]

pytest_plugins = ["pytester"]


def rows():
    with open(HERE / "listed_skips.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def reasons_of_the_tests():
    """Texts of all skips that are written down in the tests."""
    for path in HERE.rglob("*.py"):
        if path.name == Path(__file__).name:
            continue
        text = path.read_text()
        yield from re.findall(r"skipif\([^@]*?reason=f?\"([^\"]+)\"", text, re.DOTALL)
        yield from re.findall(r"pytest\.skip\(f?\"([^\"]+)\"", text)
        yield from re.findall(r"pytest\.mark\.skip\(reason=f?\"([^\"]+)\"", text)
        for module, rest in re.findall(r"importorskip\(\s*\"([\w.]+)\"([^)]*)", text):
            own = re.search(r"reason=\"([^\"]+)\"", rest)
            yield own[1] if own else f"could not import '{module.partition('.')[0]}'"


def test_every_skip_has_a_listed_reason(pytestconfig):
    allows = pytestconfig.pluginmanager.get_plugin("listed skips").allows
    found = set(reasons_of_the_tests())
    assert len(found) > 12
    assert [reason for reason in sorted(found) if not allows(reason)] == []


def test_every_listed_reason_is_one_of_a_test():
    found = {*reasons_of_the_tests(), "SCIPY_ARRAY_API is not set"}  # of scikit-learn's own checks
    for row in rows():
        assert any(re.match(row["reason"], reason) for reason in found), row["reason"]
        assert row["why"]


@pytest.mark.parametrize(("reason", "fails"), [("no idea", True), ("there is no SIGKILL", False)])
def test_a_run_with_another_skip_fails(pytester, reason, fails):
    for name in ("conftest.py", "listed_skips.csv"):
        (pytester.path / name).write_text((HERE / name).read_text())
    pytester.makepyfile(
        f"""
        import pytest

        def test_right():
            assert True

        @pytest.mark.skip(reason={reason!r})
        def test_skipped():
            pass
        """
    )
    result = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider")
    assert result.ret == int(fails)
    assert ("THAT IS NOT IN listed_skips.csv" in result.stdout.str()) is fails


def test_warnings_are_errors_but_for_listed_ones():
    first, *others = SETTINGS["filterwarnings"]
    assert first == "error"
    assert others == ["ignore:A worker stopped while some jobs were given to the executor:UserWarning"]
    assert SETTINGS["xfail_strict"]
