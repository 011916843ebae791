"""Scores of masks against values derived by hand."""

import pickle
import re
from inspect import signature
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score

from skinseg import LesionImage, ThresholdSegmenter, metrics

TRUE = [np.array([[1, 1, 0, 0]], bool), np.array([[1, 1], [0, 0], [0, 0]], bool)]
PRED = [np.array([[1, 0, 1, 0]], bool), np.array([[1, 1], [1, 1], [0, 0]], bool)]
# tp, fp, fn, tn: 1, 1, 1, 1 and 2, 2, 0, 2; pooled 3, 3, 1, 3
EXPECTED = {
    "jaccard_score": ([1 / 3, 1 / 2], 3 / 7),
    "dice_score": ([1 / 2, 2 / 3], 6 / 10),
    "sensitivity_score": ([1 / 2, 1], 3 / 4),
    "specificity_score": ([1 / 2, 1 / 2], 3 / 6),
    "accuracy_score": ([1 / 2, 4 / 6], 6 / 10),
    "thresholded_jaccard_score": ([0, 0], 0),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_scores_by_hand(name):
    each, pooled = EXPECTED[name]
    score = getattr(metrics, name)
    np.testing.assert_allclose(score(TRUE, PRED, average=None), each)
    assert score(TRUE, PRED) == pytest.approx(np.mean(each))
    assert score(TRUE, PRED, average="pooled") == pytest.approx(pooled)


def test_threshold_of_the_thresholded_jaccard():
    true, pred = [np.ones((1, 100), bool)], [np.arange(100)[None] < 65]
    assert metrics.thresholded_jaccard_score(true, pred) == 0.65
    assert metrics.thresholded_jaccard_score(true, pred, threshold=0.66) == 0


def test_empty_masks():
    empty, full = [np.zeros((2, 2), bool)], [np.ones((2, 2), bool)]
    assert metrics.jaccard_score(empty, empty) == metrics.dice_score(empty, empty) == 1
    assert metrics.jaccard_score(empty, full) == metrics.jaccard_score(full, empty) == 0
    assert metrics.sensitivity_score(empty, empty) == metrics.specificity_score(full, full) == 1


def test_masks_may_be_files_and_of_other_types(tmp_path):
    path = tmp_path / "m.png"
    cv2.imwrite(str(path), TRUE[0].astype(np.uint8) * 255)
    assert metrics.jaccard_score([path], [TRUE[0].astype(np.uint8)]) == 1
    assert metrics.jaccard_score([TRUE[0] * 1.0], np.array([TRUE[0]])) == 1


@pytest.mark.parametrize(
    ("y_true", "y_pred", "words"),
    [
        (TRUE, PRED[:1], "2 masks and y_pred 1"),
        ([], [], "empty"),
        (TRUE[:1], PRED[1:], r"mask 0: .*\(1, 4\) and \(3, 2\)"),
        (TRUE, ["a.png", "b.png"], "y_pred.*pathlib.Path"),
        (TRUE, [None, None], "y_pred has no mask"),
        ([Path("no.png")], PRED[:1], "does not exist"),
    ],
)
def test_bad_masks(y_true, y_pred, words):
    with pytest.raises(ValueError, match=words):
        metrics.jaccard_score(y_true, y_pred)


def test_unknown_average():
    with pytest.raises(ValueError, match="'mean', 'pooled' or None"):
        metrics.dice_score(TRUE, PRED, average="macro")


def test_scorers(lesions):
    images, masks = lesions.images[:6], lesions.masks[:6]
    segmenter = ThresholdSegmenter()
    direct = metrics.dice_score(masks, segmenter.predict(images))
    assert metrics.get_mask_scorer("dice")(segmenter, images, masks) == direct
    records = [LesionImage(image, reference_mask=mask) for image, mask in zip(images, masks, strict=True)]
    assert metrics.get_mask_scorer("dice")(segmenter, records) == direct
    with pytest.raises(ValueError, match="reference_mask"):
        metrics.get_mask_scorer("dice")(segmenter, images)
    with pytest.raises(ValueError, match="one of"):
        metrics.get_mask_scorer("iou")
    pooled = metrics.get_mask_scorer("jaccard", average="pooled")
    assert repr(pooled) == "MaskScorer('jaccard', average='pooled')"
    assert cross_val_score(segmenter, images, masks, cv=2, scoring=pooled).shape == (2,)
    assert cross_val_score(segmenter, records, cv=2, scoring=pooled).shape == (2,)


SCORERS = {
    name: name.removesuffix("_score") for name in metrics.__all__ if name in EXPECTED or name == "boundary_f1_score"
} | {name: f"neg_{name}" for name in ("hausdorff_distance", "average_symmetric_surface_distance")}


def test_every_score_of_masks_has_a_scorer():
    of_masks = {name for name in metrics.__all__ if "y_pred" in signature(getattr(metrics, name)).parameters}
    assert of_masks - {"mask_scores"} == SCORERS.keys()
    with pytest.raises(ValueError, match="one of") as error:
        metrics.get_mask_scorer("")
    assert set(re.findall("'(.+?)'", str(error.value))) == set(SCORERS.values())


@pytest.mark.parametrize("name", SCORERS)
def test_scorers_in_cross_validation_and_searches(lesions, name):
    images, masks = lesions.images[:6], lesions.masks[:6]
    scorer = metrics.get_mask_scorer(SCORERS[name])
    segmenter = ThresholdSegmenter()
    scores = cross_val_score(segmenter, images, masks, cv=KFold(2), scoring=scorer)
    sign = -1 if SCORERS[name].startswith("neg_") else 1
    expected = [sign * getattr(metrics, name)(half, segmenter.predict(part))
                for part, half in ((images[:3], masks[:3]), (images[3:], masks[3:]))]  # fmt: skip
    np.testing.assert_allclose(scores, expected)
    search = GridSearchCV(segmenter, {"offset": [0.9, 0.3]}, cv=KFold(2), scoring=scorer).fit(images, masks)
    best = {"offset": 0.3 if np.mean(expected) > search.cv_results_["mean_test_score"][0] else 0.9}
    if name not in ("sensitivity_score", "specificity_score"):
        assert best == {"offset": 0.3}
    assert search.best_params_ == best
    assert pickle.loads(pickle.dumps(scorer))(segmenter, images, masks) == scorer(segmenter, images, masks)


@pytest.mark.parametrize(
    ("name", "arguments", "error", "words"),
    [
        ("dice", {"threshold": 1}, TypeError, "dice has no argument threshold; it has average"),
        ("jaccard", {"average": None}, ValueError, "'mean' or 'pooled' in a scorer, got None"),
        ("boundary_f1", {"tolerance": 3}, ValueError, "normalize=None for pixels"),
        ("neg_hausdorff_distance", {"percentile": 0}, ValueError, "percentile must be above 0"),
        ("neg_hausdorff_distance", {"pixel_size": [0.1]}, ValueError, "one number in a scorer"),
    ],
)
def test_arguments_of_a_scorer_are_checked_at_once(name, arguments, error, words):
    with pytest.raises(error, match=words):
        metrics.get_mask_scorer(name, **arguments)


def test_scorers_pass_arguments_through(lesions):
    images, masks = lesions.images[:4], lesions.masks[:4]
    predicted = ThresholdSegmenter().predict(images)
    arguments = {"percentile": 100, "average": "pooled", "normalize": "diagonal", "directed": "pooled"}
    scorer = metrics.get_mask_scorer("neg_hausdorff_distance", **arguments)
    assert scorer(ThresholdSegmenter(), images, masks) == -metrics.hausdorff_distance(masks, predicted, **arguments)
    scorer = metrics.get_mask_scorer("thresholded_jaccard", threshold=0.99)
    assert scorer(ThresholdSegmenter(), images, masks) == 0


def test_an_image_that_failed_is_as_far_off_as_can_be(broken_files):
    """Half of the diagonal on average, where the other mask is found: 250 pixels for 150 by 200."""
    good = broken_files / "good.jpg"
    segmenter = ThresholdSegmenter(on_error="nan")
    truth = [segmenter.predict([good])[0], np.ones((150, 200), bool)]
    scorer = metrics.get_mask_scorer("neg_hausdorff_distance")
    assert scorer(segmenter, [good, broken_files / "cut.jpg"], truth) == -125


def test_an_image_that_failed_scores_as_an_empty_mask(lesions, broken_files):
    good = broken_files / "good.jpg"
    mask = np.ones((150, 200), bool)
    segmenter = ThresholdSegmenter(on_error="nan")
    # the header of the cut file is in order, its pixels are not
    scores = metrics.get_mask_scorer("jaccard")(segmenter, [good, broken_files / "cut.jpg"], [lesions.masks[0], mask])
    assert scores == pytest.approx(metrics.jaccard_score(lesions.masks[:1], segmenter.predict([good])) / 2)
    assert segmenter.score([broken_files / "cut.jpg"], [mask]) == 0


def test_grid_search_over_masks(lesions):
    search = GridSearchCV(
        ThresholdSegmenter(), {"method": ["otsu", "mean"]}, cv=2, scoring=metrics.get_mask_scorer("jaccard"), n_jobs=2
    )
    search.fit(lesions.images, lesions.masks)
    assert search.best_params_["method"] in ("otsu", "mean")
    assert search.predict(lesions.images[:1])[0].shape == lesions.masks[0].shape


def test_a_failed_prediction_is_not_to_be_left_out():
    mask = np.ones((3, 4), bool)
    with pytest.raises(ValueError, match=r"no mask \(None\) for 1 of 2 images: \[1\].*counts as an empty mask"):
        metrics.dice_score([mask, mask], [mask, None])
