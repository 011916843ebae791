"""Synthetic lesions with known outlines, properties and classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from .. import synthesis

__all__ = ["lesion_stream", "make_lesions"]

_SITES = ("anterior torso", "posterior torso", "lower extremity", "upper extremity", "head/neck")
_SITE_WEIGHTS = {0: (0.35, 0.3, 0.2, 0.1, 0.05), 1: (0.2, 0.35, 0.15, 0.1, 0.2)}
_DESCR = """Synthetic dermoscopic lesions of skinseg.datasets.make_lesions

Drawn, not photographed: for tests, examples and first steps. What a model
scores on them says nothing about patients. Melanomas (target 1) are drawn
more irregular, more asymmetric, larger, with more colors, more structures and
more abrupt borders than benign lesions (target 0), with overlap. `frame` has
every property as it was dialed.
"""
_OTHER_COLORS = {"light_brown": 0.3, "dark_brown": 0.3, "black": 0.15, "red": 0.1, "blue_gray": 0.1}


class _Difficulty(NamedTuple):
    """How hard the scene makes it: ranges, and chances of what is in the way."""

    contrast: tuple[float, float]
    darkest_tone: float
    shading: float
    noise: float
    hair: float
    n_hairs: tuple[int, int]
    ruler: float
    ink: float
    sticker: float
    bubbles: float
    vignette: float
    white: float  # weight of white among the colors: lighter than skin, it is what thresholds miss


_DIFFICULTIES = {
    "easy": _Difficulty((0.95, 1.2), 0.3, 0.3, 0.5, 0.0, (1, 2), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "medium": _Difficulty((0.65, 1.1), 1.0, 1.0, 0.8, 0.3, (3, 16), 0.4, 0.05, 0.04, 0.15, 0.3, 0.05),
    "hard": _Difficulty((0.2, 0.55), 1.0, 2.0, 1.5, 0.8, (12, 45), 0.5, 0.25, 0.15, 0.4, 0.6, 0.1),
}
# value for a benign lesion of average risk, rise for each standard deviation of risk, spread that has nothing to do
# with it, lowest, highest
_DIALS = {
    "border_irregularity": (0.2, 0.14, 0.10, 0.0, 1.0),
    "asymmetry_shape": (0.15, 0.14, 0.10, 0.0, 1.0),
    "asymmetry_color": (0.18, 0.18, 0.12, 0.0, 1.0),
    "asymmetry_structure": (0.18, 0.18, 0.12, 0.0, 1.0),
    "n_colors": (1.8, 0.6, 0.4, 1, 6),
    "n_abrupt_octants": (2.0, 1.2, 1.0, 0, 8),
    "n_structures": (1.8, 0.45, 0.5, 1, 5),
    "diameter_mm": (5.0, 1.1, 1.0, 1.5, 14.0),
    "diameter_fraction": (0.45, 0.07, 0.09, 0.15, 0.75),
}
_COUNTS = ("n_colors", "n_abrupt_octants", "n_structures")


def _dialed(name: str, value: Any, n: int) -> np.ndarray | None:
    """Check a dialed property: a number for all lesions, or one for each."""
    if value is None:
        return None
    low, high = _DIALS[name][3:]
    values = np.asarray(value, dtype=float)
    if values.ndim > 1 or (values.ndim == 1 and len(values) != n):
        raise ValueError(f"{name} must be a number or one for each of the {n} lesions, got the shape {values.shape}")
    whole = name not in _COUNTS or np.all(values == np.rint(values))
    if not (np.isfinite(values).all() and (values >= low).all() and (values <= high).all() and whole):
        kind = "whole numbers" if name in _COUNTS else "numbers"
        bad = values if values.ndim == 0 else values[~((values >= low) & (values <= high))][:3]
        raise ValueError(f"{name} must hold {kind} from {low:g} to {high:g}, got {bad}")
    return np.broadcast_to(values, n)


def _names(name: str, value: Sequence[str] | None, known: Sequence[str]) -> list[str] | None:
    if value is None:
        return None
    chosen = [value] if isinstance(value, str) else list(value)
    unknown = [item for item in chosen if item not in known]
    if unknown or len(set(chosen)) != len(chosen) or (name == "colors" and not chosen):
        raise ValueError(f"{name} must be different ones of {list(known)}, got {chosen}")
    return chosen


_CONSTRAINTS: dict[str, list[Any]] = {
    "n_samples": [Interval(Integral, 1, None, closed="left")],
    "random_state": ["random_state"],
    "difficulty": [StrOptions(set(_DIFFICULTIES))],
    "min_side": [Interval(Integral, 32, None, closed="left")],
    "max_side": [Interval(Integral, 32, None, closed="left")],
    "images_per_lesion": [Interval(Integral, 1, None, closed="left")],
    "melanoma_fraction": [Interval(Real, 0, 1, closed="both")],
    "class_sep": [Interval(Real, 0, None, closed="left")],
    "hair_fraction": [Interval(Real, 0, 1, closed="both"), None],
    "tone": [Interval(Real, 0, 1, closed="both"), None],
}


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def lesion_stream(
    n_samples: int = 100,
    *,
    random_state: int | np.random.RandomState | None = None,
    difficulty: str = "medium",
    min_side: int = 160,
    max_side: int = 288,
    images_per_lesion: int = 1,
    melanoma_fraction: float = 0.3,
    class_sep: float = 1.0,
    hair_fraction: float | None = None,
    tone: float | None = None,
    colors: Sequence[str] | None = None,
    structures: Sequence[str] | None = None,
    **dials: Any,
) -> Iterator[Bunch]:
    """Draw synthetic lesions one after the other, for sizes that do not fit into memory.

    Parameters
    ----------
    n_samples, random_state, difficulty, min_side, max_side, images_per_lesion : object
        See `make_lesions`, which gives the same images all at once.
    melanoma_fraction, class_sep, hair_fraction, tone, colors, structures : object
        See `make_lesions`.
    **dials : dict
        The properties that `make_lesions` can dial.

    Returns
    -------
    iterator of Bunch
        Each with ``image``, ``mask``, ``target``, ``group`` and ``properties``
        (a dict, the row of ``frame``).

    Examples
    --------
    >>> from skinseg.datasets import lesion_stream
    >>> [sample.image.shape[2] for sample in lesion_stream(3, random_state=0)]
    [3, 3, 3]
    """
    if min_side > max_side:
        raise ValueError(f"min_side must not be above max_side, got {min_side} and {max_side}")
    unknown = sorted(set(dials) - set(_DIALS))
    if unknown:
        raise TypeError(f"make_lesions has no property {', '.join(unknown)}; it can dial {', '.join(_DIALS)}")
    n_lesions = -(-n_samples // images_per_lesion)
    fixed = {name: _dialed(name, value, n_lesions) for name, value in dials.items()}
    chosen = {
        "colors": _names("colors", colors, tuple(synthesis.LESION_COLORS)),
        "structures": _names("structures", structures, synthesis.STRUCTURES),
    }
    seed = [int(word) for word in check_random_state(random_state).randint(0, 2**31 - 1, size=4)]
    target = _draw_target(n_lesions, melanoma_fraction, np.random.default_rng([*seed, 0]))
    level = _DIFFICULTIES[difficulty]
    if hair_fraction is not None:
        level = level._replace(hair=hair_fraction)

    def generate() -> Iterator[Bunch]:  # apart, so that the checks above run at the call
        for index in range(n_samples):
            lesion, view = divmod(index, images_per_lesion)
            dialed = {name: values[lesion] for name, values in fixed.items() if values is not None}
            # the lesion and the patient are drawn anew, and alike, for each of their images
            own = np.random.default_rng([*seed, 1, lesion])
            properties = _lesion_properties(int(target[lesion]), own, class_sep, level.white, dialed, chosen)
            shape, properties["tone"] = _frame_of(own, min_side, max_side, level, tone)
            scene = np.random.default_rng([*seed, 2, lesion, view])
            image, mask = _draw(properties, shape, own, scene, level, view)
            yield Bunch(image=image, mask=mask, target=int(target[lesion]), group=lesion, properties=properties)

    return generate()


def make_lesions(
    n_samples: int = 100,
    *,
    random_state: int | np.random.RandomState | None = None,
    difficulty: str = "medium",
    min_side: int = 160,
    max_side: int = 288,
    images_per_lesion: int = 1,
    melanoma_fraction: float = 0.3,
    class_sep: float = 1.0,
    hair_fraction: float | None = None,
    tone: float | None = None,
    colors: Sequence[str] | None = None,
    structures: Sequence[str] | None = None,
    border_irregularity: Any = None,
    asymmetry_shape: Any = None,
    asymmetry_color: Any = None,
    asymmetry_structure: Any = None,
    n_colors: Any = None,
    n_abrupt_octants: Any = None,
    n_structures: Any = None,
    diameter_mm: Any = None,
    diameter_fraction: Any = None,
) -> Bunch:
    """Draw synthetic dermoscopic images with known outlines, properties and classes.

    Each lesion has a latent risk, normal with standard deviation 1 and mean 0
    for benign lesions, 2 ``class_sep`` for melanomas, from which its properties
    follow with further spread. The risk itself would tell the classes apart
    with a ROC AUC of Phi(sqrt(2) ``class_sep``), which is 0.92 at 1, 0.5 at 0
    and 0.998 at 2; what shows in the image can tell no more. Age and site
    depend on the class besides.

    A property that is dialed, by one number for all lesions or one for each,
    is drawn as dialed and does not depend on the class.

    Parameters
    ----------
    n_samples : int, default=100
        Number of images, at least 1.
    random_state : int, RandomState instance or None, default=None
        Seed; the same seed gives the same bytes.
    difficulty : {"easy", "medium", "hard"}, default="medium"
        How the scene is: contrast, uneven light, noise, hair, ruler, ink,
        stickers, gel bubbles, vignettes and JPEG compression.
    min_side, max_side : int, default=160, 288
        Range of the longer side in pixels, at least 32; sizes and aspect
        ratios differ from lesion to lesion.
    images_per_lesion : int, default=1
        Images of each lesion, which differ in place, direction, light and what
        is in the way; ``groups`` tells the lesion.
    melanoma_fraction : float, default=0.3
        Share of melanomas among the lesions, in [0, 1]; at least one of each
        class is drawn where it lies strictly between and there are two.
    class_sep : float, default=1.0
        How far the classes are apart.
    hair_fraction : float, default=None
        Share of images with hair, in [0, 1]; as the difficulty says if None.
    tone : float, default=None
        Tone of the skin, from 0, very light, to 1, dark; drawn if None, more
        often light.
    colors : sequence of str, default=None
        Which of the six clinical colors all lesions have (see
        `skinseg.synthesis.LESION_COLORS`), instead of a drawn number of them.
    structures : sequence of str, default=None
        Which of the five structures all lesions have (see
        `skinseg.synthesis.STRUCTURES`), none if empty, instead of a drawn
        number of them.
    border_irregularity : float or array-like of shape (n_lesions,), default=None
        Notches of the outline, in [0, 1].
    asymmetry_shape, asymmetry_color, asymmetry_structure : float or array-like, default=None
        About the two axes of the lesion, each in [0, 1].
    n_colors : int or array-like, default=None
        Number of clinical colors, 1 to 6.
    n_abrupt_octants : int or array-like, default=None
        Number of octants at whose border the pigment ends abruptly, 0 to 8.
    n_structures : int or array-like, default=None
        Number of structures, 1 to 5.
    diameter_mm : float or array-like, default=None
        Diameter of the disc of equal area in millimeters, 1.5 to 14.
    diameter_fraction : float or array-like, default=None
        The same over the shorter side of the image, 0.15 to 0.75.

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
            Every property as it was dialed: those above, ``risk``,
            ``pixel_size`` (millimeters a pixel), ``diameter_px``, the share
            ``color_<name>_share`` of each color, ``abrupt_octant_<0..7>``
            (from the x axis towards y), ``structure_<name>``, ``tone``,
            ``contrast``, what is in the way (``n_hairs``, ``ruler``, ``ink``,
            ``sticker``, ``bubbles``, ``vignette``), the clinical columns
            ``age_approximate``, ``sex`` and ``site``, and ``target``.
        DESCR : str
            Description.

    Raises
    ------
    ValueError
        If a property is out of its range; the message tells the range.

    See Also
    --------
    lesion_stream : The same, one image after the other.

    Examples
    --------
    >>> from skinseg.datasets import make_lesions
    >>> data = make_lesions(5, random_state=0, n_colors=[1, 2, 3, 4, 5])
    >>> len(data.images), data.images[0].dtype, data.target.shape
    (5, dtype('uint8'), (5,))
    >>> (data.frame.filter(regex="color_.*_share") > 0).sum(axis=1).tolist()
    [1, 2, 3, 4, 5]
    """
    arguments = dict(locals())
    samples = list(lesion_stream(arguments.pop("n_samples"), **arguments))
    target = np.array([sample.target for sample in samples], dtype=np.int64)
    return Bunch(
        images=[sample.image for sample in samples],
        masks=[sample.mask for sample in samples],
        target=target,
        target_names=["benign", "melanoma"],
        groups=np.array([sample.group for sample in samples], dtype=np.int64),
        frame=pd.DataFrame([sample.properties for sample in samples]).assign(target=target),
        DESCR=_DESCR,
    )


def _draw_target(n_lesions: int, melanoma_fraction: float, rng: np.random.Generator) -> np.ndarray:
    n_melanoma = round(melanoma_fraction * n_lesions)
    if 0 < melanoma_fraction < 1 and n_lesions > 1:
        n_melanoma = min(max(n_melanoma, 1), n_lesions - 1)
    return rng.permutation(np.arange(n_lesions) < n_melanoma).astype(np.int64)


def _lesion_properties(
    label: int,
    rng: np.random.Generator,
    class_sep: float,
    white: float,
    dialed: dict[str, float],
    chosen: dict[str, list[str] | None],
) -> dict[str, Any]:
    """Draw what belongs to a lesion and its patient, whatever image shows it."""
    risk = float(rng.normal(2 * class_sep * label, 1))
    properties: dict[str, Any] = {"risk": risk}
    for name, (base, rise, spread, low, high) in _DIALS.items():
        value = base + rise * risk + rng.normal(0, spread)
        value = float(np.clip(np.rint(value) if name in _COUNTS else value, low, high))
        value = float(dialed.get(name, value))
        properties[name] = int(value) if name in _COUNTS else value
    ground = str(rng.choice(["light_brown", "dark_brown"], p=[0.6, 0.4]))
    chances = {name: chance for name, chance in {**_OTHER_COLORS, "white": white}.items() if name != ground}
    weights = np.array(list(chances.values())) + 1e-6  # so that six colors can always be had
    drawn = rng.choice(list(chances), properties["n_colors"] - 1, replace=False, p=weights / weights.sum())
    own_structures = rng.choice(synthesis.STRUCTURES, properties["n_structures"], replace=False)
    start = int(rng.integers(8))
    properties["colors"] = chosen["colors"] or [ground, *map(str, drawn)]
    properties["structures"] = list(map(str, own_structures)) if chosen["structures"] is None else chosen["structures"]
    properties["n_colors"], properties["n_structures"] = len(properties["colors"]), len(properties["structures"])
    abrupt = {(start + step) % 8 for step in range(properties["n_abrupt_octants"])}
    properties |= {f"abrupt_octant_{octant}": octant in abrupt for octant in range(8)}
    properties |= {f"structure_{name}": name in properties["structures"] for name in synthesis.STRUCTURES}
    age = 45 + 12 * label * min(class_sep, 1) + rng.normal(0, 14)
    properties["age_approximate"] = float(np.clip(5 * np.rint(age / 5), 5, 90))
    properties["sex"] = str(rng.choice(["female", "male"], p=[0.5 - 0.08 * label, 0.5 + 0.08 * label]))
    properties["site"] = str(rng.choice(_SITES, p=_SITE_WEIGHTS[label if class_sep > 0 else 0]))
    return properties


def _frame_of(
    rng: np.random.Generator, min_side: int, max_side: int, level: _Difficulty, tone: float | None
) -> tuple[tuple[int, int], float]:
    """Draw the size of the images of a lesion, and the tone of the skin."""
    side = int(rng.integers(min_side, max_side + 1))
    drawn = float(level.darkest_tone * rng.beta(1.0, 3.0))
    return (max(24, round(side * rng.choice([0.67, 0.75, 1.0]))), side), drawn if tone is None else float(tone)


def _draw(
    properties: dict[str, Any],
    shape: tuple[int, int],
    own: np.random.Generator,
    scene: np.random.Generator,
    level: _Difficulty,
    view: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one image of a lesion; what the image adds to its properties is written into them."""
    diameter = properties["diameter_fraction"] * min(shape)
    properties["diameter_px"] = float(diameter)
    properties["pixel_size"] = float(properties["diameter_mm"] / diameter)
    properties["contrast"] = float(own.uniform(*level.contrast))
    turn = float(own.uniform(0, 2 * np.pi))
    room = np.maximum(np.array(shape) / 2 - 0.6 * diameter, 0)
    row, column = (np.array(shape) / 2 + scene.uniform(-0.5, 0.5, 2) * room).tolist()
    image = synthesis.draw_skin(shape, properties["tone"], scene, shading=level.shading)
    image, mask, shares = synthesis.draw_lesion(
        image,
        own,
        diameter=diameter,
        center=(row, column),
        # other images of the same lesion are turned by quarters of a circle, so that octants can be told for each
        turn=turn + view * np.pi / 2,
        irregularity=properties["border_irregularity"],
        asymmetry_shape=properties["asymmetry_shape"],
        asymmetry_color=properties["asymmetry_color"],
        asymmetry_structure=properties["asymmetry_structure"],
        colors=properties.pop("colors"),
        abrupt=_turned([properties[f"abrupt_octant_{octant}"] for octant in range(8)], 2 * view),
        structures=properties.pop("structures"),
        contrast=properties["contrast"],
    )
    turned = _turned([properties[f"abrupt_octant_{octant}"] for octant in range(8)], 2 * view)
    properties |= {f"abrupt_octant_{octant}": flag for octant, flag in enumerate(turned)}
    properties |= {f"color_{name}_share": shares.get(name, 0.0) for name in synthesis.LESION_COLORS}
    image = _draw_in_the_way(image, properties, (row, column), scene, level)
    quality = int(scene.integers(70, 96)) if level.vignette > 0 else None
    return synthesis.to_image(image, scene, noise=level.noise, quality=quality), mask


