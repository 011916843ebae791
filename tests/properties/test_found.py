"""What the properties have found: each example on which one failed once, at its smallest."""

import numpy as np

from skinseg import LesionImage, check_images
from skinseg.artifacts import find_foreign
from skinseg.masks import resize_mask
from skinseg.segmentation import segment_kmeans


def test_all_pixels_foreign():
    """No pixel was left in the background, by whose area the shares were divided."""
    image = np.array(
        [[[170, 244, 212], [196, 181, 32], [65, 211, 85], [217, 45, 89], [249, 130, 214], [154, 16, 86]]], np.uint8
    )
    assert find_foreign(image).shape == (1, 6)


def test_mean_of_ones():
    """Averages of ones came out as 1.0000001, which is no probability."""
    resized = resize_mask(np.ones((39, 1), np.float32), (10, 1))
    assert (resized == 1).all()
    assert LesionImage(np.zeros((10, 1, 3), np.uint8), probability=resized).probability.max() == 1


def test_keys_do_not_depend_on_the_layout_in_memory():
    """Equal pixels had another key as a view, so that what was kept of them was not found."""
    image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    views = [
        np.asfortranarray(image),
        np.repeat(image, 2, axis=0)[::2],
        image.view(type("Tagged", (np.ndarray,), {})),
        image[::-1].copy()[::-1],
    ]
    keys = {record.cache_key() for record in check_images([image, *views])}
    assert len(keys) == 1
    corner = image[:1, :1]  # one pixel, which is contiguous, with the strides of the whole
    assert LesionImage(corner).cache_key() == LesionImage(corner.copy()).cache_key()
    mask = image[..., 0] > 20
    keys = {LesionImage(image, mask=one).cache_key() for one in (mask, np.asfortranarray(mask))}
    assert len(keys) == 1


def test_clusters_that_end_without_a_pixel():
    """scikit-learn warns of fewer clusters than starts, as images of hardly any contrast have."""
    bits = [
        [6, 1, 7, 7, 6],
        [1, 3, 7, 7, 1],
        [5, 6, 6, 7, 6],
        [3, 0, 7, 5, 1],
        [6, 7, 1, 7, 0],
    ]
    image = np.array([227, 101, 54]) + (np.array(bits)[..., None] >> np.array([2, 1, 0]) & 1)
    assert segment_kmeans(image.astype(np.uint8)).shape == (5, 5)
