"""Every estimator of images on any image: a result of the right kind, the same each time and in any container."""

import warnings
from functools import cache
from numbers import Integral

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from property_budget import examples
from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils._param_validation import Interval, StrOptions

from skinseg import LesionImage, preprocessing, segmentation
from skinseg.datasets import make_lesions
from skinseg.exceptions import EmptyMaskWarning, ImageBatchError
from skinseg.networks import NetworkEstimator
from skinseg.testing import all_estimators, array_layouts, images_and_masks, lesion_images, make_instances

# examples in the long run; others have six hundred
NUMBERS = {
    "CNNFeaturizer": 100,
    "PretrainedClassifier": 100,
    "PretrainedSegmenter": 200,
    "SuperpixelSegmenter": 200,
    "ABCDFeaturizer": 300,
    "BatchedPipeline": 300,
    "EnsembleSegmenter": 200,
}
PLANES = ("mask", "reference_mask")  # those that steps cannot do without


def cases():
    for name, estimator in all_estimators():
        for number, instance in enumerate(make_instances(estimator)):
            if get_tags(instance).input_tags.two_d_array:
                continue
            marks = [pytest.mark.long] if isinstance(instance, NetworkEstimator) else []
            yield pytest.param(f"{name}-{number}", instance, id=f"{name}-{number}", marks=marks)


CASES = list(cases())


@cache
def learnt(name):
    """The instance, fitted once on a few lesions."""
    instance = clone(next(case.values[1] for case in CASES if case.values[0] == name))
    lesions = make_lesions(6, random_state=3, min_side=40, max_side=60)
    X = [
        LesionImage(image, mask, reference_mask=mask) for image, mask in zip(lesions.images, lesions.masks, strict=True)
    ]
    if get_tags(instance).estimator_type == "classifier":
        return instance.fit(X, ["a", "b"] * 3 if get_tags(instance).requires_fit else [0, 1] * 3)
    return instance.fit(X, lesions.masks if get_tags(instance).estimator_type == "segmenter" else None)


