"""The checks. Each takes an estimator, which it clones, and raises AssertionError if it does not keep a promise."""

from __future__ import annotations

import contextlib
import pickle
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold, cross_val_predict, cross_val_score
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.metaestimators import _BaseComposition

from ..datasets import make_lesions
from ..exceptions import EmptyMaskWarning, ImageBatchError, VersionMismatchWarning
from ..images import LesionImage
from ._state import process_untouched

__all__ = ["check_image_estimator", "image_checks"]

# scikit-learn's checks that need no data; it does not run them itself on estimators without 2-D input
_DATA_FREE = (
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_mixin_order",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_valid_tag_types",
    "check_estimator_tags_renamed",
    "check_param_validation",
)
# of these, what cannot run on an estimator whose parameters are a list of steps
_NOT_FOR_COMPOSITIONS = {
    "check_parameters_default_constructible": "steps have no default",
    "check_do_not_raise_errors_in_init_or_set_params": "steps are looked into by set_params, as in a Pipeline",
    "check_param_validation": "clones with steps that are none, as in a Pipeline",
}


# ---------------------------------------------------------------------- data


@cache
def _data(equal: bool = False) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """Five small lesions, of differing or of equal sizes, write-protected."""
    lesions = make_lesions(5, random_state=3, min_side=60, max_side=90, hair_fraction=0.2)
    images, masks = lesions.images, lesions.masks
    if equal:
        images = [cv2.resize(image, (72, 54)) for image in images]
        masks = [cv2.resize(mask.astype(np.uint8), (72, 54), interpolation=cv2.INTER_NEAREST) > 0 for mask in masks]
    for array in (*images, *masks):
        array.flags.writeable = False
    return tuple(images), tuple(masks)


def _records(estimator: Any, images: Any, masks: Any) -> list[Any]:
    """Give images in the plainest form that the estimator can work on."""
    if getattr(estimator, "_reads_mask", False):
        return [LesionImage(image, mask) for image, mask in zip(images, masks, strict=True)]
    if getattr(estimator, "_reads_reference", False):
        return [LesionImage(image, reference_mask=mask) for image, mask in zip(images, masks, strict=True)]
    return list(images)


def _plane(estimator: Any) -> str | None:
    """The plane that the estimator cannot do without."""
    if getattr(estimator, "_reads_mask", False):
        return "mask"
    return "reference_mask" if getattr(estimator, "_reads_reference", False) else None


def _is_segmenter(estimator: Any) -> bool:
    return get_tags(estimator).estimator_type == "segmenter"


def _is_classifier(estimator: Any) -> bool:
    return get_tags(estimator).estimator_type == "classifier"


