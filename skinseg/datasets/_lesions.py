"""Synthetic lesions with known outlines and classes."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
import pandas as pd
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, validate_params

from .. import synthesis

__all__ = ["make_lesions"]

_SITES = ("anterior torso", "posterior torso", "lower extremity", "upper extremity", "head/neck")
_DESCR = """Synthetic dermoscopic lesions of skinseg.datasets.make_lesions

Drawn, not photographed: for tests, examples and first steps. What a model
scores on them says nothing about patients. Melanomas (target 1) are drawn
more irregular, more asymmetric, larger and with more colors than benign
lesions (target 0), with overlap. `frame` has every property as it was dialed.
"""


@validate_params(
    {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "min_side": [Interval(Integral, 32, None, closed="left")],
        "max_side": [Interval(Integral, 32, None, closed="left")],
        "melanoma_fraction": [Interval(Real, 0, 1, closed="both")],
        "hair_fraction": [Interval(Real, 0, 1, closed="both")],
        "class_sep": [Interval(Real, 0, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def make_lesions(
    n_samples: int = 100,
    *,
    random_state: int | np.random.RandomState | None = None,
    min_side: int = 160,
    max_side: int = 288,
    melanoma_fraction: float = 0.3,
    hair_fraction: float = 0.3,
    class_sep: float = 1.0,
) -> Bunch:
    """Draw synthetic dermoscopic images with known outlines and classes.

    Parameters
    ----------
    n_samples : int, default=100
        Number of images, at least 1.
    random_state : int, RandomState instance or None, default=None
        Seed; the same seed gives the same bytes.
    min_side, max_side : int, default=160, 288
        Range of the longer side in pixels, at least 32; sizes and aspect
        ratios differ from image to image.
    melanoma_fraction : float, default=0.3
        Share of melanomas, in [0, 1]; at least one of each class is drawn
        where it lies strictly between and ``n_samples`` is above 1.
    hair_fraction : float, default=0.3
        Share of images with hair, in [0, 1].
    class_sep : float, default=1.0
        How far the classes are apart; at 0 they are drawn alike.

    Returns
    -------
    data : Bunch
        With the attributes

        images : list of ndarray of shape (H, W, 3), uint8
            The images, of differing sizes.
        masks : list of ndarray of shape (H, W), bool
            The true outlines.
        target : ndarray of shape (n_samples,), int
            1 for melanoma, 0 for benign.
        target_names : list of str
            ``["benign", "melanoma"]``.
        groups : ndarray of shape (n_samples,), int
            The lesion that an image shows.
        frame : DataFrame
            The properties dialed (``diameter_px``, ``irregularity``,
            ``asymmetry``, ``n_colors``, ``contrast``, ``tone``, ``n_hairs``),
            the clinical columns ``age_approximate``, ``sex`` and ``site``, and
            ``target``.
        DESCR : str
            Description.

    Examples
    --------
    >>> from skinseg.datasets import make_lesions
    >>> data = make_lesions(5, random_state=0)
    >>> len(data.images), data.images[0].dtype, data.target.shape
    (5, dtype('uint8'), (5,))
    """
    if min_side > max_side:
        raise ValueError(f"min_side must not be above max_side, got {min_side} and {max_side}")
    seeder = check_random_state(random_state)
    rng = np.random.default_rng(seeder.randint(0, 2**31 - 1, size=4))
    n_melanoma = round(melanoma_fraction * n_samples)
    if 0 < melanoma_fraction < 1 and n_samples > 1:
        n_melanoma = min(max(n_melanoma, 1), n_samples - 1)
    target = rng.permutation(np.arange(n_samples) < n_melanoma).astype(np.int64)
    images, masks, rows = [], [], []
    for label in target:
        image, mask, row = _draw(int(label), rng, min_side, max_side, hair_fraction, class_sep)
        images.append(image)
        masks.append(mask)
        rows.append(row)
    return Bunch(
        images=images,
        masks=masks,
        target=target,
        target_names=["benign", "melanoma"],
        groups=np.arange(n_samples),
        frame=pd.DataFrame(rows).assign(target=target),
        DESCR=_DESCR,
    )


def _draw(
    label: int, rng: np.random.Generator, min_side: int, max_side: int, hair_fraction: float, class_sep: float
) -> tuple[np.ndarray, np.ndarray, dict[str, object]]:
    """Draw one image of a class, with its mask and its properties."""
    side = int(rng.integers(min_side, max_side + 1))
    shape = max(24, round(side * rng.choice([0.67, 0.75, 1.0]))), side
    risk = 1.3 * label * class_sep + rng.normal(0, 0.4)
    irregularity = float(np.clip(0.15 + 0.28 * risk + rng.normal(0, 0.1), 0, 1))
    asymmetry = float(np.clip(0.15 + 0.4 * risk + rng.normal(0, 0.15), 0, 1))
    n_colors = int(np.clip(np.rint(1.7 + 1.3 * risk + rng.normal(0, 0.5)), 1, 6))
    diameter = float(min(shape) * np.clip(0.42 + 0.1 * risk + rng.normal(0, 0.1), 0.2, 0.75))
    ground = str(rng.choice(["light_brown", "dark_brown"], p=[0.6, 0.4]))
    others = [color for color in synthesis.LESION_COLORS if color != ground]
    colors = [ground, *rng.choice(others, n_colors - 1, replace=False, p=[0.4, 0.2, 0.15, 0.15, 0.1])]
    tone, contrast = float(rng.beta(1.2, 2.5)), float(rng.uniform(0.7, 1.1))
    skin = synthesis.draw_skin(shape, tone, rng)
    room = np.maximum(np.array(shape) / 2 - 0.6 * diameter, 0)
    center = np.array(shape) / 2 + rng.uniform(-0.5, 0.5, 2) * room
    scene, mask = synthesis.draw_lesion(
        skin,
        rng,
        diameter=diameter,
        center=(float(center[0]), float(center[1])),
        irregularity=irregularity,
        asymmetry=asymmetry,
        colors=[str(color) for color in colors],
        contrast=contrast,
        edge=float(rng.uniform(0.03, 0.12)),
    )
    n_hairs = int(rng.integers(3, 15)) if rng.random() < hair_fraction else 0
    if n_hairs:
        scene, _ = synthesis.draw_hair(scene, n_hairs, rng)
    row = {
        "diameter_px": diameter,
        "irregularity": irregularity,
        "asymmetry": asymmetry,
        "n_colors": n_colors,
        "contrast": contrast,
        "tone": tone,
        "n_hairs": n_hairs,
        "age_approximate": float(
            np.clip(5 * np.rint((45 + 12 * label * min(class_sep, 1) + rng.normal(0, 14)) / 5), 5, 90)
        ),
        "sex": str(rng.choice(["female", "male"])),
        "site": str(rng.choice(_SITES)),
    }
    return synthesis.to_image(scene, rng), mask, row
