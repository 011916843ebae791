"""Every public estimator of the package, found and not listed by hand."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any

from sklearn.base import BaseEstimator

import skinseg

__all__ = ["all_estimators", "make_instances"]


_TINY_NETWORK: dict[str, Any] = {"input_size": 16, "epochs": 1, "batch_size": 4, "random_state": 0}
# settings to check beside, or in place of, the defaults
_SETTINGS: dict[str, tuple[dict[str, Any], ...]] = {
    "ABCDFeaturizer": ({}, {"segmenter": skinseg.ThresholdSegmenter(), "groups": ("border", "color")}),
    "ABCDRuleClassifier": ({}, {"recalibrate": "threshold"}, {"recalibrate": "weights"}),
    "BCDUNetSegmenter": ({**_TINY_NETWORK, "base_filters": 2, "dense_blocks": 1},),
    "CNNClassifier": (
        {**_TINY_NETWORK, "input_size": 32},
        {**_TINY_NETWORK, "input_size": 32, "view": "lesion", "test_time_augmentation": True},
    ),
    "CNNFeaturizer": ({}, {"view": "image", "batch_size": 2}),
    "ChanVeseSegmenter": ({}, {"start": "mask"}),
    "ColorConstancy": ({}, {"method": "gray_edge", "p": float("inf"), "sigma": 2, "gamma": 2.2}),
    "EfficientUNetSegmenter": ({**_TINY_NETWORK, "input_size": 32, "base_filters": 2},),
    "FrameCropper": ({}, {"mode": "field"}),
    "GrabCutSegmenter": ({}, {"start": "mask"}),
    "HairRemover": ({}, {"method": "dullrazor"}),
    "SuperpixelSegmenter": ({"n_segments": 60, "max_iter": 5, "random_state": 0},),
    "UNetSegmenter": (
        {**_TINY_NETWORK, "depth": 1, "base_filters": 2},
        {**_TINY_NETWORK, "depth": 2, "base_filters": 2, "normalization": "group", "test_time_augmentation": True},
    ),
}


def all_estimators() -> list[tuple[str, type]]:
    """List the public estimators of skinseg.

    Returns
    -------
    list of (str, type) tuples
        Name and class, sorted by name; abstract bases and names that begin
        with an underscore are left out, and so are modules that need packages
        that are not installed.
    """
    found: dict[str, type] = {}
    for module in pkgutil.walk_packages(skinseg.__path__, "skinseg."):
        if any(part.startswith("testing") for part in module.name.split(".")[1:]):
            continue
        try:
            contents = vars(importlib.import_module(module.name))
        except ImportError:
            continue
        found |= {name: item for name, item in contents.items() if _is_public_estimator(name, item)}
    return sorted(found.items())


def _is_public_estimator(name: str, item: Any) -> bool:
    return (
        inspect.isclass(item)
        and issubclass(item, BaseEstimator)
        and item.__module__.startswith("skinseg.")
        and not inspect.isabstract(item)
        and not name.startswith(("_", "Base"))
        and name
        not in (
            "ClassicalSegmenter",
            "ImageEstimator",
            "ImageTransformer",
            "LetterboxedSegmenter",
            "NetworkEstimator",
            "NetworkSegmenter",
            "SkinsegEstimator",
        )
    )


def make_instances(estimator: type) -> list[Any]:
    """Make instances of an estimator class to check, with settings that are quick.

    Parameters
    ----------
    estimator : type
        One of `all_estimators`.

    Returns
    -------
    list of estimators
        One or more.
    """
    name = estimator.__name__
    if name == "BatchedPipeline":
        segmenter = skinseg.ThresholdSegmenter()
        return [
            estimator([("resizer", skinseg.ImageResizer(48)), ("segmenter", segmenter)], batch_size=2),
            estimator([("segmenter", segmenter), ("featurizer", skinseg.ABCDFeaturizer())], batch_size=3),
        ]
    if name == "EnsembleSegmenter":
        learns = skinseg.SuperpixelSegmenter(60, max_iter=5, random_state=0)
        members = [("otsu", skinseg.ThresholdSegmenter()), ("learns", learns)]
        return [estimator(), estimator(members, voting="soft", weights=[1, 2])]
    settings = _SETTINGS.get(name, ({},))
    return [estimator(**setting) for setting in settings]
