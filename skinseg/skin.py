"""Tone of the skin around a lesion, by the individual typology angle. Pure functions."""

from __future__ import annotations

import cv2
import numpy as np
from skimage.color import rgb2lab

from ._record import check_pixels
from .artifacts import find_foreign
from .field import valid_field
from .masks import resize_mask
from .resampling import shrink_to

__all__ = ["SKIN_TONES", "individual_typology_angle", "skin_tone"]

SKIN_TONES = ("very light", "light", "intermediate", "tan", "brown", "dark")
"""The bands of `skin_tone`, from light to dark."""

_LIMITS = (55.0, 41.0, 28.0, 10.0, -30.0)
_SIDE = 256  # working size, longer side in pixels
_FEWEST = 100  # pixels of skin at that size


def individual_typology_angle(
    image: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    field: np.ndarray | None = None,
    exclude: np.ndarray | None = None,
    margin: float = 0.05,
) -> float:
    """Measure the individual typology angle (ITA) of the skin around a lesion.

    The angle is ``arctan2(L* - 50, b*)`` in degrees, in CIELAB (D65): large for
    light skin and below -30 for dark skin. It is the median over the pixels of
    skin: those outside of the lesion and of a margin around it, inside the
    valid field of view, without stickers, ink and what else is left out.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        The image, sRGB.
    mask : ndarray of shape (H, W), bool, default=None
        The lesion; None where there is none.
    field : ndarray of shape (H, W), bool, default=None
        The valid field of view; `skinseg.field.valid_field` if None.
    exclude : ndarray of shape (H, W), bool, default=None
        What else is no skin, such as hair (`skinseg.preprocessing.find_hair`).
    margin : float, default=0.05
        Width by which the lesion is grown, as a fraction of the longer side,
        in [0, 1]: outlines are uneven and pigment fades out slowly.

    Returns
    -------
    float
        The angle in degrees, in (-180, 180]; NaN where fewer than 100 pixels
        of skin are left at the working size of 256 pixels.

    Raises
    ------
    TypeError
        If the image is no array.
    ValueError
        If it is not RGB with 8 bits, a mask has not its size, or the margin is
        out of range.

    Notes
    -----
    Written as ``arctan((L* - 50) / b*)``, as it usually is [1]_, the angle
    jumps where b* passes 0, as it does in bluish light; ``arctan2`` is the same
    for b* > 0 and goes on steadily beyond 90 degrees.

    **It is no Fitzpatrick type**, which describes how skin reacts to the sun,
    and should never be reported as one. Illumination, white balance and contact
    pressure of dermoscopic images are not calibrated: the same skin gives other
    angles with other devices, so that angles can be compared within one source
    of images only, and bands with caution even there. Skin near a lesion may be
    tanned or inflamed. Estimates on skin outside of a mask, as here and in
    [2]_, depend less on the light than those on patches of the image.

    References
    ----------
    .. [1] A. Chardon, I. Cretois and C. Hourseau, "Skin colour typology and
       suntanning pathways", International Journal of Cosmetic Science 13,
       191-208, 1991.
    .. [2] N. M. Kinyanjui et al., "Fairness of classifiers across skin tones in
       dermatology", MICCAI 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.skin import individual_typology_angle, skin_tone
    >>> image = np.full((60, 80, 3), (224, 190, 168), dtype=np.uint8)
    >>> lesion = np.zeros((60, 80), dtype=bool)
    >>> lesion[20:40, 30:50] = True
    >>> image[lesion] = (90, 60, 50)
    >>> angle = individual_typology_angle(image, lesion)
    >>> round(angle, 1), skin_tone(angle)
    (62.0, 'very light')
    """
    if not 0 <= margin <= 1:
        raise ValueError(f"margin must lie in [0, 1], got {margin!r}")
    check_pixels(image)
    for name, plane in (("mask", mask), ("field", field), ("exclude", exclude)):
        if plane is not None and plane.shape != image.shape[:2]:
            raise ValueError(f"{name} has the size {plane.shape}, the image {image.shape[:2]}; they must be the same")
    small = shrink_to(image, _SIDE)
    shape = small.shape[:2]
    skin = valid_field(small) if field is None else resize_mask(field, shape)
    skin = skin & ~find_foreign(small, field=skin)
    if mask is not None and mask.any():
        width = 2 * round(margin * max(shape)) + 1
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
        skin &= cv2.dilate(resize_mask(mask, shape).astype(np.uint8), disc) == 0
    if exclude is not None:
        skin &= ~(shrink_to(exclude.astype(np.uint8) * np.uint8(255), _SIDE) > 0)  # also where only touched
    if np.count_nonzero(skin) < _FEWEST:
        return float("nan")
    lab = rgb2lab(small[skin])
    return float(np.median(np.degrees(np.arctan2(lab[:, 0] - 50, lab[:, 2]))))


def skin_tone(angle: float) -> str | None:
    """Name the band of an individual typology angle.

    Parameters
    ----------
    angle : float
        The angle in degrees.

    Returns
    -------
    str or None
        ``"very light"`` above 55 degrees, ``"light"`` above 41,
        ``"intermediate"`` above 28, ``"tan"`` above 10, ``"brown"`` above -30,
        else ``"dark"``; None for NaN.

    References
    ----------
    A. Chardon, I. Cretois and C. Hourseau, "Skin colour typology and suntanning
    pathways", International Journal of Cosmetic Science 13, 191-208, 1991; the
    band of dark skin is a later addition, S. Del Bino and F. Bernerd, British
    Journal of Dermatology 169 (s3), 33-40, 2013.

    Examples
    --------
    >>> from skinseg.skin import skin_tone
    >>> [skin_tone(angle) for angle in (60, 55, 30, 0, -40)]
    ['very light', 'light', 'intermediate', 'brown', 'dark']
    """
    if np.isnan(angle):
        return None
    return SKIN_TONES[sum(angle <= limit for limit in _LIMITS)]
