"""Superpixels and the segmenter that learns to tell them apart."""

import joblib
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline

import skinseg
from skinseg import ImageResizer, LesionImage, SuperpixelSegmenter
from skinseg.datasets import make_lesions
from skinseg.exceptions import EmptyMaskWarning, ImageBatchError
from skinseg.segmentation._regions import REGION_FEATURES, adjacency, find_superpixels, measure_regions
from skinseg.segmentation._scene import Scene

QUICK = {"n_segments": 200, "max_iter": 20, "random_state": 0}
Y, X = np.mgrid[:90, :120]
DISC = (Y - 45) ** 2 + (X - 60) ** 2 <= 20**2


def disc_image():
    image = np.full((90, 120, 3), (200, 170, 150), np.uint8)
    image[DISC] = (110, 80, 70)
    return image


@pytest.fixture(scope="module")
def fitted(lesions):
    return SuperpixelSegmenter(**QUICK).fit(lesions.images, lesions.masks)


def test_it_learns(fitted, lesions):
    others = make_lesions(10, random_state=5, min_side=64, max_side=96)
    assert fitted.score(others.images, others.masks) > 0.75
    assert fitted.feature_names_ == REGION_FEATURES
    assert fitted.classifier_.n_features_in_ == len(REGION_FEATURES)
    assert fitted.n_regions_ > 16 * 100


def test_masks_may_come_with_the_records(fitted, lesions):
    records = [LesionImage(i, reference_mask=m) for i, m in zip(lesions.images, lesions.masks, strict=True)]
    for y in (None, lesions.target):
        other = SuperpixelSegmenter(**QUICK).fit(records, y)
        np.testing.assert_array_equal(other.predict(records[:1])[0], fitted.predict(records[:1])[0])


def test_masks_are_learnt_through_a_resizer(lesions):
    pipe = make_pipeline(ImageResizer(64), SuperpixelSegmenter(**QUICK)).fit(lesions.images, lesions.masks)
    masks = pipe.predict(lesions.images)
    assert [mask.shape for mask in masks] == [mask.shape for mask in lesions.masks]
    assert pipe.score(lesions.images, lesions.masks) > 0.75


def test_soft_masks(lesions):
    soft = [mask * np.float32(0.8) + np.float32(0.1) for mask in lesions.masks]
    fitted = SuperpixelSegmenter(**QUICK).fit(lesions.images, soft)
    assert fitted.score(lesions.images, lesions.masks) > 0.75


def test_same_seed_same_result(fitted, lesions):
    again = SuperpixelSegmenter(**QUICK, n_jobs=2).fit(lesions.images, lesions.masks)
    np.testing.assert_array_equal(
        again.predict_proba(lesions.images[:1])[0], fitted.predict_proba(lesions.images[:1])[0]
    )


def test_fewer_regions(fitted, lesions):
    fewer = SuperpixelSegmenter(**QUICK, regions_per_image=40).fit(lesions.images, lesions.masks)
    assert fewer.n_regions_ == 40 * len(lesions.images)
    assert fewer.n_regions_ < fitted.n_regions_
    assert fewer.score(lesions.images, lesions.masks) > 0.7


def test_threshold(lesions):
    areas = []
    for threshold in (0.2, 0.5, 0.8):
        segmenter = SuperpixelSegmenter(**QUICK, threshold=threshold).fit(lesions.images, lesions.masks)
        areas.append(sum(mask.sum() for mask in segmenter.predict(lesions.images)))
    assert areas[0] > areas[1] > areas[2]


def test_confidence_is_the_expected_jaccard_index(fitted, lesions):
    records = fitted.transform(lesions.images)
    assert all(0 < record.confidence <= 1 for record in records)
    with pytest.warns(EmptyMaskWarning):
        (blank,) = fitted.transform([np.full((40, 50, 3), 99, np.uint8)])
    assert blank.confidence == 0


