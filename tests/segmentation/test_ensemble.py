"""Votes and means of segmenters."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline

from skinseg import (
    BatchedPipeline,
    EnsembleSegmenter,
    FrameCropper,
    ImageResizer,
    KMeansSegmenter,
    LesionImage,
    ReferenceSegmenter,
    SaliencySegmenter,
    SuperpixelSegmenter,
    ThresholdSegmenter,
)
from skinseg.exceptions import EmptyMaskWarning, ImageBatchError
from skinseg.masks import overlap_counts
from skinseg.segmentation import ChanVeseSegmenter

Y, X = np.mgrid[:90, :120]
IMAGE = np.full((90, 120, 3), (200, 170, 150), np.uint8)
IMAGE[(Y - 45) ** 2 + (X - 60) ** 2 <= 20**2] = (110, 80, 70)


class Fixed(ReferenceSegmenter):
    """Outlines the columns up to a limit."""

    def __init__(self, limit=50, *, n_jobs=None, verbose=0, on_error="raise"):
        super().__init__(n_jobs=n_jobs, verbose=verbose, on_error=on_error)
        self.limit = limit

    _parameter_constraints = {**ReferenceSegmenter._parameter_constraints, "limit": [int]}  # noqa: RUF012

    def _segment(self, record):
        return np.broadcast_to(np.arange(record.shape[1]) < self.limit, record.shape).copy()


def fixed(*limits, **kwargs):
    members = [(f"m{index}", Fixed(limit)) for index, limit in enumerate(limits)]
    return EnsembleSegmenter(members, component="all", **kwargs)


def columns(mask):
    return int(mask[45].sum())


@pytest.mark.parametrize(
    ("limits", "weights", "expected"),
    [
        ((30, 60, 90), None, 60),
        ((30, 90), None, 90),  # half of the votes are enough
        ((30, 60, 90), [3, 1, 1], 30),
        ((30, 60, 90), [1, 1, 3], 90),
        ((30, 60, 90), [0, 0, 1], 90),
        ((20, 40, 60, 80, 100, 110), None, 80),
    ],
)
def test_majority(limits, weights, expected):
    (mask,) = fixed(*limits, weights=weights).predict([IMAGE])
    assert columns(mask) == expected


def test_votes_are_the_probabilities():
    (probability,) = fixed(30, 60, 90).predict_proba([IMAGE])
    np.testing.assert_allclose(probability[45, [0, 40, 70, 100]], [1, 2 / 3, 1 / 3, 0], atol=1e-6)


def test_soft_voting_takes_the_mean_of_probabilities():
    members = [("saliency", SaliencySegmenter()), ("threshold", ThresholdSegmenter())]
    soft = EnsembleSegmenter(members, voting="soft", working_size=192).predict_proba([IMAGE])[0]
    expected = (SaliencySegmenter().predict_proba([IMAGE])[0] + ThresholdSegmenter().predict([IMAGE])[0]) / 2
    np.testing.assert_allclose(soft, expected, atol=1e-5)


def test_confidence_is_the_agreement():
    (record,) = fixed(60, 60, 60).transform([IMAGE])
    assert record.confidence == 1
    (record,) = fixed(30, 60, 60).transform([IMAGE])
    assert record.confidence == pytest.approx((30 + 30 * 2 / 3) / 60)


def test_default_members_are_those_documented():
    ensemble = EnsembleSegmenter().fit([IMAGE])
    kinds = [type(member) for _, member in ensemble.segmenters_]
    assert kinds == [ThresholdSegmenter, SaliencySegmenter, ChanVeseSegmenter]
    assert set(ensemble.named_segmenters_) == {"threshold", "saliency", "chan_vese"}
    np.testing.assert_array_equal(ensemble.predict([IMAGE])[0], EnsembleSegmenter().predict([IMAGE])[0])


def test_members_are_cloned_and_set_by_name():
    member = ThresholdSegmenter()
    ensemble = EnsembleSegmenter([("a", member), ("b", KMeansSegmenter())]).fit([IMAGE])
    assert ensemble.named_segmenters_["a"] is not member
    ensemble.set_params(a__method="li", b=SaliencySegmenter())
    assert member.method == "li"
    assert ensemble.get_params()["a__method"] == "li"
    assert isinstance(ensemble.segmenters[1][1], SaliencySegmenter)


def test_members_that_learn_are_fitted(lesions):
    learns = SuperpixelSegmenter(60, max_iter=5, random_state=0)
    ensemble = EnsembleSegmenter([("t", ThresholdSegmenter()), ("s", learns)]).fit(lesions.images, lesions.masks)
    assert ensemble.named_segmenters_["s"].n_regions_ > 100
    assert ensemble.score(lesions.images, lesions.masks) > 0.7
    frozen = FrozenEstimator(learns.fit(lesions.images, lesions.masks))
    fixed_one = EnsembleSegmenter([("t", ThresholdSegmenter()), ("s", frozen)]).fit(lesions.images)
    assert fixed_one.named_segmenters_["s"] is frozen
    for a, b in zip(ensemble.predict(lesions.images), fixed_one.predict(lesions.images), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="needs a reference mask for every image"):
        EnsembleSegmenter([("s", SuperpixelSegmenter(60, max_iter=5))]).fit(lesions.images)


def test_grid_search_and_batches(lesions):
    grid = {"a__offset": [0.0, 0.2], "voting": ["hard", "soft"], "b": [KMeansSegmenter(3), SaliencySegmenter()]}
    ensemble = EnsembleSegmenter([("a", ThresholdSegmenter()), ("b", KMeansSegmenter())])
    search = GridSearchCV(ensemble, grid, cv=KFold(2), n_jobs=1)
    search.fit(lesions.images[:6], lesions.masks[:6])
    assert search.best_score_ > 0.6
    masks = BatchedPipeline([("segmenter", ensemble)], batch_size=3).fit(lesions.images).predict(lesions.images)
    for a, b in zip(masks, ensemble.predict(lesions.images), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("members", "kind", "words"),
    [
        ([], ValueError, "at least one segmenter"),
        ([ThresholdSegmenter()], ValueError, r"\(name, segmenter\) pairs"),
        ([("a", ThresholdSegmenter)], TypeError, "member 'a'.*must be a segmenter"),
        ([("a", "passthrough")], TypeError, "member 'a'.*must be a segmenter"),
        ([("a", ThresholdSegmenter()), ("a", KMeansSegmenter())], ValueError, "not unique"),
        ([("a__b", ThresholdSegmenter())], ValueError, "must not contain __"),
    ],
)
def test_bad_members(members, kind, words):
    with pytest.raises(kind, match=words):
        EnsembleSegmenter(members).fit([IMAGE])


@pytest.mark.parametrize("weights", [[1], [1, -1], [0, 0], [np.nan, 1]])
def test_bad_weights(weights):
    with pytest.raises(ValueError, match="'weights' parameter of EnsembleSegmenter must be 2 numbers"):
        fixed(30, 60, weights=weights).fit([IMAGE])


def test_an_error_of_a_member_names_it():
    ensemble = EnsembleSegmenter([("refine", ChanVeseSegmenter(start="mask"))])
    with pytest.raises(ImageBatchError, match=r"X\[0\] \(wall\): refine: start='mask'"):
        ensemble.predict([LesionImage(IMAGE, name="wall")])


def test_a_pipeline_as_member_answers_in_the_right_place():
    framed = IMAGE.copy()
    framed[:, :25] = 0
    plain = EnsembleSegmenter([("a", ThresholdSegmenter())]).fit([framed]).predict([framed])[0]
    members = [
        ("resized", make_pipeline(ImageResizer(64), ThresholdSegmenter())),
        ("cropped", make_pipeline(FrameCropper(), ThresholdSegmenter())),
        ("batched", BatchedPipeline([("crop", FrameCropper()), ("seg", ThresholdSegmenter())])),
    ]
    for member in members:
        (mask,) = EnsembleSegmenter([member]).fit([framed]).predict([framed])
        assert overlap_counts(plain, mask).jaccard > 0.85, member[0]


def test_members_and_weights_are_checked_without_a_fit_too():
    with pytest.raises(ValueError, match="'offset' parameter of ThresholdSegmenter"):
        EnsembleSegmenter([("t", ThresholdSegmenter(offset=5))]).predict([IMAGE])
    with pytest.raises(ValueError, match="'weights' parameter of EnsembleSegmenter must be 2 numbers"):
        fixed(30, 60, weights=["a", "b"]).predict([IMAGE])
    with pytest.raises(ValueError, match=r"\(name, segmenter\) pairs"):
        EnsembleSegmenter([5]).predict([IMAGE])
    (mask,) = fixed(30, 60, 90, weights=[1e308] * 3).predict([IMAGE])
    assert columns(mask) == 60


def test_an_empty_outline_has_no_confidence():
    with pytest.warns(EmptyMaskWarning):
        (record,) = EnsembleSegmenter().transform([np.full((40, 50, 3), 90, np.uint8)])
    assert record.confidence == 0


def test_a_broken_file_is_left_out_of_learning(lesions, broken_files):
    images, masks = [*lesions.images, broken_files / "cut.jpg"], [*lesions.masks, np.ones((150, 200), bool)]
    members = [("s", SuperpixelSegmenter(60, max_iter=5, random_state=0))]
    with pytest.raises(ImageBatchError, match="cut"):
        EnsembleSegmenter(members).fit(images, masks)
    assert list(EnsembleSegmenter(members, on_error="nan").fit(images, masks).errors_) == [16]