def _run(estimator: Any, X: Any) -> list[np.ndarray]:
    """What the estimator makes of X, one array an image."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyMaskWarning)
        if _is_segmenter(estimator):
            return list(estimator.predict(X))
        if _is_classifier(estimator):
            return list(estimator.predict_proba(X))
        result = estimator.transform(X)
    return [item.image if isinstance(item, LesionImage) else item for item in result]


def _fit(estimator: Any, X: Any, masks: Any = None) -> Any:
    if _is_classifier(estimator):
        learns = get_tags(estimator).requires_fit  # one that is trained already has classes of its own
        return estimator.fit(X, _labels(len(X)) if learns else [index % 2 for index in range(len(X))])
    return estimator.fit(X, list(masks) if masks is not None and _is_segmenter(estimator) else None)


def _labels(count: int) -> list[str]:
    """Two classes in turn."""
    return ["b" if index % 2 else "a" for index in range(count)]


def _fitted(estimator: Any, equal: bool = False) -> tuple[Any, list[Any]]:
    images, masks = _data(equal)
    X = _records(estimator, images, masks)
    return _fit(clone(estimator), X, masks), X


def _assert_same(first: list[Any], second: list[Any], what: str, estimator: Any = None) -> None:
    """Compare results; probabilities of classifiers that say that they are not deterministic to 1e-5."""
    loose = estimator is not None and _is_classifier(estimator) and get_tags(estimator).non_deterministic
    assert len(first) == len(second), f"{what}: {len(first)} and {len(second)} results"
    for index, (a, b) in enumerate(zip(first, second, strict=True)):
        if loose:
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-5, err_msg=f"{what}: image {index}")
        else:
            np.testing.assert_array_equal(a, b, err_msg=f"{what}: image {index}")


@contextlib.contextmanager
def _expect(kind: type[BaseException] | tuple[type[BaseException], ...], *words: str) -> Iterator[None]:
    try:
        yield
    except kind as error:
        missing = [word for word in words if word not in str(error)]
        assert not missing, f"the message {str(error)!r} does not tell {missing}"
    else:
        raise AssertionError(f"no {kind} was raised")


# ---------------------------------------------------------------------- checks


def check_fit_returns_self(estimator: Any) -> None:
    """`fit` gives the estimator back."""
    images, masks = _data()
    estimator = clone(estimator)
    assert _fit(estimator, _records(estimator, images, masks), masks) is estimator


def check_unfitted_raises(estimator: Any) -> None:
    """An estimator that learns says that it is not fitted; others need no fit."""
    images, masks = _data()
    estimator = clone(estimator)
    if get_tags(estimator).requires_fit:
        with _expect(NotFittedError):
            _run(estimator, _records(estimator, images, masks))
    else:
        _run(estimator, _records(estimator, images, masks))


def check_fit_idempotent(estimator: Any) -> None:
    """A second fit changes nothing."""
    fitted, X = _fitted(estimator)
    first = _run(fitted, X)
    _assert_same(first, _run(_fit(fitted, X, _data()[1]), X), "fitted twice", fitted)


def check_init_parameters_kept(estimator: Any) -> None:
    """`fit` and predictions leave the parameters as they were given."""
    estimator = clone(estimator)
    before = {key: id(value) for key, value in estimator.get_params(deep=False).items()}
    images, masks = _data()
    X = _records(estimator, images, masks)
    _run(_fit(estimator, X, masks), X)
    assert before == {key: id(value) for key, value in estimator.get_params(deep=False).items()}


def check_pickle(estimator: Any) -> None:
    """A pickled estimator gives the same results."""
    fitted, X = _fitted(estimator)
    _assert_same(_run(fitted, X), _run(pickle.loads(pickle.dumps(fitted)), X), "pickled", fitted)


def check_version_stamp(estimator: Any) -> None:
    """An estimator saved by another version warns on loading."""
    state = clone(estimator).__getstate__()
    assert "_skinseg_version" in state, "the state has no version"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clone(estimator).__setstate__({**state, "_skinseg_version": "0.0.0"})
    assert any(issubclass(w.category, VersionMismatchWarning) and "0.0.0" in str(w.message) for w in caught)


def check_subset_invariance(estimator: Any) -> None:
    """The result for an image does not depend on the others, nor on their order."""
    fitted, X = _fitted(estimator)
    full = _run(fitted, X)
    _assert_same(full, [_run(fitted, [x])[0] for x in X], "one by one", fitted)
    _assert_same(full[::-1], _run(fitted, X[::-1]), "reversed", fitted)


def check_input_not_modified(estimator: Any) -> None:
    """Images and masks are only read (they are write-protected here)."""
    fitted, X = _fitted(estimator)
    images, masks = _data()
    copies = [array.copy() for array in (*images, *masks)]
    _run(fitted, X)
    _assert_same(copies, [*images, *masks], "after the call")


def check_containers(estimator: Any) -> None:
    """Lists, tuples, object arrays, Series, frames, 4-D arrays, records and paths give the same."""
    estimator = clone(estimator)
    images, masks = _data(equal=True)
    plane = _plane(estimator)
    planes: list[dict[str, Any]] = [{plane: mask} if plane else {} for mask in masks]
    records = [LesionImage(image, **part) for image, part in zip(images, planes, strict=True)]
    objects = np.empty(len(records), dtype=object)
    objects[:] = records
    column = {plane: list(masks)} if plane else {}
    forms: dict[str, Any] = {
        "tuple": tuple(records),
        "object array": objects,
        "series": pd.Series(records),
        "frame of records": pd.DataFrame({"image": records}),
        "frame of arrays": pd.DataFrame({"image": list(images), **column}),
    }
    if plane is None:
        ragged = np.empty(len(images), dtype=object)
        for index, image in enumerate(images):
            ragged[index] = image
        forms |= {"list of arrays": list(images), "4-D array": np.stack(images), "object array of arrays": ragged}
    expected = _run(_fit(estimator, records, masks), records)
    with tempfile.TemporaryDirectory() as folder:
        files, mask_files = [], []
        for index, (image, mask) in enumerate(zip(images, masks, strict=True)):
            files.append(Path(folder) / f"{index}.png")
            mask_files.append(Path(folder) / f"{index}_mask.png")
            cv2.imwrite(str(files[-1]), image[..., ::-1])
            cv2.imwrite(str(mask_files[-1]), mask.astype(np.uint8) * 255)
        forms["frame of paths"] = pd.DataFrame(
            {"image": [str(file) for file in files], **({plane: mask_files} if plane else {})}
        )
        if plane is None:
            forms |= {"paths": files, "paths as str": list(map(str, files)), "array of str": np.array(files, dtype=str)}
        for form, X in forms.items():
            _assert_same(expected, _run(_fit(clone(estimator), X, masks), X), form, estimator)


def check_one_image(estimator: Any) -> None:
    """One image is enough; to learn classes takes one of each."""
    images, masks = _data()
    n_learnt = 2 if _is_classifier(estimator) else 1
    X = _records(estimator, images[:n_learnt], masks[:n_learnt])
    assert len(_run(_fit(clone(estimator), X, masks[:n_learnt]), X[:1])) == 1


def check_odd_images(estimator: Any) -> None:
    """Tiny, thin, black, white, one- and two-colored images give a result, or the warning of an empty mask."""
    fitted, _ = _fitted(estimator)
    shapes = [(1, 1), (1, 7), (9, 1), (2, 300), (2, 5000), (64, 64)]
    images = [np.full((*shape, 3), value, np.uint8) for shape in shapes for value in (0, 120, 255)]
    for shape in ((2, 5000), (5000, 2), (1, 300), (40, 40)):
        image = np.full((*shape, 3), (200, 150, 140), np.uint8)
        image[shape[0] // 3 : shape[0] // 3 + 1 + shape[0] // 4, shape[1] // 3 : shape[1] // 3 + 1 + shape[1] // 4] = 60
        images.append(image)
    speck = np.full((100, 100, 3), (200, 150, 140), np.uint8)
    speck[50, 50] = 0
    halves = np.full((50, 80, 3), (200, 150, 140), np.uint8)
    halves[:, :40] = (90, 60, 50)
    images += [speck, halves]
    for full in (True, False):
        X = _records(fitted, images, [np.full(image.shape[:2], full) for image in images])
        results = _run(fitted, X)
        assert len(results) == len(images)
        if _is_segmenter(fitted):
            assert all(mask.shape == image.shape[:2] for mask, image in zip(results, images, strict=True))


def check_output_type(estimator: Any) -> None:
    """Image steps give 1-D object arrays, featurizers float64 tables, masks are bool and as large as their images."""
    for equal in (True, False):
        fitted, X = _fitted(estimator, equal)
        if _is_classifier(fitted):
            assert not hasattr(fitted, "transform")
            probabilities = fitted.predict_proba(X)
            assert probabilities.shape == (len(X), len(fitted.classes_))
            assert probabilities.dtype == np.float64
            continue
        result = fitted.transform(X)
        assert isinstance(result, np.ndarray)
        if isinstance(result[0], LesionImage):
            assert result.shape == (len(X),)
            assert result.dtype == object
        else:
            assert result.ndim == 2
            assert result.dtype == np.float64
        if _is_segmenter(fitted):
            masks = fitted.predict(X)
            assert masks.shape == (len(X),)
            assert masks.dtype == object
            for mask, image in zip(masks, _data(equal)[0], strict=True):
                assert mask.dtype == bool
                assert mask.shape == image.shape[:2]


def check_bad_items_listed(estimator: Any) -> None:
    """One error names every bad item and its way out."""
    fitted, X = _fitted(estimator)
    gray, alpha = np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8)
    bad = [X[0], gray, alpha, np.zeros((8, 8, 3)), None, "no such file.jpg"]
    words = [
        "X[1]",
        "gray2rgb",
        "X[2]",
        "[..., :3]",
        "X[3]",
        "img_as_ubyte",
        "X[4]",
        "missing",
        "X[5]",
        "no such file.jpg",
    ]
    with _expect(ValueError, type(fitted).__name__, "5 of 6", *words):
        _run(fitted, bad)
    with _expect(ValueError):
        _fit(clone(estimator), bad)


def check_bad_containers(estimator: Any) -> None:
    """What is no sequence of images is refused, and the message tells what is expected."""
    fitted, _ = _fitted(estimator)
    bad: list[Any] = ["image.jpg", np.zeros((8, 8, 3), np.uint8), np.zeros((4, 7)), 5, {"image": 1}, iter([]), []]
    for X in bad:
        with _expect(ValueError, type(fitted).__name__):
            _run(fitted, X)


def check_truncated_file(estimator: Any) -> None:
    """A truncated file stops the batch by name, or is left out and listed, and the others are as before."""
    estimator = clone(estimator)
    images, masks = _data()
    plane = _plane(estimator)
    with tempfile.TemporaryDirectory() as folder:
        data = cv2.imencode(".jpg", cv2.resize(images[0], (200, 200)))[1].tobytes()
        path = Path(folder) / "cut.jpg"
        path.write_bytes(data[: len(data) // 2])
        part: dict[str, Any] = {plane: np.ones((200, 200), bool)} if plane else {}
        broken = LesionImage(path, **part)
        X = [*_records(estimator, images, masks), broken]
        estimator = _fit(estimator, X[:-1], masks)
        expected = _run(estimator, X[:-1])
        with _expect(ImageBatchError, "cut", f"X[{len(X) - 1}]"):
            _run(estimator, X)
        result = _tolerant(estimator, X)
        _assert_same(expected, result[:-1], "beside a failed image", estimator)
        last = result[-1]
        assert last is None or (isinstance(last, np.ndarray) and np.isnan(last).all()) or last == "failed"
        assert list(estimator.errors_) == [len(X) - 1]


def _tolerant(estimator: Any, X: Any) -> list[Any]:
    estimator.set_params(on_error="nan")
    if _is_segmenter(estimator) or _is_classifier(estimator):
        return _run(estimator, X)
    result = estimator.transform(X)
    if not isinstance(result[0], LesionImage):
        return list(result)
    return ["failed" if record.error is not None else record.image for record in result]


def check_reference_mask_not_read(estimator: Any) -> None:
    """Predictions are the same without the expert's outline."""
    if getattr(estimator, "_reads_reference", False):
        return
    fitted, X = _fitted(estimator)
    _images, masks = _data()
    records = [x if isinstance(x, LesionImage) else LesionImage(x) for x in X]
    told = [record.with_(reference_mask=mask) for record, mask in zip(records, masks, strict=True)]
    missing = [record.with_(reference_mask=Path("no such mask.png")) for record in records]
    expected = _run(fitted, records)
    _assert_same(expected, _run(fitted, told), "with reference masks", fitted)
    _assert_same(expected, _run(fitted, missing), "with reference masks that cannot be read", fitted)


