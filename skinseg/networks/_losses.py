"""Losses and the metric of training. Each function gives one value an image, of which Keras takes the mean.

The target of a network that outlines lesions is (n, H, W, 2): the lesion, from 0 to 1, and 1 where the pixel counts, 0
outside of the image. That of one that tells classes apart is (n, n_classes): the class as probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ._backend import import_keras

__all__ = ["CLASS_LOSSES", "LOSSES", "jaccard", "make_class_loss", "make_loss"]

LOSSES = ("bce", "bce_dice", "bce_jaccard", "dice", "focal_tversky", "jaccard")
CLASS_LOSSES = ("cross_entropy", "focal")
_SMOOTH = 1.0  # pixels; an empty mask has a defined overlap, and a gradient that empties the prediction
_TINY = 1e-7
_MISSED, _FALSE, _FOCUS = 0.7, 0.3, 0.75  # alpha, beta and 1 / gamma of Abraham & Khan 2019
_GAMMA = 2  # of Lin et al. 2017

Tensor = Any
Loss = Callable[[Tensor, Tensor], Tensor]


def _sums(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Soft counts of an image: both, lesion, prediction."""
    ops = import_keras().ops
    lesion, known = y_true[..., :1], y_true[..., 1:]
    axes = (1, 2, 3)
    both = ops.sum(known * lesion * y_pred, axes)
    return both, ops.sum(known * lesion, axes), ops.sum(known * y_pred, axes)


def _cross_entropy(weights: tuple[float, float]) -> Loss:
    def bce(y_true: Tensor, y_pred: Tensor) -> Tensor:
        ops = import_keras().ops
        lesion, known = y_true[..., :1], y_true[..., 1:]
        p = ops.clip(y_pred, _TINY, 1 - _TINY)
        entropy = -(weights[1] * lesion * ops.log(p) + weights[0] * (1 - lesion) * ops.log(1 - p))
        return ops.sum(known * entropy, (1, 2, 3)) / (ops.sum(known, (1, 2, 3)) + _TINY)

    return bce


def _soft_dice(y_true: Tensor, y_pred: Tensor) -> Tensor:
    both, lesion, predicted = _sums(y_true, y_pred)
    return 1 - (2 * both + _SMOOTH) / (lesion + predicted + _SMOOTH)


def _soft_jaccard(y_true: Tensor, y_pred: Tensor) -> Tensor:
    both, lesion, predicted = _sums(y_true, y_pred)
    return 1 - (both + _SMOOTH) / (lesion + predicted - both + _SMOOTH)


def _focal_tversky(y_true: Tensor, y_pred: Tensor) -> Tensor:
    ops = import_keras().ops
    both, lesion, predicted = _sums(y_true, y_pred)
    index = (both + _SMOOTH) / (both + _MISSED * (lesion - both) + _FALSE * (predicted - both) + _SMOOTH)
    return ops.clip(1 - index, _TINY, 1) ** _FOCUS  # the power has no slope at 0


def make_loss(name: str = "bce_jaccard", *, class_weight: tuple[float, float] = (1.0, 1.0)) -> Loss:
    """Make a loss for maps of probabilities.

    Parameters
    ----------
    name : {"bce", "bce_dice", "bce_jaccard", "dice", "focal_tversky", "jaccard"}, default="bce_jaccard"
        Binary cross-entropy, 1 minus the soft Dice or Jaccard index of an image,
        the sum of cross-entropy and one of these, or the focal Tversky loss
        (with 0.7 for missed and 0.3 for false pixels, and the power 3/4).
    class_weight : tuple of (float, float), default=(1.0, 1.0)
        Weights of skin and of lesion in the cross-entropy.

    Returns
    -------
    callable
        From targets (n, H, W, 2), see the module, and predictions (n, H, W, 1)
        to n losses.

    Raises
    ------
    ValueError
        If there is no such loss.

    References
    ----------
    F. Milletari, N. Navab, S. Ahmadi, "V-Net", 3DV 2016, 565-571 (Dice);
    M. Rahman, Y. Wang, "Optimizing intersection-over-union in deep neural
    networks for image segmentation", ISVC 2016, 234-244; N. Abraham, N. Khan,
    "A novel focal Tversky loss function with improved attention U-Net for
    lesion segmentation", ISBI 2019, 683-687.
    """
    if name not in LOSSES:
        raise ValueError(f"loss must be one of {LOSSES}, got {name!r}")
    parts: dict[str, Loss] = {
        "bce": _cross_entropy(class_weight),
        "dice": _soft_dice,
        "jaccard": _soft_jaccard,
        "focal_tversky": _focal_tversky,
    }
    chosen = [parts[part] for part in ((name,) if name in parts else name.split("_"))]

    def loss(y_true: Tensor, y_pred: Tensor) -> Tensor:
        return sum(part(y_true, y_pred) for part in chosen)

    return loss


def make_class_loss(name: str = "cross_entropy", *, class_weight: Sequence[float] | None = None) -> Loss:
    """Make a loss for probabilities of classes.

    Parameters
    ----------
    name : {"cross_entropy", "focal"}, default="cross_entropy"
        Cross-entropy, or the focal loss: the cross-entropy of each class times
        (1 - its probability) ** 2, by which images that are told rightly and
        surely count little.
    class_weight : sequence of float, default=None
        What the share of each class in the loss is multiplied by; 1 if None.

    Returns
    -------
    callable
        From targets (n, n_classes), the class as probabilities, and predictions
        of the same shape to n losses.

    Raises
    ------
    ValueError
        If there is no such loss.

    References
    ----------
    T. Lin, P. Goyal, R. Girshick, K. He, P. Dollar, "Focal loss for dense object
    detection", ICCV 2017, 2999-3007.
    """
    if name not in CLASS_LOSSES:
        raise ValueError(f"loss must be one of {CLASS_LOSSES}, got {name!r}")
    weights = None if class_weight is None else [float(weight) for weight in class_weight]

    def loss(y_true: Tensor, y_pred: Tensor) -> Tensor:
        ops = import_keras().ops
        p = ops.clip(y_pred, _TINY, 1.0)
        terms = -y_true * ops.log(p)
        if name == "focal":
            terms = terms * (1 - p) ** _GAMMA
        return ops.sum(terms if weights is None else terms * ops.convert_to_tensor(weights, "float32"), -1)

    return loss


def jaccard(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Jaccard index of each image, of masks cut at one half: what training shows.

    Parameters
    ----------
    y_true : tensor of shape (n, H, W, 2)
        Lesion, and where it is known.
    y_pred : tensor of shape (n, H, W, 1)
        Probabilities.

    Returns
    -------
    tensor of shape (n,)
        The indices; 1 where both masks are empty.
    """
    ops = import_keras().ops
    known = y_true[..., 1:]
    lesion = known * ops.cast(y_true[..., :1] >= 0.5, "float32")
    predicted = known * ops.cast(y_pred >= 0.5, "float32")
    both = ops.sum(lesion * predicted, (1, 2, 3))
    union = ops.sum(lesion + predicted, (1, 2, 3)) - both
    return ops.where(union > 0, both / ops.maximum(union, 1.0), 1.0)
