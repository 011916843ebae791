"""The first page that a user reads, from top to bottom: commands and Python, one after the other in one folder."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from skinseg import evaluation, training
from skinseg.cli import main
from skinseg.evaluation import bootstrap_interval

PAGE = Path(__file__).parents[1] / "docs" / "getting_started.md"
STEPS = re.findall(r"^```(console|python)\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


# what takes long on many images is run on few
FEWER = {
    "make_lesions(60,": "make_lesions(24,",
    '[:6], "six.html"': '[:2], "six.html"',
    "report photos/": "report photos/*_00[0-2].jpg",
}


def short_bootstrap(*arguments, **settings):
    return bootstrap_interval(*arguments, **{**settings, "n_resamples": 50})


def run_command(line):
    name, *arguments = line.removeprefix("$ ").split()
    assert name == "skinseg"
    result = CliRunner().invoke(main, [*arguments, "--quiet"], catch_exceptions=False)
    assert result.exit_code == 0, f"{line}\n{result.output}"


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """The folder after all steps."""
    folder = tmp_path_factory.mktemp("photos")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MPLBACKEND", "Agg")
        for module in (training, evaluation):
            patch.setattr(module, "bootstrap_interval", short_bootstrap)
        for kind, text in STEPS:
            for long, short in FEWER.items():
                text = text.replace(long, short)
            if kind == "python":
                exec(compile(text, PAGE.name, "exec"), {})
            else:
                for line in text.splitlines():
                    run_command(line)
    return folder


def test_what_is_made_fewer_is_on_the_page():
    text = "".join(text for _, text in STEPS)
    assert all(text.count(long) == 1 for long in FEWER)


def test_every_step_leaves_what_the_page_says(walked):
    photos = sorted(f"photos/{path.name}" for path in (walked / "photos").iterdir())
    assert len(photos) == 24
    assert sorted(path.name for path in (walked / "masks").iterdir()) == [
        f"{Path(photo).stem}_segmentation.png" for photo in photos
    ]
    outlines, features = pd.read_csv(walked / "outlines.csv"), pd.read_csv(walked / "features.csv")
    predictions = pd.read_csv(walked / "predictions.csv")
    assert outlines["image"].tolist() == features["image"].tolist() == predictions["image"].tolist() == photos
    assert outlines["confidence"].between(0, 1).all()
    assert features.filter(regex="_mm2?$").isna().all(axis=None)
    assert features["dimension_feret_max_px"].between(20, 400).all()
    assert features.shape[1] == 1 + 146 + 1
    assert predictions["melanoma_probability"].between(0, 1).all()
    for name in ("outlines.png", "least_certain.png", "model.skops", "tuned.skops", "report.html"):
        assert (walked / name).stat().st_size > 5000, name


def test_the_model_learnt_what_the_table_says(walked):
    predictions, table = pd.read_csv(walked / "predictions.csv"), pd.read_csv(walked / "diagnoses.csv")
    ill = table.sort_values("image")["diagnosis"].to_numpy() == "melanoma"
    found = predictions["melanoma_probability"].to_numpy()
    assert np.median(found[ill]) > np.median(found[~ill])
    assert set(predictions["decision"]) <= {0, 1}