def check_n_jobs(estimator: Any) -> None:
    """Two workers give what one gives, and the same image twice gives the same twice."""
    fitted, X = _fitted(estimator)
    expected = _run(fitted, X)
    _assert_same(expected, _run(fitted, [*X, *X])[len(X) :], "the second time", fitted)
    _assert_same(expected, _run(fitted.set_params(n_jobs=2), X), "n_jobs=2", fitted)


def check_memory(estimator: Any) -> None:
    """A cache changes no result: not when it is filled, not when it is read, not after clone."""
    if "memory" not in estimator.get_params():
        return
    fitted, X = _fitted(estimator)
    expected = _run(fitted, X)
    with tempfile.TemporaryDirectory() as folder:
        for place in (folder, Path(folder)):
            cached = clone(fitted).set_params(memory=place)
            _fit(cached, X, _data()[1])
            _assert_same(expected, _run(cached, X), "filling the cache", fitted)
            _assert_same(expected, _run(cached, X), "reading the cache", fitted)
            again = _fit(clone(cached), X, _data()[1])
            _assert_same(expected[::-1], _run(again, X[::-1]), "reading the cache after clone", fitted)


def check_set_output(estimator: Any) -> None:
    """`set_output` works, and names match columns; a classifier has no such output."""
    if _is_classifier(estimator):
        return
    fitted, X = _fitted(estimator)
    names = list(fitted.get_feature_names_out())
    plain = fitted.transform(X)
    assert len(names) == (plain.shape[1] if plain.ndim == 2 else 1)
    assert fitted.set_output(transform="pandas") is fitted
    result = fitted.transform(X)
    if isinstance(result, pd.DataFrame):
        assert list(result.columns) == names
        if plain.ndim == 2:
            np.testing.assert_array_equal(result.to_numpy(), plain)
    else:
        assert isinstance(result[0], LesionImage)


