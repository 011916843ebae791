"""What an experiment evaluates: names, files and estimators, and what they are for."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from sklearn.base import clone, is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.utils import get_tags

from .. import segmentation
from .._files import write_file
from .._names import MODELS, SEGMENTERS
from ..base import nested_estimators
from ..networks import packaged_network
from ..persistence import load, save
from ..pipeline import BatchedPipeline, outlining_part
from ..pretrained import PretrainedClassifier, load_pretrained

__all__ = ["ModelUnderTest", "resolve_models"]

TASKS = ("segmentation", "classification")


@dataclass
class ModelUnderTest:
    """A model of an experiment.

    Parameters
    ----------
    label : str
        Its name in tables and files.
    estimator : estimator
        As given.
    source : dict
        Where it is from: ``name``, ``file`` or ``object``, for the record.
    kept : Path, default=None
        File of an object that an earlier experiment has kept.
    """

    label: str
    estimator: Any
    source: dict[str, Any] = field(default_factory=dict)
    kept: Path | None = None

    @property
    def is_packaged(self) -> bool:
        """Whether a part of it was trained by the authors of the package."""
        kinds = (PretrainedClassifier, segmentation.PretrainedSegmenter)
        return any(isinstance(part, kinds) for part in nested_estimators(self.estimator))

    @property
    def purpose(self) -> str:
        """Tell what it is for: ``"segmentation"`` or ``"classification"``."""
        model = self.estimator
        return "classification" if is_classifier(model) or hasattr(model, "classes_") else "segmentation"

    def for_task(self, task: str, *, fitted: bool) -> Any:
        """Give the estimator for a task, to be used as it is or to be fitted anew.

        Parameters
        ----------
        task : {"segmentation", "classification"}
            What it is to do.
        fitted : bool
            Whether it is used as it is.

        Returns
        -------
        estimator
            Of a classifier, with ``task="segmentation"``, the part that
            outlines; without what was frozen around it, if it is to be fitted.

        Raises
        ------
        ValueError
            If it cannot do that.
        """
        model = self.estimator
        if task == "classification" and self.purpose != task:
            raise ValueError(
                f"the model {self.label!r} ({type(model).__name__}) outlines lesions and gives no classes; leave it "
                "out, or evaluate it with task='segmentation'"
            )
        if not fitted:
            return clone(_thaw(model))
        if task == "segmentation" and self.purpose != task:
            part = outlining_part(model)
            if part is model:
                raise ValueError(f"the model {self.label!r} ({type(model).__name__}) has no part that outlines lesions")
            model = part
        _check_fitted(model, self.label)
        return deepcopy(model)  # its settings of workers and errors are changed

    def store(self, folder: Path) -> None:
        """Keep an estimator that came as an object, so that the experiment can be run again from its folder."""
        if "object" not in self.source:
            return
        path = folder / "models" / f"{self.label}.skops"
        path.parent.mkdir(exist_ok=True)
        try:
            if self.kept is not None:
                write_file(path, Path(self.kept).read_bytes())
            else:
                save(self.estimator, path)
                load(path)
        except Exception as error:  # of a foreign estimator: any; it can be given again in Python
            path.unlink(missing_ok=True)
            if not any(path.parent.iterdir()):
                path.parent.rmdir()
            self.source["not_kept"] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            return
        self.source.update(object=f"models/{path.name}", sha256=sha256_of(path))


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _packaged_sha256(name: str) -> str:
    """SHA-256 of the numbers of a packaged classifier, as its own file states and loading has checked."""
    stated = json.loads((files("skinseg") / "weights" / f"{name}.json").read_bytes())
    return str(stated["sha256"])


def _thaw(model: Any) -> Any:
    """Take off what keeps a saved model from being fitted again: a fixed threshold, and the frozen model in it."""
    while isinstance(model, (FixedThresholdClassifier, FrozenEstimator)):
        model = model.estimator
    return model


def _check_fitted(model: Any, label: str) -> None:
    unready = getattr(model, "__sklearn_is_fitted__", None)
    needs = get_tags(model).requires_fit if hasattr(model, "__sklearn_tags__") else True
    ready = unready() if unready is not None else any(name.endswith("_") for name in vars(model))
    if isinstance(model, FrozenEstimator):
        return _check_fitted(model.estimator, label)
    if needs and not ready:
        learns = "" if isinstance(model, BatchedPipeline) else " and learns from data"
        raise ValueError(
            f"the model {label!r} ({type(model).__name__}) is not fitted{learns}; fit it first, or choose a split by "
            "which it is fitted (folds, or a column of training and test images)"
        )
    return None


def _make(item: Any) -> tuple[str, Any, dict[str, Any]]:
    """Give label, estimator and source of one model."""
    if isinstance(item, ModelUnderTest):
        return item.label, item.estimator, item.source
    if isinstance(item, (str, os.PathLike)):
        name = str(item)
        if name in SEGMENTERS:
            digest = {"sha256": packaged_network().sha256} if name == "pretrained" else {}
            return name, getattr(segmentation, SEGMENTERS[name])(), {"name": name} | digest
        if name in MODELS:
            return name, load_pretrained(name), {"name": name, "sha256": _packaged_sha256(name)}
        path = Path(item)
        if not path.is_file():
            raise ValueError(
                f"{name!r} is neither the name of a model ({', '.join([*SEGMENTERS, *MODELS])}) nor a model file"
            )
        return path.stem, load(path), {"file": str(path), "sha256": sha256_of(path)}
    if isinstance(item, type) or not hasattr(item, "get_params"):
        raise TypeError(f"a model must be a name, a model file or an estimator, got {item!r}")
    return type(item).__name__, item, {"object": None}


def _kept(item: Any) -> Path | None:
    return item.kept if isinstance(item, ModelUnderTest) else None


def resolve_models(models: Any) -> list[ModelUnderTest]:
    """Make the models of an experiment from names, files and estimators.

    Parameters
    ----------
    models : str, path-like, estimator, sequence of these, or mapping of str to these
        The models; the keys of a mapping are their labels.

    Returns
    -------
    list of ModelUnderTest
        With labels that differ.
    """
    if isinstance(models, Mapping):
        made = [(str(label), *_make(item)[1:], _kept(item)) for label, item in models.items()]
    else:
        items = models if isinstance(models, Sequence) and not isinstance(models, str) else [models]
        made = [(*_make(item), _kept(item)) for item in items]
    if not made:
        raise ValueError("give at least one model")
    found: list[ModelUnderTest] = []
    taken: set[str] = set()
    for label, estimator, source, kept in made:
        plain = re.sub(r"[^\w.+-]+", "_", label).strip(".") or "model"
        unique, count = plain, 2
        while unique in taken:
            unique, count = f"{plain}-{count}", count + 1
        taken.add(unique)
        found.append(ModelUnderTest(unique, estimator, source | {"class": type(estimator).__name__}, kept))
    return found


def task_of(models: Sequence[ModelUnderTest], task: str | None) -> str:
    """Tell the task, from what the models are for if it is not given."""
    if task is not None:
        if task not in TASKS:
            raise ValueError(f"task must be {' or '.join(map(repr, TASKS))}, got {task!r}")
        return task
    found = {model.purpose for model in models}
    if len(found) > 1:
        kinds = ", ".join(f"{model.label}: {model.purpose}" for model in models)
        raise ValueError(f"the models are for several tasks ({kinds}); say which task, or evaluate them one by one")
    return found.pop()
