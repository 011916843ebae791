"""The threshold segmenter, on shapes and on synthetic lesions."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

from skinseg import ImageResizer, LesionImage, ReferenceSegmenter, ThresholdSegmenter
from skinseg.exceptions import EmptyMaskWarning
from skinseg.masks import overlap_counts
from skinseg.segmentation import segment_threshold
from skinseg.segmentation._threshold import CHANNELS, METHODS

Y, X = np.mgrid[:150, :200]
DISC = (Y - 75) ** 2 + (X - 100) ** 2 <= 30**2


def disc_image(skin=(200, 170, 150), lesion=(110, 80, 70)):
    image = np.full((150, 200, 3), skin, np.uint8)
    image[DISC] = lesion
    return image


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("channel", CHANNELS)
def test_a_disc_is_found_by_every_method_and_channel(method, channel):
    mask = segment_threshold(disc_image(), method=method, channel=channel, hair_width=0, blur=0, flatten=False)
    if method in ("triangle", "mean"):  # these thresholds lie between the two gray values wherever they like
        assert overlap_counts(DISC, mask).jaccard > 0.9
    else:
        np.testing.assert_array_equal(mask, DISC)


def test_offset_moves_the_outline_outwards():
    from skinseg.masks import resize_mask

    soft = resize_mask(DISC.astype(np.float32), (10, 12))
    soft = resize_mask(soft, (150, 200))
    image = np.repeat((200 - 100 * soft)[..., None], 3, axis=-1).astype(np.uint8)
    areas = [segment_threshold(image, offset=offset, flatten=False).sum() for offset in (-0.5, 0, 0.5)]
    assert areas[0] < areas[1] < areas[2]


def test_black_corners_are_not_the_lesion():
    image = disc_image()
    image[np.hypot(Y - 75, X - 100) > 85] = 0
    found = ThresholdSegmenter().predict([image])[0]
    assert overlap_counts(DISC, found).jaccard > 0.8


def test_shading_is_not_the_lesion():
    plain = ThresholdSegmenter(flatten=False, centering=None)
    shaded = np.clip(disc_image() * (0.55 + 0.45 * X / 200)[..., None], 0, 255).astype(np.uint8)
    assert overlap_counts(DISC, ThresholdSegmenter().predict([shaded])[0]).jaccard > 0.8
    assert overlap_counts(DISC, plain.predict([shaded])[0]).jaccard < 0.5


def test_a_given_field_is_respected():
    field = X > 60
    record = LesionImage(disc_image(), field=field)
    found = ThresholdSegmenter().transform([record])[0]
    assert not (found.mask & ~field).any()
    np.testing.assert_array_equal(found.field, field)


def test_synthetic_lesions(lesions):
    assert ThresholdSegmenter().score(lesions.images, lesions.masks) > 0.7


def test_large_images_are_segmented_at_the_working_size():
    large = np.kron(disc_image(), np.ones((6, 6, 1), np.uint8))
    small, big = ThresholdSegmenter().predict([disc_image(), large])
    assert big.shape == (900, 1200)
    assert overlap_counts(small, big[3::6, 3::6]).jaccard > 0.97


def test_predictions_come_in_the_frame_of_the_user():
    pipe = make_pipeline(ImageResizer(64), ThresholdSegmenter())
    pipe.fit([disc_image()])
    (mask,) = pipe.predict([disc_image()])
    assert mask.shape == DISC.shape
    assert overlap_counts(DISC, mask).jaccard > 0.8
    assert pipe.score([disc_image()], [DISC]) == overlap_counts(DISC, mask).jaccard


@pytest.mark.parametrize("value", [0, 128, 255])
def test_one_color_gives_an_empty_mask_and_a_warning(value):
    record = LesionImage(np.full((40, 50, 3), value, np.uint8), name="wall")
    with pytest.warns(EmptyMaskWarning, match=r"no lesion in 1 of 1 images \(wall\)"):
        (mask,) = ThresholdSegmenter().predict([record])
    assert mask.shape == (40, 50)
    assert not mask.any()


@pytest.mark.parametrize(
    "bad",
    [{"method": "max"}, {"channel": "hue"}, {"offset": 2}, {"working_size": 5}, {"margin": -0.1}, {"component": 1}],
)
def test_parameters_out_of_range_are_refused_at_fit(bad):
    (name,) = bad
    with pytest.raises(ValueError, match=f"'{name}' parameter of ThresholdSegmenter"):
        ThresholdSegmenter(**bad).fit([disc_image()])


def test_reference_segmenter_gives_the_reference():
    record = LesionImage(disc_image(), reference_mask=DISC)
    np.testing.assert_array_equal(ReferenceSegmenter().predict([record])[0], DISC)
    assert ReferenceSegmenter().score([record]) == 1
    soft = record.with_(reference_mask=DISC * np.float32(0.4))
    with pytest.warns(EmptyMaskWarning):
        assert not ReferenceSegmenter().predict([soft])[0].any()
    with pytest.raises(ValueError, match="no reference_mask"):
        ReferenceSegmenter().predict([disc_image()])


def test_reference_behind_a_resizer_is_nearly_the_original():
    record = LesionImage(disc_image(), reference_mask=DISC)
    pipe = make_pipeline(ImageResizer(100), ReferenceSegmenter()).fit([record])
    assert pipe.score([record]) > 0.97


def test_score_without_masks_says_where_they_may_come_from():
    with pytest.raises(ValueError, match=r"reference mask for every image.*FrozenEstimator"):
        ThresholdSegmenter().score([disc_image()])