def check_process_untouched(estimator: Any) -> None:
    """Random states, working folder, filters of warnings, threads and all else of the process are left as they were."""
    with process_untouched():
        fitted, X = _fitted(estimator)
        _run(fitted, X)


def check_labels_are_no_masks(estimator: Any) -> None:
    """Class labels as y, as in a classification pipeline, are never taken for masks."""
    images, masks = _data()
    records = [
        LesionImage(i, m if _plane(estimator) == "mask" else None, reference_mask=m)
        for i, m in zip(images, masks, strict=True)
    ]
    trained = _is_classifier(estimator) and not get_tags(estimator).requires_fit  # knows 0 and 1 only
    for y in ([0, 1, 0, 1, 0], np.array(["a", "b", "a", "b", "a"]), pd.Series([0, 1, 0, 1, 0])):
        if not (trained and isinstance(y, np.ndarray)):
            clone(estimator).fit(records, y)


def check_segmenter_scores(estimator: Any) -> None:
    """`score`, `cross_val_score` and `cross_val_predict` work with masks of differing and of equal sizes."""
    if not _is_segmenter(estimator):
        return
    for equal in (False, True):
        images, masks = _data(equal)
        X = _records(estimator, images, masks)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EmptyMaskWarning)
            score = _fit(clone(estimator), X, masks).score(X, list(masks))
            assert 0 <= score <= 1
            scores = cross_val_score(clone(estimator), X, list(masks), cv=KFold(2))
            assert np.isfinite(scores).all()
            predicted = cross_val_predict(clone(estimator), X, list(masks), cv=KFold(2))
        assert [mask.shape for mask in predicted] == [mask.shape for mask in masks]


