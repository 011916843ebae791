"""The script that opens a report in a browser, on a few drawn lesions."""

import importlib.util
import re
import shutil
import sys
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="no browser tests without playwright")

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "experiments" / "report_in_browser.py"


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("report_in_browser", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not any(map(shutil.which, module.BROWSERS)):
        pytest.skip("there is no Chromium to open the report in")
    return module


def test_report_is_written_opened_and_timed(script, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--synthetic", "--number", "2", "--out", str(tmp_path)])
    script.main()
    text = capsys.readouterr().out
    assert re.search(r"^2 images, 0 failed, 0 without a lesion: \d+ s with 1 jobs, 0\.\d MB$", text, re.MULTILINE)
    for name in ("desktop", "phone", "dark"):
        assert re.search(
            rf"^{name}: open .* s, sort .*, card .* s; 0 pixels too wide; console: nothing$", text, re.MULTILINE
        )
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    assert (tmp_path / "report.html").is_file()
