"""What all segmenters without training promise, and what each of them does its own way."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skinseg import (
    ChanVeseSegmenter,
    EnsembleSegmenter,
    FrameCropper,
    GrabCutSegmenter,
    ImageResizer,
    KMeansSegmenter,
    LesionImage,
    ReferenceSegmenter,
    SaliencySegmenter,
    ThresholdSegmenter,
)
from skinseg.exceptions import EmptyMaskWarning, ImageBatchError
from skinseg.masks import overlap_counts
from skinseg.segmentation import lesion_saliency, segment_chan_vese, segment_grabcut, segment_kmeans, segment_threshold

Y, X = np.mgrid[:150, :200]
DISC = (Y - 75) ** 2 + (X - 100) ** 2 <= 30**2
SEGMENTERS = [
    ChanVeseSegmenter(),
    EnsembleSegmenter(),
    GrabCutSegmenter(),
    KMeansSegmenter(),
    SaliencySegmenter(),
    ThresholdSegmenter(),
]
every_segmenter = pytest.mark.parametrize("segmenter", SEGMENTERS, ids=lambda s: type(s).__name__)


def disc_image(skin=(200, 170, 150), lesion=(110, 80, 70), noise=3):
    image = np.full((150, 200, 3), skin, np.float32)
    image[DISC] = lesion
    image += np.random.default_rng(0).normal(0, noise, image.shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def overlap(segmenter, image):
    return overlap_counts(DISC, segmenter.predict([image])[0]).jaccard


@every_segmenter
def test_a_disc_is_found(segmenter):
    assert overlap(segmenter, disc_image()) > 0.85


@every_segmenter
def test_black_corners_are_not_the_lesion(segmenter):
    image = disc_image()
    image[np.hypot(Y - 75, X - 100) > 85] = 0
    assert overlap(segmenter, image) > 0.8
    assert overlap(make_pipeline(FrameCropper(), segmenter).fit([image]), image) > 0.8


@every_segmenter
def test_shading_is_not_the_lesion(segmenter):
    shaded = np.clip(disc_image() * (0.55 + 0.45 * X / 200)[..., None], 0, 255).astype(np.uint8)
    assert overlap(segmenter, shaded) > 0.75


@every_segmenter
def test_dark_hairs_are_not_the_lesion(segmenter):
    image = disc_image()
    for row in (20, 40, 110, 130):
        image[row : row + 2] = 30
    assert overlap(segmenter, image) > 0.8


@every_segmenter
def test_a_sticker_is_not_the_lesion(segmenter):
    image = disc_image()
    image[np.hypot(Y - 20, X - 195) < 45] = (0, 90, 180)
    assert overlap(segmenter, image) > 0.8


@every_segmenter
def test_a_given_field_is_respected(segmenter):
    field = X > 60
    found = segmenter.transform([LesionImage(disc_image(), field=field)])[0]
    assert found.mask.any()
    assert not (found.mask & ~field).any()
    np.testing.assert_array_equal(found.field, field)


@every_segmenter
def test_a_field_without_a_pixel_gives_an_empty_mask(segmenter):
    record = LesionImage(disc_image(), field=np.zeros(DISC.shape, bool))
    with pytest.warns(EmptyMaskWarning):
        assert not segmenter.predict([record])[0].any()


@every_segmenter
@pytest.mark.parametrize("value", [0, 128, 255])
def test_one_color_gives_an_empty_mask_and_a_warning(segmenter, value):
    with pytest.warns(EmptyMaskWarning, match="no lesion in 1 of 1 images"):
        (mask,) = segmenter.predict([np.full((40, 50, 3), value, np.uint8)])
    assert mask.shape == (40, 50)
    assert not mask.any()


@every_segmenter
def test_fallback_instead_of_an_empty_mask(segmenter):
    with pytest.warns(EmptyMaskWarning, match="a disc in the middle stands in"):
        (mask,) = clone(segmenter).set_params(fallback="disc").predict([np.full((80, 100, 3), 128, np.uint8)])
    assert mask.mean() == pytest.approx(1 / 8, rel=0.1)


@every_segmenter
def test_a_lesion_that_fills_the_image_gives_a_result(segmenter):
    rng = np.random.default_rng(0)
    image = np.clip(rng.normal((100, 70, 55), 12, (150, 200, 3)), 0, 255).astype(np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyMaskWarning)  # nothing stands out of it, or some of it does
        (record,) = segmenter.transform([image])
    assert record.error is None
    assert record.mask.shape == (150, 200)


@every_segmenter
def test_a_faint_and_a_light_lesion_are_found(segmenter):
    assert overlap(segmenter, disc_image(lesion=(185, 150, 128), noise=1)) > 0.7


@pytest.mark.parametrize("lesion", [(225, 200, 195), (205, 130, 130)], ids=["lighter", "redder"])
def test_saliency_finds_what_is_no_darker(lesion):
    assert overlap(SaliencySegmenter(), disc_image(lesion=lesion, noise=1)) > 0.8


@every_segmenter
def test_large_images_are_segmented_at_the_working_size(segmenter):
    large = np.kron(disc_image(noise=0), np.ones((6, 6, 1), np.uint8))
    small, big = segmenter.predict([disc_image(noise=0), large])
    assert big.shape == (900, 1200)
    assert overlap_counts(small, big[3::6, 3::6]).jaccard > 0.93


@every_segmenter
def test_predictions_come_in_the_frame_of_the_user(segmenter):
    pipe = make_pipeline(ImageResizer(96), segmenter).fit([disc_image()])
    (mask,) = pipe.predict([disc_image()])
    assert mask.shape == DISC.shape
    assert overlap_counts(DISC, mask).jaccard > 0.8


@every_segmenter
def test_synthetic_lesions(segmenter, lesions):
    assert segmenter.score(lesions.images, lesions.masks) > 0.7


@pytest.mark.parametrize("segmenter", [SaliencySegmenter(), EnsembleSegmenter()], ids=lambda s: type(s).__name__)
def test_probabilities(segmenter):
    image = disc_image()
    (probability,) = segmenter.predict_proba([image])
    assert probability.shape == DISC.shape
    assert probability.dtype == np.float32
    assert probability[75, 100] > 0.9
    assert probability[5, 5] < 0.1
    with pytest.warns(EmptyMaskWarning):
        (blank,) = segmenter.predict_proba([np.full((30, 40, 3), 99, np.uint8)])
    assert (blank == 0).all()


@pytest.mark.parametrize("segmenter", [ThresholdSegmenter(), KMeansSegmenter()], ids=lambda s: type(s).__name__)
def test_no_probabilities_where_there_are_none(segmenter):
    assert not hasattr(segmenter, "predict_proba")


@pytest.mark.parametrize("function", [segment_chan_vese, segment_grabcut, segment_kmeans, lesion_saliency])
def test_functions_on_one_image(function):
    found = function(disc_image()) >= 0.5
    assert found.shape == DISC.shape
    assert overlap_counts(DISC, found).jaccard > 0.75
    for shape in ((1, 1), (1, 7), (2, 500), (40, 50)):
        assert not (function(np.full((*shape, 3), 77, np.uint8)) > 0).any()


@pytest.mark.parametrize("function", [segment_chan_vese, segment_grabcut])
def test_outlines_move_from_a_start_to_the_edge(function):
    for radius in (24, 34):
        start = radius**2 >= (Y - 75) ** 2 + (X - 100) ** 2
        moved = function(disc_image(), start)
        assert overlap_counts(DISC, moved).jaccard > max(0.85, overlap_counts(DISC, start).jaccard)
    assert not function(disc_image(), np.zeros_like(DISC)).any()


@pytest.mark.parametrize("kind", [ChanVeseSegmenter, GrabCutSegmenter])
def test_a_mask_of_the_record_is_refined(kind):
    coarse = (np.abs(Y - 75) < 27) & (np.abs(X - 100) < 27)
    record = LesionImage(disc_image(), mask=coarse)
    found = kind(start="mask", margin=0).predict([record])[0]
    assert overlap_counts(DISC, found).jaccard > overlap_counts(DISC, coarse).jaccard
    pipe = make_pipeline(ThresholdSegmenter(), kind(start="mask")).fit([disc_image()])
    assert overlap(pipe, disc_image()) > 0.75
    with pytest.raises(ImageBatchError, match=r"start='mask'.*none"):
        kind(start="mask").predict([disc_image()])


@pytest.mark.parametrize("smoothing", [1, 3])
def test_chan_vese_depends_on_nothing_but_the_image(smoothing):
    """An odd number of smoothings leaves no turn behind for the next image."""
    segmenter = ChanVeseSegmenter(n_iterations=5, contour_smoothing=smoothing)
    first, second, third = segmenter.predict([disc_image(noise=30)] * 3)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, third)


def test_fallback_is_marked():
    blank = np.full((80, 100, 3), 128, np.uint8)
    segmenter = ThresholdSegmenter(fallback="disc")
    with pytest.warns(EmptyMaskWarning, match="a disc in the middle stands in, with a confidence of 0"):
        found, good = segmenter.transform([blank, disc_image()])
    assert found.confidence == 0
    assert good.confidence is None


def test_confidence_of_an_earlier_step_does_not_stay():
    record = LesionImage(disc_image(), confidence=0.3, reference_mask=DISC)
    for segmenter in (ThresholdSegmenter(), ReferenceSegmenter()):
        assert segmenter.transform([record])[0].confidence is None


def test_functions_name_what_is_wrong():
    with pytest.raises(ValueError, match=r"channel one of .*'blu'"):
        segment_threshold(disc_image(), channel="blu")
    with pytest.raises(ValueError, match=r"method must be one of .*'foo'"):
        segment_threshold(disc_image(), method="foo")
    with pytest.raises(ValueError, match="n_clusters must be at least 2"):
        segment_kmeans(disc_image(), n_clusters=0)
    with pytest.raises(ValueError, match=r"the field has the size \(3, 4\)"):
        segment_threshold(disc_image(), field=np.ones((3, 4), bool))
    with pytest.raises(ValueError, match=r"the start has the size \(3, 4\)"):
        segment_grabcut(disc_image(), np.ones((3, 4), bool))
    field = np.where(X > 60, 255, 0).astype(np.uint8)
    assert not segment_threshold(disc_image(), field=field)[X <= 60].any()


def test_weights_that_vanish_do_not_matter():
    record = LesionImage(disc_image(), field=X < 30)
    with pytest.warns(EmptyMaskWarning):
        ThresholdSegmenter(centering=0.05).predict([np.full((2, 200, 3), 90, np.uint8)])
    for kind in (ThresholdSegmenter, SaliencySegmenter):
        (found,) = kind(centering=0.05).transform([record])
        assert found.error is None


def test_grabcut_leaves_the_generator_of_opencv_to_others():
    import cv2

    def drawn(seed):
        cv2.setRNGSeed(seed)
        GrabCutSegmenter().predict([disc_image()])
        return cv2.randu(np.zeros((1, 4), np.float32), np.zeros(1), np.ones(1)).tolist()

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_grabcut_repeats_itself_whatever_opencv_drew_before():
    import cv2

    first = GrabCutSegmenter().predict([disc_image(noise=25)])[0]
    cv2.setRNGSeed(12345)
    np.testing.assert_array_equal(first, GrabCutSegmenter().predict([disc_image(noise=25)])[0])


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        (ChanVeseSegmenter, {"n_iterations": 0}),
        (ChanVeseSegmenter, {"outside_weight": 0}),
        (ChanVeseSegmenter, {"contour_smoothing": -1}),
        (ChanVeseSegmenter, {"start": "disc"}),
        (GrabCutSegmenter, {"n_iterations": 0}),
        (GrabCutSegmenter, {"core": 2}),
        (GrabCutSegmenter, {"ring": -1}),
        (KMeansSegmenter, {"n_clusters": 1}),
        (KMeansSegmenter, {"offset": 1}),
        (SaliencySegmenter, {"offset": 1}),
        (SaliencySegmenter, {"centering": 0}),
        (ThresholdSegmenter, {"centering": -1}),
        (ThresholdSegmenter, {"hair_width": 0.5}),
        (ThresholdSegmenter, {"blur": -0.1}),
        (ThresholdSegmenter, {"exclude_foreign": "yes"}),
        (ThresholdSegmenter, {"closing": 2}),
        (ThresholdSegmenter, {"fallback": "full"}),
        (EnsembleSegmenter, {"voting": "majority"}),
        (EnsembleSegmenter, {"working_size": 3}),
        (EnsembleSegmenter, {"segmenters": "otsu"}),
    ],
)
def test_parameters_out_of_range_are_refused_at_fit(kind, bad):
    (name,) = bad
    with pytest.raises(ValueError, match=f"'{name}' parameter of {kind.__name__}"):
        kind(**bad).fit([disc_image()])