def check_masks_of_other_sizes(estimator: Any) -> None:
    """A mask of a size that is neither the image's nor its origin's is refused by number and size."""
    if not _is_segmenter(estimator):
        return
    fitted, X = _fitted(estimator)
    masks = list(_data()[1])
    masks[2] = np.ones((5, 6), bool)
    with _expect(ValueError, "mask 2", "(5, 6)"):
        fitted.score(X, masks)
    with _expect(ValueError, "4 masks for 5 images"):
        fitted.score(X, masks[:4])


def check_classifier(estimator: Any) -> None:
    """Probabilities are those of ``classes_``, labels may be of any kind, and wrong ones are refused."""
    if not (_is_classifier(estimator) and get_tags(estimator).requires_fit):
        return
    images, masks = _data()
    X = _records(estimator, images, masks)
    kinds: list[Any] = [[True, False, True, True, False], [3, 1, 3, 1, 1]]
    if get_tags(estimator).classifier_tags.multi_class:
        kinds.append(["b", "a", "c", "b", "a"])
    for y in kinds:
        fitted = clone(estimator).fit(X, y)
        np.testing.assert_array_equal(fitted.classes_, np.unique(y))
        probabilities, predicted = fitted.predict_proba(X), fitted.predict(X)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
        assert ((probabilities >= 0) & (probabilities <= 1)).all()
        np.testing.assert_array_equal(predicted, fitted.classes_[probabilities.argmax(axis=1)])
        assert fitted.score(X, y) == np.mean(predicted == np.asarray(y))
    found = cross_val_predict(clone(estimator), X, _labels(5), cv=2, method="predict_proba")
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)
    for y, words in (
        (["a"] * 5, ["only one class", "'a'"]),
        (["a", "b"], ["2 labels for 5 images"]),
        (["a", "b", None, "a", "b"], ["NaN", "1 of 5"]),
        ([0.5, 1.25, 2.5, 3.1, 0.5], ["continuous"]),
        (None, ["the target y is None"]),
    ):
        with _expect(ValueError, *words):
            clone(estimator).fit(X, y)