def test_saved_and_loaded(fitted, lesions, tmp_path):
    expected = fitted.predict_proba(lesions.images[:2])
    joblib.dump(fitted, tmp_path / "m.joblib")
    skinseg.save(fitted, tmp_path / "m.skops")
    for other in (joblib.load(tmp_path / "m.joblib"), skinseg.load(tmp_path / "m.skops")):
        for a, b in zip(other.predict_proba(lesions.images[:2]), expected, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.long
def test_grid_search(lesions):
    grid = {"n_segments": [60, 200], "threshold": [None, 0.4]}
    search = GridSearchCV(SuperpixelSegmenter(max_iter=20, random_state=0), grid, cv=KFold(2))
    assert search.fit(lesions.images, lesions.masks).best_score_ > 0.6


@pytest.mark.parametrize("value", [True, False])
def test_masks_of_one_kind_are_refused(lesions, value):
    masks = [np.full(mask.shape, value) for mask in lesions.masks]
    words = "show lesion everywhere" if value else "show no lesion"
    with pytest.raises(ValueError, match=rf"cannot learn: the masks of 16 images {words}"):
        SuperpixelSegmenter(**QUICK).fit(lesions.images, masks)


def test_blank_images_are_left_out_of_learning(lesions):
    blank = np.full((50, 60, 3), 120, np.uint8)
    images, masks = [*lesions.images, blank], [*lesions.masks, np.zeros((50, 60), bool)]
    with_blank = SuperpixelSegmenter(**QUICK).fit(images, masks)
    assert with_blank.n_regions_ == SuperpixelSegmenter(**QUICK).fit(lesions.images, lesions.masks).n_regions_
    with pytest.raises(ValueError, match="cannot learn: of 1 images all are of one color, or failed"):
        SuperpixelSegmenter(**QUICK).fit([blank], [np.ones((50, 60), bool)])


def test_a_broken_file_is_named_or_left_out(lesions, broken_files):
    images = [*lesions.images, broken_files / "cut.jpg"]
    masks = [*lesions.masks, np.ones((150, 200), bool)]
    with pytest.raises(ImageBatchError, match=r"X\[16\].*cut\.jpg"):
        SuperpixelSegmenter(**QUICK).fit(images, masks)
    tolerant = SuperpixelSegmenter(**QUICK, on_error="nan").fit(images, masks)
    assert list(tolerant.errors_) == [16]


def test_without_masks_or_fit():
    with pytest.raises(ValueError, match="needs a reference mask for every image, 1 of 1 have none"):
        SuperpixelSegmenter().fit([disc_image()])
    with pytest.raises(NotFittedError):
        SuperpixelSegmenter().predict([disc_image()])


@pytest.mark.parametrize(
    ("name", "bad"),
    [("n_segments", 3), ("compactness", 0), ("max_iter", 0), ("learning_rate", 0), ("max_leaf_nodes", 1),
     ("threshold", 1), ("regions_per_image", 0), ("random_state", "a")],
)  # fmt: skip
def test_parameters_out_of_range_are_refused_at_fit(name, bad):
    with pytest.raises(ValueError, match=f"'{name}' parameter of SuperpixelSegmenter"):
        SuperpixelSegmenter(**{name: bad}).fit([disc_image()], [DISC])


def test_superpixels_follow_the_outline_and_leave_none_out():
    labels = find_superpixels(Scene(disc_image(), hair_width=0, blur=0), 200, 0.03)
    counts = np.bincount(labels.ravel())
    assert (counts > 0).all()
    assert 100 < len(counts) < 300
    lesion = np.bincount(labels.ravel(), weights=DISC.ravel()) / counts
    assert ((lesion < 0.1) | (lesion > 0.9)).mean() > 0.95


def test_adjacency_of_a_known_picture():
    labels = np.array([[0, 0, 1], [2, 2, 1]])
    first, second, length = adjacency(labels)
    found = dict(zip(zip(first.tolist(), second.tolist(), strict=True), length.tolist(), strict=True))
    assert found == {(0, 1): 1, (0, 2): 2, (1, 2): 1}
    assert all(len(part) == 0 for part in adjacency(np.zeros((3, 4), np.intp)))


def test_features_of_a_disc():
    scene = Scene(disc_image(), hair_width=0, blur=0)
    labels = DISC.astype(np.intp)
    table = dict(zip(REGION_FEATURES, measure_regions(scene, labels).T, strict=True))
    skin, lesion = 0, 1
    assert table["mean_to_skin"][lesion] == pytest.approx(np.linalg.norm(scene.lab[45, 60] - scene.lab[5, 5]), rel=1e-3)
    assert table["mean_to_skin"][skin] < 0.01
    assert table["mean_level_threshold"].tolist() == [0, 1]
    assert table["around_to_skin_L"][lesion] == pytest.approx(table["mean_to_skin_L"][lesion], abs=0.01)
    assert table["rank_to_skin"].tolist() == [0, 0.5]
    assert table["barrier"][lesion] > 30 > table["barrier"][skin]
    assert table["image_area_threshold"][0] == pytest.approx(DISC.mean(), rel=0.25)
    assert table["mean_core_ratio"][lesion] > 0.99 > 0.01 > table["mean_core_ratio"][skin]
    assert all(np.isfinite(column).all() for column in table.values())
