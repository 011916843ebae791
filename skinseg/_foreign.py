"""What is looked at in a model of a file from elsewhere before it is handed out.

The list of classes in `skinseg.persistence` says what may be made of a file;
this module looks into what was made. Two things in it could do harm without
a strange class: the arrays of trees, from which compiled code takes positions in
memory without looking, and folders of caches, whose files are pickles.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Collection, Iterator
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from sklearn.cluster._kmeans import _BaseKMeans
from sklearn.ensemble import IsolationForest
from sklearn.ensemble._forest import BaseForest
from sklearn.ensemble._gb import BaseGradientBoosting
from sklearn.svm._base import BaseLibSVM

__all__ = ["NOT_STORED", "check_arrays", "check_calls", "check_size", "forget_folders", "objects_of"]

# parameters of this machine, or of fitting only
NOT_STORED = frozenset({"cache", "callbacks", "checkpoint_dir", "memory"})
_LARGEST = 4 << 30  # bytes; a forest of 1,000 deep trees has less
# kinds of nodes that call nothing
_NO_CALL = frozenset({"CachedNode", "FunctionNode", "JsonNode", "MethodNode", "SliceNode", "TypeNode"})
_WORDS = 8  # of 32 bits each, in a set of categories
_TIGHTEST = 50  # arrays of a model are hardly ever packed more tightly; zeros are, 1,000 to 1


def check_size(packed: zipfile.ZipFile, n_bytes: int) -> None:
    """Refuse an archive that is small and says that it becomes large.

    Parameters
    ----------
    packed : ZipFile
        The archive.
    n_bytes : int
        Its size.

    Raises
    ------
    ValueError
        If unpacked it is above 4 GiB and more than 50 times as large.
    """
    unpacked = sum(info.file_size for info in packed.infolist())
    if unpacked > max(_LARGEST, _TIGHTEST * n_bytes):
        raise ValueError(f"{n_bytes:,} bytes say that they become {unpacked:,}")


def check_calls(packed: zipfile.ZipFile, trusted: Collection[str]) -> None:
    """Refuse a description that would call a function, where a model only holds it.

    skops makes objects by calling what a node names, with the arguments of the
    file; to functions on the list, and compiled code below them, any would be
    given.

    Parameters
    ----------
    packed : ZipFile
        A model file.
    trusted : collection of str
        Full names that may be made; their modules may be imported.

    Raises
    ------
    ValueError
        If a node that makes an object names no class.
    """
    waiting: list[Any] = [json.loads(packed.read("schema.json"))]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            waiting.extend(item.values())
            if "__loader__" in item and item["__loader__"] not in _NO_CALL:
                module, name = str(item.get("__module__")), str(item.get("__class__"))
                if f"{module}.{name}" in trusted:
                    import_module(module)  # skops would, only then is it known what the name stands for
                named = getattr(sys.modules.get(module), name, None)
                _require(named is None or isinstance(named, type), f"{module}.{name} is called, which is no class")


def objects_of(model: Any) -> Iterator[Any]:
    """Walk over all that a model holds: attributes, items of containers and of arrays of objects.

    Parameters
    ----------
    model : object
        Such as a fitted pipeline.

    Yields
    ------
    object
        Each once, the model first.
    """
    waiting, seen = [model], set()
    while waiting:
        item = waiting.pop()
        if id(item) in seen or isinstance(item, type):
            continue
        seen.add(id(item))
        yield item
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, (list, tuple, set, frozenset)):
            waiting.extend(item)
        elif isinstance(item, np.ndarray):
            waiting.extend(item.ravel().tolist() if item.dtype == object else ())
        else:
            if isinstance(item, partial):
                waiting.extend((item.func, item.args, item.keywords))
            waiting.extend(getattr(item, "__dict__", {}).values())


def forget_folders(model: Any) -> list[str]:
    """Set to None what `skinseg.save` does not store: caches, callbacks, checkpoints.

    A cache holds pickles, so that a file which names one could have them read.

    Parameters
    ----------
    model : object
        A model of a file; it is changed.

    Returns
    -------
    list of str
        Names of the parameters that were set, sorted.
    """
    found = set()
    for item in objects_of(model):
        if hasattr(item, "get_params"):
            for name in NOT_STORED & vars(item).keys():
                if vars(item)[name] is not None:
                    setattr(item, name, None)
                    found.add(name)
    return sorted(found)


def check_arrays(model: Any) -> None:
    """Refuse trees whose positions lead out of them, and arrays of compiled models that do not fit each other.

    scikit-learn's compiled code follows the nodes of a tree, and takes columns
    of the samples, without looking whether they are there.

    Parameters
    ----------
    model : object
        A model of a file.

    Raises
    ------
    ValueError
        If a position is outside, a branch leads back, or an ensemble has other columns or results than its trees.
    """
    owned: set[int] = set()
    for item in objects_of(model):
        name = type(item).__name__
        if type(getattr(item, "tree_", None)).__name__ == "Tree":
            owned.add(id(item.tree_))
            _check_tree(item.tree_.__getstate__()["nodes"], min(item.n_features_in_, item.tree_.n_features))
        # other ensembles let each of their parts look at what it is given, which may be more columns than theirs
        if isinstance(item, (BaseForest, BaseGradientBoosting, IsolationForest)) and hasattr(item, "estimators_"):
            _check_forest(item)
        for predictor in objects_of(getattr(item, "_predictors", [])):
            if type(predictor).__name__ == "TreePredictor":
                owned.add(id(predictor))
                _check_predictor(predictor, item.n_features_in_, item._bin_mapper.is_categorical_)
        if name in ("BallTree", "KDTree"):
            _check_neighbors(item)
        _check_sizes(item)
    for item in objects_of(model):
        if type(item).__name__ in ("Tree", "TreePredictor") and id(item) not in owned:
            raise ValueError(f"a {type(item).__name__} belongs to no estimator")
    for item in objects_of(model):  # when all that they hold is known to be sound
        if isinstance(item, BaseGradientBoosting) and hasattr(item, "estimators_"):
            first = item._raw_predict_init(np.zeros((1, item.n_features_in_), dtype=np.float32))
            _require(first.shape == (1, item.estimators_.shape[1]), "boosting has more trees a step than results")


def _require(right: Any, what: str) -> None:
    if not np.all(right):
        raise ValueError(f"{what}: the file is damaged, or made to do harm")


def _check_tree(nodes: np.ndarray, n_features: int) -> None:
    inner = nodes["left_child"] != -1
    _require(nodes.size > 0, "a tree has no node")
    _check_children(nodes["left_child"][inner], nodes["right_child"][inner], np.flatnonzero(inner), len(nodes))
    used = nodes["feature"][inner]
    _require((used >= 0) & (used < n_features), f"a tree looks at a column outside of {n_features}")


def _check_children(left: np.ndarray, right: np.ndarray, parents: np.ndarray, n_nodes: int) -> None:
    """Children come after their parent, as all trees are grown, so that no branch goes round for ever."""
    for side in (left.astype(np.int64), right.astype(np.int64)):
        _require((side > parents) & (side < n_nodes), "a branch of a tree leads to no node")


def _check_forest(ensemble: Any) -> None:
    """Trees of an ensemble are given samples which only the ensemble has looked at."""
    for part in np.ravel(np.asarray(ensemble.estimators_, dtype=object)):
        if hasattr(part, "tree_"):
            n_features = ensemble.n_features_in_
            _require(part.n_features_in_ <= n_features, f"trees of an ensemble of {n_features} columns have more")


def _check_predictor(predictor: Any, n_features: int, categorical: np.ndarray) -> None:
    nodes = predictor.nodes
    inner = nodes["is_leaf"] == 0
    _require(nodes.size > 0, "a tree has no node")
    _check_children(nodes["left"][inner], nodes["right"][inner], np.flatnonzero(inner), len(nodes))
    used = nodes["feature_idx"][inner]
    _require((used >= 0) & (used < n_features), f"a tree looks at a column outside of {n_features}")
    _require(np.shape(categorical) == (n_features,), "boosting knows of other columns")
    of_sets = inner & (nodes["is_categorical"] != 0)
    _require(categorical[nodes["feature_idx"][of_sets]], "a tree looks for categories in a column of numbers")
    for bits in (predictor.raw_left_cat_bitsets, predictor.binned_left_cat_bitsets):
        _require(bits.shape[1] == _WORDS, "categories of a tree are cut short")
        _require(nodes["bitset_idx"][of_sets] < len(bits), "a tree looks at a category outside")


def _check_neighbors(tree: Any) -> None:
    data, order, nodes, bounds = (np.asarray(array) for array in tree.get_arrays())
    n_samples, n_nodes = len(data), len(nodes)
    _require(np.array_equal(np.sort(order), np.arange(n_samples)), "a tree of neighbors does not name each sample once")
    _require(n_nodes == tree.__getstate__()[6] and bounds.shape[1] == n_nodes, "a tree of neighbors has other nodes")
    sides = 2 if type(tree).__name__ == "KDTree" else 1  # of a box, or the middle of a ball
    _require(bounds.shape[0] == sides and bounds.shape[2] == data.shape[1], "a tree of neighbors has other columns")
    _require(
        (nodes["idx_start"] >= 0) & (nodes["idx_start"] <= nodes["idx_end"]) & (nodes["idx_end"] <= n_samples),
        "a node of a tree of neighbors leads outside",
    )
    last = 2 * np.arange(n_nodes) + 2 >= n_nodes
    _require(nodes["is_leaf"][last] != 0, "a branch of a tree of neighbors leads to no node")


def _check_sizes(item: Any) -> None:
    if isinstance(item, BaseLibSVM) and hasattr(item, "_dual_coef_"):
        _check_machine(item)
    if isinstance(item, _BaseKMeans) and hasattr(item, "cluster_centers_"):
        _require(item.cluster_centers_.shape[1] == item.n_features_in_, "centers of clusters have other columns")


def _check_machine(machine: Any) -> None:
    """Look at the sizes that libsvm takes for granted: a coefficient of each vector for each other class, and so on."""
    n_vectors, n_classes = len(machine.support_), len(machine._n_support)
    n_pairs = n_classes * (n_classes - 1) // 2
    _require(
        machine._dual_coef_.shape == (n_classes - 1, n_vectors)
        and np.shape(machine._intercept_) == (n_pairs,)
        and {np.shape(machine._probA), np.shape(machine._probB)} in ({(0,)}, {(n_pairs,)})
        and np.all(machine._n_support >= 0)
        and machine.n_support_.sum() == n_vectors,
        "a support vector machine has other numbers of vectors, classes and coefficients",
    )
    if machine.kernel == "precomputed":
        n_samples = machine.shape_fit_[0]
        _require((machine.support_ >= 0) & (machine.support_ < n_samples), "a support vector is none of the samples")
    else:
        _require(machine.support_vectors_.shape == (n_vectors, machine.n_features_in_), "support vectors are cut short")