_CHECKS: tuple[Callable[[Any], None], ...] = (
    check_fit_returns_self,
    check_unfitted_raises,
    check_fit_idempotent,
    check_init_parameters_kept,
    check_pickle,
    check_version_stamp,
    check_subset_invariance,
    check_input_not_modified,
    check_containers,
    check_one_image,
    check_odd_images,
    check_output_type,
    check_bad_items_listed,
    check_bad_containers,
    check_truncated_file,
    check_reference_mask_not_read,
    check_n_jobs,
    check_memory,
    check_set_output,
    check_process_untouched,
    check_labels_are_no_masks,
    check_segmenter_scores,
    check_masks_of_other_sizes,
    check_classifier,
)


def _data_free(name: str) -> Callable[[Any], None]:
    def check(estimator: Any) -> None:
        getattr(estimator_checks, name)(type(estimator).__name__, clone(estimator))

    check.__name__ = name
    check.__doc__ = f"scikit-learn's {name}."
    return check


def image_checks(estimator: Any) -> list[Callable[[Any], None]]:
    """List the checks that apply to an estimator of images.

    Parameters
    ----------
    estimator : estimator
        An image-to-image step, a segmenter, a featurizer or a classifier.

    Returns
    -------
    list of callable
        Each takes the estimator (which it clones) and raises AssertionError if
        a promise is not kept: scikit-learn's checks that need no data, and the
        image versions of the others.
    """
    names = [
        name
        for name in _DATA_FREE
        if hasattr(estimator_checks, name)  # some came or went between versions of scikit-learn
        and not (isinstance(estimator, _BaseComposition) and name in _NOT_FOR_COMPOSITIONS)
    ]
    return [*map(_data_free, names), *_CHECKS]


def check_image_estimator(estimator: Any) -> None:
    """Run all checks on an estimator of images, ours or somebody else's.

    Parameters
    ----------
    estimator : estimator
        An image-to-image step, a segmenter, a featurizer or a classifier made on
        the bases in `skinseg.base`, or with the same interface.

    Raises
    ------
    AssertionError
        If one of the promises is not kept.

    Examples
    --------
    >>> from skinseg import ImageResizer
    >>> from skinseg.testing import check_image_estimator
    >>> check_image_estimator(ImageResizer(32))
    """
    for check in image_checks(estimator):
        check(estimator)
