"""Where an image comes from: the frame of the original and the part of it that is seen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from .masks import resize_mask

__all__ = ["Geometry"]


@dataclass(frozen=True, slots=True)  # lists of images hold one each
class Geometry:
    """The frame that an image was taken from.

    Parameters
    ----------
    origin : tuple of (int, int)
        Height and width of the image that the user gave, upright (after the
        EXIF orientation was applied).
    box : tuple of (float, float, float, float)
        Top, left, height and width, in pixels of the origin, of the part that
        the present image shows.
    shape : tuple of (int, int)
        Height and width of the present image.
    orientation : int
        EXIF orientation of the file, 1 to 8; 1 where there is none. It has
        been applied already and is kept for those who need the stored frame.

    Examples
    --------
    >>> from skinseg.geometry import Geometry
    >>> geometry = Geometry.of((100, 200)).resize((50, 100)).crop(10, 0, 20, 100)
    >>> geometry.box, geometry.shape
    ((20.0, 0.0, 40.0, 200.0), (20, 100))
    """

    origin: tuple[int, int]
    box: tuple[float, float, float, float]
    shape: tuple[int, int]
    orientation: int = 1

    @classmethod
    def of(cls, shape: tuple[int, int], orientation: int = 1) -> Geometry:
        """Make the frame of an image that is its own origin.

        Parameters
        ----------
        shape : tuple of (int, int)
            Height and width.
        orientation : int, default=1
            EXIF orientation of its file.

        Returns
        -------
        Geometry
            The frame.
        """
        return _whole(int(shape[0]), int(shape[1]), orientation)

    @property
    def is_origin(self) -> bool:
        """Whether the present image is the whole origin at its own size."""
        return self.shape == self.origin and self.box == (0.0, 0.0, *map(float, self.origin))

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels of the origin per pixel of the present image, down and across."""
        return self.box[2] / self.shape[0], self.box[3] / self.shape[1]

    def resize(self, shape: tuple[int, int]) -> Geometry:
        """Give the frame after the present image was resized.

        Parameters
        ----------
        shape : tuple of (int, int)
            Its new height and width.

        Returns
        -------
        Geometry
            The frame.
        """
        return replace(self, shape=(int(shape[0]), int(shape[1])))

    def crop(self, top: int, left: int, height: int, width: int) -> Geometry:
        """Give the frame after a part of the present image was cut out.

        Parameters
        ----------
        top, left, height, width : int
            The part, in pixels of the present image.

        Returns
        -------
        Geometry
            The frame.
        """
        down, across = self.scale
        box = (self.box[0] + top * down, self.box[1] + left * across, height * down, width * across)
        return replace(self, box=box, shape=(int(height), int(width)))

    def _pixel_box(self) -> tuple[int, int, int, int]:
        top, left = round(self.box[0]), round(self.box[1])
        bottom, right = round(self.box[0] + self.box[2]), round(self.box[1] + self.box[3])
        return top, left, max(bottom, top + 1), max(right, left + 1)

    def to_origin(self, mask: np.ndarray) -> np.ndarray:
        """Put a mask or map of the present image into the frame of the origin.

        Parameters
        ----------
        mask : ndarray of the present shape, bool or floating
            The mask.

        Returns
        -------
        ndarray of the shape of the origin
            Zero outside of the part that the present image shows.
        """
        if self.is_origin:
            return mask
        top, left, bottom, right = self._pixel_box()
        part = resize_mask(mask, (bottom - top, right - left))
        if (top, left, bottom, right) == (0, 0, *self.origin):
            return part
        result = np.zeros(self.origin, part.dtype)
        inner = _overlap(top, bottom, self.origin[0]), _overlap(left, right, self.origin[1])
        (y0, y1), (x0, x1) = inner
        result[y0:y1, x0:x1] = part[y0 - top : y1 - top, x0 - left : x1 - left]
        return result

    def from_origin(self, mask: np.ndarray) -> np.ndarray:
        """Cut and resize a mask of the origin to the present image.

        Parameters
        ----------
        mask : ndarray of the shape of the origin, bool or floating
            The mask.

        Returns
        -------
        ndarray of the present shape
            Zero where the present image reaches beyond the origin.
        """
        if self.is_origin:
            return mask
        top, left, bottom, right = self._pixel_box()
        (y0, y1), (x0, x1) = _overlap(top, bottom, self.origin[0]), _overlap(left, right, self.origin[1])
        part = mask[y0:y1, x0:x1]
        if part.shape != (bottom - top, right - left):
            part = np.pad(part, ((y0 - top, bottom - y1), (x0 - left, right - x1)))
        return resize_mask(part, self.shape)


def _overlap(start: int, stop: int, length: int) -> tuple[int, int]:
    """Part of [start, stop) that lies in [0, length); empty where there is none."""
    begin = min(max(start, 0), length)
    return begin, max(min(stop, length), begin)


@lru_cache(maxsize=4096)
def _whole(height: int, width: int, orientation: int) -> Geometry:
    """Make the frame of a whole image; images of one size share it, for there are lists of very many."""
    return Geometry((height, width), (0.0, 0.0, float(height), float(width)), (height, width), orientation)
