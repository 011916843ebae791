"""Saving and loading models without running code from the file."""

from __future__ import annotations

import io
import os
import warnings
import zipfile
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import skops.io
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils._metadata_requests import SIMPLE_METHODS

from . import classification, clinical, features, metrics, pipeline, preprocessing, pretrained, segmentation
from ._files import write_file
from ._foreign import NOT_STORED, check_arrays, check_calls, check_size, forget_folders
from ._quiet import ignored_warnings
from .base import nested_estimators
from .exceptions import ModelFileError, SkinsegWarning

__all__ = ["load", "save"]

# what models hold besides the classes that skops trusts by itself: all plain data, none of it runs code from the file
_TRUSTED_OTHERS = frozenset({
    "functools.partial",
    "imblearn.pipeline.Pipeline",
    "numpy.dtype",
    "numpy.mean",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.cluster._bisect_k_means._BisectingTree",
    "sklearn.cluster._kmeans._kmeans_single_lloyd",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.feature_selection._mutual_info.mutual_info_classif",
    "sklearn.feature_selection._mutual_info.mutual_info_regression",
    "sklearn.feature_selection._univariate_selection.chi2",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.feature_selection._univariate_selection.f_regression",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.RBF",
    "sklearn.metrics._classification.balanced_accuracy_score",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._ranking.roc_auc_score",
    "sklearn.metrics._scorer._CurveScorer",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.model_selection._split.GroupKFold",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.StratifiedGroupKFold",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.multiclass._ConstantPredictor",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
    "sklearn.utils.validation.check_array",
})  # fmt: skip


def _own_types() -> set[str]:
    """Names of the classes and functions of skinseg that a model may hold."""
    modules = (classification, features, pipeline, preprocessing, pretrained, segmentation)
    items = [item for module in modules for name in module.__all__ if isinstance(item := getattr(module, name), type)]
    # functions that select columns, and scores, which a search holds in its scorer
    others = [getattr(module, name) for module in (clinical, metrics) for name in module.__all__]
    items += [item for item in others if callable(item)]
    return {f"{item.__module__}.{item.__qualname__}" for item in items}


def _imblearn_types() -> set[str]:
    """Names of the samplers and ensembles of imbalanced-learn."""
    from imblearn.utils.testing import all_estimators  # here, for it imports all of imbalanced-learn

    with ignored_warnings():
        return {f"{item.__module__}.{item.__qualname__}" for _, item in all_estimators()}


def _for_storage(estimator: Any) -> Any:
    """Copy a model without what it does not need any more: fitted samplers, callbacks, folders of caches."""
    copy = deepcopy(estimator)
    for part in nested_estimators(copy):
        _name_owners(part)
        part.set_params(**dict.fromkeys(NOT_STORED & part.get_params(deep=False).keys()))
        if isinstance(part, Pipeline):
            part.steps = [(name, clone(item) if hasattr(item, "fit_resample") else item) for name, item in part.steps]
    return copy


def _name_owners(part: Any) -> None:
    """Let requests of metadata name the class they belong to: they may hold the estimator itself, a circle."""
    held = [item for value in vars(part).values() for item in (value.values() if isinstance(value, dict) else [value])]
    for item in (part, *held):
        request = getattr(item, "_metadata_request", None)
        if request is not None:
            for one in (request, *(getattr(request, method) for method in SIMPLE_METHODS)):
                one.owner = type(item).__name__


def save(estimator: Any, path: str | os.PathLike[str]) -> Path:
    """Save an estimator, such as a fitted pipeline, to a file.

    The file is written in the format of skops: settings and arrays, no code.
    Fitted samplers are left out (they are for fitting only), and so are
    callbacks and the folders of caches and checkpoints. The file appears under its name when it is complete.

    Parameters
    ----------
    estimator : estimator
        A pipeline or any other estimator made of classes of skinseg,
        scikit-learn and imbalanced-learn.
    path : path-like
        The file, usually ending in ``.skops``; it is replaced if it exists.

    Returns
    -------
    Path
        The file.

    See Also
    --------
    load : Opens it.

    Examples
    --------
    >>> import os, tempfile
    >>> import skinseg
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = skinseg.save(skinseg.ThresholdSegmenter("li"), os.path.join(folder.name, "li.skops"))
    >>> skinseg.load(path)
    ThresholdSegmenter(method='li')
    >>> folder.cleanup()
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: the folder does not exist; make it first")
    # a description of many small objects becomes a tenth; weights of networks hardly smaller, and quickly
    write_file(path, skops.io.dumps(_for_storage(estimator), compression=zipfile.ZIP_DEFLATED, compresslevel=1))
    return path


def load(path: str | os.PathLike[str], *, trusted: Sequence[str] = ()) -> Any:
    """Load an estimator from a file written by `save`.

    Nothing in the file is run: only classes of scikit-learn, numpy, scipy,
    skinseg and imbalanced-learn are made from it, and those named in
    ``trusted``. Trees whose nodes lead outside of them are refused, for
    compiled code follows them without looking, and folders of caches, which
    `save` does not store, are not taken from a file. (A joblib or pickle file,
    on the other hand, can run anything and must not be opened if it comes from
    a stranger.)

    Parameters
    ----------
    path : path-like
        The file.
    trusted : sequence of str, default=()
        Full names of further classes to make.

    Returns
    -------
    estimator
        The estimator.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ModelFileError
        A ValueError, if it is no model file, is damaged, or holds classes that
        are not trusted (they are named).

    Warns
    -----
    VersionMismatchWarning
        If the file was saved by another version of skinseg, or features or
        packaged networks are not those it was fitted with.
    SkinsegWarning
        If it names folders of caches or checkpoints, or callbacks: they are set to None.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the model file does not exist")
    content = path.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            check_size(packed, len(content))
        asked = set(skops.io.get_untrusted_types(data=content))
    except Exception as error:  # of a file that may hold anything
        raise _not_a_model(path, error) from None
    allowed = _own_types() | _TRUSTED_OTHERS | set(trusted)
    if any(name.startswith("imblearn.") for name in asked - allowed):
        allowed |= _imblearn_types()
    if asked - allowed:
        raise ModelFileError(
            f"{path} holds classes that are not trusted: {', '.join(sorted(asked - allowed))}. "
            "If you know where the file comes from, name them in load(path, trusted=[...])"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            check_calls(packed, asked)
        model = skops.io.loads(content, trusted=sorted(asked))
        if not hasattr(model, "get_params"):
            raise TypeError(f"it holds {type(model).__name__}, which is no estimator")
        forgotten = forget_folders(model)
        check_arrays(model)
    except (Warning, ModelFileError):  # warnings that are errors say what they have to say
        raise
    except Exception as error:
        raise _not_a_model(path, error) from None
    if forgotten:
        warnings.warn(
            f"{path} gives {', '.join(forgotten)}, which skinseg.save does not store; set to None, for a cache from "
            "elsewhere can run anything",
            SkinsegWarning,
            stacklevel=2,
        )
    return model


def _not_a_model(path: Path, error: Exception) -> ModelFileError:
    what = str(error) or type(error).__name__
    return ModelFileError(f"{path}: this is not a model saved by skinseg.save, or it is damaged ({what})")