def _turned(flags: list[bool], octants: int) -> list[bool]:
    return [flags[(index - octants) % 8] for index in range(8)]


def _draw_in_the_way(
    image: np.ndarray,
    properties: dict[str, Any],
    center: tuple[float, float],
    rng: np.random.Generator,
    level: _Difficulty,
) -> np.ndarray:
    """Draw hair, ruler, ink, sticker, bubbles and vignette, each with its chance."""
    chances = rng.random(6)
    properties["n_hairs"] = int(rng.integers(*level.n_hairs)) if chances[0] < level.hair else 0
    for name, chance, limit in zip(
        ("ruler", "ink", "sticker", "bubbles", "vignette"),
        chances[1:],
        (level.ruler, level.ink, level.sticker, level.bubbles, level.vignette),
        strict=True,
    ):
        properties[name] = bool(chance < limit)
    if properties["ink"]:
        away = properties["diameter_px"] * rng.uniform(0.75, 1.1)
        image = synthesis.draw_ink(image, center, away, rng)
    if properties["sticker"]:
        image = synthesis.draw_sticker(image, rng)
    if properties["ruler"]:
        image = synthesis.draw_ruler(image, properties["pixel_size"], rng)
    if properties["bubbles"]:
        image = synthesis.draw_bubbles(image, int(rng.integers(2, 9)), rng)
    if properties["n_hairs"]:
        image, _ = synthesis.draw_hair(image, properties["n_hairs"], rng, light=bool(rng.random() < 0.15))
    if properties["vignette"]:
        image, _ = synthesis.draw_vignette(
            image, float(rng.uniform(0.72, 1.0)), softness=float(rng.uniform(0.03, 0.12))
        )
    return image
