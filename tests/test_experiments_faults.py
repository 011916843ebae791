"""The script that puts faults into the package finds each place, and tells what is caught from what is not."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def script():
    path = ROOT / "benchmarks" / "experiments" / "deliberate_faults.py"
    spec = importlib.util.spec_from_file_location("deliberate_faults", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_fault_has_its_one_place_and_tests(script):
    assert len(script.FAULTS) >= 50
    assert {fault.file.partition("/")[0] for fault in script.FAULTS} == {"features", "metrics"}
    for fault in [*script.FAULTS, *script.NONE]:
        assert (ROOT / "skinseg" / fault.file).read_text().count(fault.old) == 1, fault
        assert all((ROOT / test).exists() for test in script.derived_for(fault)), fault
        assert (fault.old == fault.new) is (fault in script.NONE)


@pytest.mark.long
def test_a_fault_is_caught_and_none_is_not(script, tmp_path, monkeypatch):
    """By one quick test in place of all."""
    chosen = next(fault for fault in script.FAULTS if fault.what == "Dice counts the overlap once")
    tests = ["tests/metrics/test_overlap.py", "-k", "by_hand", "-p", "no:xdist"]
    for name, fault in (("fault", chosen), ("none", script.NONE[1])):
        (tmp_path / name).mkdir()
        copy = script.copy_with(fault, tmp_path / name)
        assert (ROOT / "skinseg" / fault.file).read_text().count(fault.old) == 1  # the package itself is as it was
        assert bool(script.catch(copy, tests)) is (name == "fault")


def test_a_place_that_is_gone_is_told(script, tmp_path):
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "a.py").write_text("x = 1\n")
    with pytest.raises(SystemExit, match="has 0 places 'y = 1'"):
        script.put_in(script.Fault("features/a.py", "gone", "y = 1", "y = 2"), tmp_path)