def run(estimator, X):
    """What the estimator makes of each image."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyMaskWarning)
        kind = get_tags(estimator).estimator_type
        if kind == "classifier":
            return list(estimator.predict_proba(X))
        return list(estimator.transform(X))


def parts_of(result):
    """All that a result holds, to be compared."""
    if not isinstance(result, LesionImage):
        return {"row": np.asarray(result)}
    planes = {p: getattr(result, p) for p in (*PLANES, "probability", "field", "artifact_mask") if result.has(p)}
    return {"image": result.image, "confidence": result.confidence, **planes}


def assert_same(one, two, loose=False):
    first, second = parts_of(one), parts_of(two)
    assert list(first) == list(second)
    for key, value in first.items():
        if loose and value is not None and np.asarray(value).dtype.kind == "f":
            np.testing.assert_allclose(np.asarray(second[key]), value, rtol=0, atol=1e-5, err_msg=key)
        else:
            np.testing.assert_array_equal(second[key], value, err_msg=key)


def check_result(estimator, record, result):
    kind = get_tags(estimator).estimator_type
    if kind == "classifier":
        assert result.min() >= 0
        assert result.sum() == pytest.approx(1, abs=1e-5)
    elif not isinstance(result, LesionImage):
        assert result.dtype == np.float64
        assert np.isfinite(result).all() or np.isnan(result).any()
        assert not np.isinf(result).any()
        assert result.shape == (len(estimator.get_feature_names_out()),)
    else:
        assert result.image.dtype == np.uint8
        assert result.image.shape == (*result.shape, 3)
        assert result.geometry.origin == record.geometry.origin
        for plane in ("mask", "field", "artifact_mask"):
            if result.has(plane):
                assert getattr(result, plane).dtype == bool
                assert getattr(result, plane).shape == result.shape
                assert result.origin_plane(plane).shape == record.geometry.origin
        if kind == "segmenter":
            check_outline(record, result)


def check_outline(record, result):
    assert result.shape == record.shape
    np.testing.assert_array_equal(result.image, record.image)
    assert result.has("mask")
    if result.has("probability"):
        assert result.probability.dtype == np.float32
        assert 0 <= result.probability.min() <= result.probability.max() <= 1
    assert result.confidence is None or 0 <= result.confidence <= 1


@pytest.mark.parametrize(("name", "estimator"), CASES)
def test_step(name, estimator):
    """One property an estimator, so that each has its own number of examples."""
    fitted = learnt(name)
    loose = isinstance(fitted, NetworkEstimator) or name.startswith(("Pretrained", "CNN"))
    number = 30 if isinstance(fitted, NetworkEstimator) else NUMBERS.get(name.partition("-")[0], 600)
    rule = get_tags(fitted).estimator_type

    @given(records=st.lists(lesion_images(planes=PLANES), min_size=1, max_size=2), data=st.data())
    @examples(number)
    def holds(records, data):
        before = [record.cache_key() for record in records]
        results = run(fitted, records)
        assert len(results) == len(records)
        for record, result in zip(records, results, strict=True):
            check_result(fitted, record, result)
            assert_same(run(fitted, [record])[0], result, loose)
        assert [record.cache_key() for record in records] == before
        plain = records[0]
        image = data.draw(array_layouts(plain.image))
        planes = {plane: data.draw(array_layouts(plain.origin_plane(plane))) for plane in PLANES}
        if plain.geometry.is_origin:
            extra = {plane: getattr(plain, plane) for plane in ("field", "artifact_mask") if plain.has(plane)}
            there = LesionImage(image, **planes, **extra, pixel_size=plain.pixel_size)
            assert_same(run(fitted, [there])[0], results[0], loose)
        if rule == "segmenter":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", EmptyMaskWarning)
                (mask,) = fitted.predict([plain])
            np.testing.assert_array_equal(mask, results[0].origin_plane("mask"))
            assert mask.dtype == bool
            assert mask.shape == plain.geometry.origin

    holds()


# no part of the result, or no value that can be drawn
NOT_DRAWN = {"n_jobs", "verbose", "memory", "on_error", "segmenter", "steps", "groups", "features", "random_state"}


def values_of(constraint, default):
    """Values that a constraint of scikit-learn allows, few of them large; None for what is not drawn."""
    if constraint is None:
        return st.none()
    if constraint == "boolean":
        return st.booleans()
    if isinstance(constraint, StrOptions):
        return st.sampled_from(sorted(constraint.options))
    if isinstance(constraint, Interval) and constraint.left is not None:
        low, high = constraint.left, constraint.right
        if constraint.type is Integral:
            most = low + 80 if low >= 16 or default is None or default > 100 else low + 20
            return st.integers(int(low), int(most if high is None else min(high, most)))
        if np.isfinite(low):
            top = max(10.0, 4.0 * (default or 0)) if high is None or np.isinf(high) else float(high)
            open_ends = {
                "exclude_min": constraint.closed in ("right", "neither"),
                "exclude_max": constraint.closed in ("left", "neither") and high is not None,
            }
            return st.floats(float(low), top, **open_ends)
    return None


def settings_of(estimator):
    """Any values of the parameters, as their constraints have them."""
    options = {}
    for name, default in estimator().get_params(deep=False).items():
        constraints = estimator._parameter_constraints.get(name, [])
        default = default if isinstance(default, (int, float)) else None
        found = [values_of(constraint, default) for constraint in constraints]
        found = [strategy for strategy in found if strategy is not None]
        if found and name not in NOT_DRAWN:
            options[name] = st.one_of(found)
    return st.fixed_dictionaries({}, optional=options)


WITHOUT_LEARNING = [
    pytest.param(estimator, id=name)
    for name, estimator in all_estimators()
    if name not in ("BatchedPipeline", "EnsembleSegmenter", "CNNFeaturizer", "PretrainedClassifier")
    and not get_tags(estimator()).input_tags.two_d_array
    and not get_tags(estimator()).requires_fit
]


@pytest.mark.parametrize("estimator", WITHOUT_LEARNING)
def test_any_setting(estimator):
    """Whatever parameters are allowed: a result, or a ValueError that names the parameter before anything is run."""

    @given(record=lesion_images(planes=PLANES), settings=settings_of(estimator))
    @examples(200 if estimator.__name__ in NUMBERS else 400)
    def holds(record, settings):
        step = estimator(**settings)
        try:
            step.fit([record])
        except ImageBatchError:
            raise
        except ValueError as error:
            assert any(name in str(error) for name in settings)
            return
        (result,) = run(step, [record])
        check_result(step, record, result)
        assert_same(run(step, [record])[0], result)

    holds()


FUNCTIONS = {
    "correct_color": lambda image, field: preprocessing.correct_color(image, field=field),
    "correct_illumination": lambda image, field: preprocessing.correct_illumination(image, field=field),
    "equalize_contrast": lambda image, field: preprocessing.equalize_contrast(image, field=field),
    "estimate_illuminant": lambda image, field: preprocessing.estimate_illuminant(image, field=field),
    "find_hair": lambda image, field: preprocessing.find_hair(image, field=field),
    "remove_hair": lambda image, field: preprocessing.remove_hair(image, field=field),
    "segment_threshold": lambda image, field: segmentation.segment_threshold(image, field=field),
    "segment_kmeans": lambda image, field: segmentation.segment_kmeans(image, field=field),
    "segment_chan_vese": lambda image, field: segmentation.segment_chan_vese(image, field=field),
    "segment_grabcut": lambda image, field: segmentation.segment_grabcut(image, field=field),
    "lesion_saliency": lambda image, field: segmentation.lesion_saliency(image, field=field),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@given(pair=images_and_masks(), with_field=st.booleans(), data=st.data())
@examples(500)
def test_function(name, pair, with_field, data):
    """The functions behind the steps, used alone, on any image and any field of view."""
    image, field = pair
    result = FUNCTIONS[name](image, field if with_field else None)
    layouts = data.draw(array_layouts(image)), data.draw(array_layouts(field))
    other = FUNCTIONS[name](layouts[0], layouts[1] if with_field else None)
    for one, two in zip(as_tuple(result), as_tuple(other), strict=True):
        assert np.isfinite(one).all()
        assert one.shape[:2] in (image.shape[:2], (3,))
        np.testing.assert_array_equal(two, one)


def as_tuple(result):
    return result if isinstance(result, tuple) else (result,)


@given(
    field=images_and_masks().map(lambda pair: pair[1]),
    inscribed=st.booleans(),
    tolerance=st.floats(0, 1, exclude_max=True),
)
@examples(1_000)
def test_crop_box(field, inscribed, tolerance):
    top, left, height, width = preprocessing.crop_box(field, inscribed=inscribed, tolerance=tolerance)
    assert 0 <= top < top + height <= field.shape[0]
    assert 0 <= left < left + width <= field.shape[1]
