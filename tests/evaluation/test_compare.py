"""Two experiments compared, image by image."""

import cv2
import numpy as np
import pandas as pd
import pytest

from skinseg import SaliencySegmenter, ThresholdSegmenter
from skinseg.evaluation import compare_experiments, load_experiment, paired_bootstrap, run_experiment

QUICK = {"n_resamples": 50, "check_duplicates": False, "group_column": "lesion"}


@pytest.fixture(scope="module")
def folders(lesion_files, tmp_path_factory):
    """Two segmenters in one folder, one of them on some of the images in another, and probabilities in two more."""
    out = tmp_path_factory.mktemp("compared")
    frame = pd.read_csv(lesion_files / "lesions.csv")
    models = {"li": ThresholdSegmenter("li"), "saliency": SaliencySegmenter()}
    options = {"mask_column": "mask", "target_column": "target", **QUICK}
    run_experiment(models, lesion_files / "lesions.csv", out / "both", masks=True, **options)
    frame.iloc[4:].to_csv(lesion_files / "some.csv", index=False)
    run_experiment({"li": ThresholdSegmenter("li", margin=0.2)}, lesion_files / "some.csv", out / "some", **options)
    return out


def test_two_models_of_one_experiment(folders, tmp_path):
    both = load_experiment(folders / "both")
    found = compare_experiments(both, both, tmp_path / "out", first_model="li", second_model="saliency", seed=1)
    scores = both.scores.set_index("name")
    li, saliency = (scores[scores["model"] == name] for name in ("li", "saliency"))
    expected = paired_bootstrap(
        np.mean, None, li["jaccard"], saliency["jaccard"], groups=li["group"].to_numpy(), random_state=1
    )
    row = found.scores.set_index("score").loc["jaccard"]
    assert row[["difference", "low", "high", "p_value"]].tolist() == pytest.approx(list(expected))
    assert (row["first"], row["second"]) == pytest.approx((li["jaccard"].mean(), saliency["jaccard"].mean()))
    gaps = (li["jaccard"] - saliency["jaccard"]).loc[found.images["name"]]
    np.testing.assert_allclose(found.images["difference"], gaps)
    assert found.images["difference"].abs().is_monotonic_decreasing
    assert found.names == ("li", "saliency")
    sexes = found.subgroups[found.subgroups["subgroup"] == "Sex"].set_index("level")["images"]
    assert sexes.sum() == 16
    assert sexes["not known"] == 1
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"compare.md", "compare.html", "compare_scores.csv", "compare_images.csv", "compare_subgroups.csv"}
    html = (tmp_path / "out" / "compare.html").read_text()
    assert html.count("data:image/jpeg") == 12
    assert "white: saliency" in html  # the masks were kept
    text = (tmp_path / "out" / "compare.md").read_text()
    assert f"| {found.images['name'][0]} |" in text
    assert "li minus saliency, on 16 images" in str(found)


def test_images_of_one_only_are_left_out_and_named(folders):
    found = compare_experiments(folders / "both", folders / "some")
    assert found.only_first == ["a00", "a01", "a02", "a03"]
    assert found.only_second == []
    assert len(found.images) == 12
    assert found.names == ("li (both)", "li (some)")
    assert "4 images left out: scored by li (both) only" in str(found)
    turned = compare_experiments(folders / "some", folders / "both")
    np.testing.assert_allclose(turned.scores["difference"], -found.scores["difference"])
    assert turned.only_second == found.only_first


def test_the_same_twice(folders, tmp_path):
    found = compare_experiments(folders / "some", folders / "some", tmp_path)
    assert (found.scores["difference"] == 0).all()
    assert (found.scores["p_value"] == 1).all()
    assert found.names == ("li (first)", "li (second)")
    assert "All images are scored alike." in (tmp_path / "compare.md").read_text()


def test_images_that_changed_are_left_out(folders, lesion_files, tmp_path):
    frame = pd.read_csv(lesion_files / "lesions.csv").head(8)
    for name in [*frame["image"], *frame["mask"]]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((lesion_files / name).read_bytes())
    cv2.imwrite(str(tmp_path / frame["mask"][2]), 255 - cv2.imread(str(tmp_path / frame["mask"][2])))
    frame.to_csv(tmp_path / "t.csv", index=False)
    run_experiment("threshold", tmp_path / "t.csv", tmp_path / "out", mask_column="mask", **QUICK)
    found = compare_experiments(folders / "both", tmp_path / "out", first_model="li")
    assert found.changed == ["a02"]
    assert len(found.images) == 7
    assert found.names == ("li", "threshold")


def test_bad_calls(folders, lesion_files, tmp_path):
    with pytest.raises(ValueError, match=r"has several models \(li, saliency\); say which one .*first_model"):
        compare_experiments(folders / "both", folders / "both")
    with pytest.raises(ValueError, match="has no model 'otsu'; it has li"):
        compare_experiments(folders / "some", folders / "both", first_model="otsu")
    with pytest.raises(FileNotFoundError, match="holds no experiment"):
        compare_experiments(folders, folders)
    pd.read_csv(lesion_files / "lesions.csv").head(4).to_csv(lesion_files / "four.csv", index=False)
    run_experiment("threshold", lesion_files / "four.csv", tmp_path / "four", mask_column="mask", **QUICK)
    few = str(compare_experiments(tmp_path / "four", folders / "both", second_model="li"))
    assert "difference +" in few  # four images of two groups: no interval, and no word of it
    assert "nan" not in few
    with pytest.raises(ValueError, match="no image in common"):
        compare_experiments(tmp_path / "four", folders / "some")
