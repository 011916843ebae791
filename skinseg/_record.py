"""`LesionImage`, the record that travels through a pipeline."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from ._html import record_html
from .exceptions import ImageReadError
from .geometry import Geometry
from .masks import ScaledMap, as_mask, resize_mask
from .reading import read_header, read_image, read_mask, read_reduced
from .resampling import resize_image

__all__ = ["LesionImage"]

_PLANES = ("mask", "probability", "reference_mask", "field", "artifact_mask")
_SOFT_PLANES = frozenset({"probability", "reference_mask"})  # these may hold values between 0 and 1


class LesionImage:
    """One dermoscopic image with what is known and what was found about it.

    The record is immutable and compared by identity. Steps of a pipeline hand
    it on with `with_`, `resize` and `crop`, which copy the record and never
    write into an array. Files are decoded when they are read and are not kept,
    so a list of many records takes next to no memory; `load` gives a record
    that holds its pixels.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8, or path-like
        The image, RGB.
    mask : ndarray of shape (H, W), bool, or path-like, default=None
        The lesion as outlined by a segmenter or by the user. Like every plane
        below it has the size of the image or of its origin.
    probability : ndarray of shape (H, W), floating, default=None
        Probability of lesion in [0, 1], by a segmenter.
    confidence : float, default=None
        Confidence of the outline in [0, 1], by a segmenter.
    reference_mask : ndarray of shape (H, W), bool or floating, or path-like, default=None
        The outline by an expert. Segmenters learn from it; no prediction
        reads it.
    field : ndarray of shape (H, W), bool, default=None
        The valid field of view, inside of frame and vignette; None where it
        is not known.
    artifact_mask : ndarray of shape (H, W), bool, default=None
        Pixels of hair or rulers, which were painted over (with a narrow margin
        around them); features leave them out.
    name : str, default=None
        Name for messages and tables; the stem of the file by default.
    pixel_size : float, default=None
        Millimeters per pixel of the origin, if known.
    geometry : Geometry, default=None
        The frame that the image was taken from; the image itself by default.
    error : str, default=None
        Why this record failed in an earlier step (``on_error="nan"``); later
        steps pass it on untouched.

    Raises
    ------
    ValueError, TypeError
        If an array is not of the kind stated; the message names the
        conversion.
    ImageReadError
        When a file is read that cannot be.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg import LesionImage
    >>> record = LesionImage(np.zeros((60, 80, 3), dtype=np.uint8), name="a")
    >>> record.resize((30, 40)).with_(mask=np.ones((30, 40), dtype=bool))
    LesionImage(name='a', shape=(30, 40), mask=True)
    """

    __slots__ = ("__weakref__", "_geometry", "_image", "_planes", "_stamp", "confidence", "error", "name", "pixel_size")

    confidence: float | None
    error: str | None
    name: str | None
    pixel_size: float | None
    _geometry: Geometry | None
    _image: np.ndarray | Path
    _planes: dict[str, tuple[np.ndarray | Path | ScaledMap, bool]]
    _stamp: tuple[str, int, int] | None

    def __init__(
        self,
        image: np.ndarray | str | os.PathLike[str],
        mask: np.ndarray | str | os.PathLike[str] | None = None,
        *,
        probability: np.ndarray | None = None,
        confidence: float | None = None,
        reference_mask: np.ndarray | str | os.PathLike[str] | None = None,
        field: np.ndarray | str | os.PathLike[str] | None = None,
        artifact_mask: np.ndarray | str | os.PathLike[str] | None = None,
        name: str | None = None,
        pixel_size: float | None = None,
        geometry: Geometry | None = None,
        error: str | None = None,
    ) -> None:
        source: np.ndarray | Path
        if isinstance(image, (str, os.PathLike)):
            source = Path(image)
            name = source.stem if name is None else name
        else:
            source = _read_only(check_pixels(image))
        if geometry is None and isinstance(source, np.ndarray):
            geometry = Geometry.of(source.shape[:2])
        if geometry is not None and isinstance(source, np.ndarray) and geometry.shape != source.shape[:2]:
            raise ValueError(f"the geometry says {geometry.shape}, the image is {source.shape[:2]}")
        if pixel_size is not None and not (np.isfinite(pixel_size) and pixel_size > 0):
            raise ValueError(f"pixel_size must be a positive number of millimeters per pixel, got {pixel_size!r}")
        self._set(
            _image=source,
            _geometry=geometry,
            _stamp=None,
            _planes={},
            name=None if name is None else str(name),
            pixel_size=None if pixel_size is None else float(pixel_size),
            confidence=confidence,
            error=error,
        )
        given = (mask, probability, reference_mask, field, artifact_mask)
        for plane, value in zip(_PLANES, given, strict=True):
            if value is not None:
                self._planes[plane] = self._check_plane(plane, value)

    def _set(self, **values: Any) -> None:
        for key, value in values.items():
            object.__setattr__(self, key, value)

    def __setattr__(self, key: str, value: object) -> None:
        raise AttributeError(f"a LesionImage is immutable; use record.with_({key}=...)")

    def __delattr__(self, key: str) -> None:
        raise AttributeError("a LesionImage is immutable")

    # ------------------------------------------------------------------ what it holds

    @property
    def image(self) -> np.ndarray:
        """The (H, W, 3) uint8 pixels; a file is decoded anew at each access."""
        return read_image(self._image) if isinstance(self._image, Path) else self._image

    @property
    def path(self) -> Path | None:
        """The file of a record that has not been loaded, else None."""
        return self._image if isinstance(self._image, Path) else None

    @property
    def geometry(self) -> Geometry:
        """The frame that the image was taken from."""
        if self._geometry is None:
            header = read_header(self._image)  # type: ignore[arg-type]
            self._set(_geometry=Geometry.of(header.shape, header.orientation))
        return self._geometry  # type: ignore[return-value]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width; of a file, its header is read."""
        return self.geometry.shape

    @property
    def mask(self) -> np.ndarray | None:
        """The outline of the lesion, bool, in the frame of `image`."""
        return self._plane("mask")

    @property
    def probability(self) -> np.ndarray | None:
        """The probability of lesion, float32, in the frame of `image`; brought to its size anew at each access."""
        return self._plane("probability")

    @property
    def reference_mask(self) -> np.ndarray | None:
        """The outline by an expert, bool or float32, in the frame of `image`."""
        return self._plane("reference_mask")

    @property
    def field(self) -> np.ndarray | None:
        """The valid field of view, bool, in the frame of `image`."""
        return self._plane("field")

    @property
    def artifact_mask(self) -> np.ndarray | None:
        """Hair and ruler pixels that were painted over, bool, in the frame of `image`."""
        return self._plane("artifact_mask")

    def has(self, plane: str) -> bool:
        """Tell whether a plane is there; nothing is decoded.

        Parameters
        ----------
        plane : str
            Such as ``"mask"`` or ``"reference_mask"``.

        Returns
        -------
        bool
            Whether it is.
        """
        return plane in self._planes

    def _read_plane(self, plane: str) -> tuple[np.ndarray, bool]:
        source, in_origin = self._planes[plane]
        if isinstance(source, ScaledMap):
            return _read_only(source.full()), in_origin
        if not isinstance(source, Path):
            return source, in_origin
        values = read_mask(source)
        try:
            return values, self._in_origin(plane, values.shape, from_file=True)
        except ValueError as error:
            raise ImageReadError(source, str(error)) from None

    def _plane(self, plane: str) -> np.ndarray | None:
        if plane not in self._planes:
            return None
        values, in_origin = self._read_plane(plane)
        return self.geometry.from_origin(values) if in_origin else values

    def origin_plane(self, plane: str) -> np.ndarray:
        """Give a plane in the frame of the origin, unchanged where it was given in that.

        Parameters
        ----------
        plane : str
            Such as ``"mask"`` or ``"probability"``; it must be there.

        Returns
        -------
        ndarray
            The plane, of the height and width of the origin.
        """
        values, in_origin = self._read_plane(plane)
        return values if in_origin else self.geometry.to_origin(values)

    def _in_origin(self, plane: str, shape: tuple[int, ...], *, from_file: bool = False) -> bool:
        """Tell by its size whether a plane is in the frame of the origin or of the image.

        Where both have the same size (a crop that was enlarged), files and
        reference masks are of the origin: they come from the user. What a step
        writes is of the image.
        """
        geometry = self.geometry
        if shape == geometry.origin and (from_file or plane == "reference_mask" or shape != geometry.shape):
            return True
        if shape == geometry.shape:
            return geometry.is_origin
        sizes = f"{geometry.shape}" + ("" if geometry.is_origin else f" nor of its origin {geometry.origin}")
        turned = (
            f" (the file has EXIF orientation {geometry.orientation}: the mask was drawn on the image as stored, "
            "turn it upright)"
            if shape == geometry.origin[::-1] and geometry.orientation >= 5
            else ""
        )
        raise ValueError(
            f"the {plane} has the size {shape}, which is not that of the image {sizes}{turned}; "
            "give a mask of the size of the image as it was read"
        )

    def _check_plane(
        self, plane: str, value: np.ndarray | str | os.PathLike[str] | ScaledMap
    ) -> tuple[np.ndarray | Path | ScaledMap, bool]:
        if isinstance(value, (str, os.PathLike)):
            return Path(value), True
        if isinstance(value, ScaledMap):
            values = as_mask(value.values, allow_float=plane in _SOFT_PLANES)
            if plane == "probability":
                values = values.astype(np.float32, copy=False)
            return ScaledMap(values, value.shape), self._in_origin(plane, value.shape)
        values = _read_only(as_mask(value, allow_float=plane in _SOFT_PLANES))
        if plane == "probability" and values.dtype == bool:
            values = _read_only(values.astype(np.float32))
        return values, self._in_origin(plane, values.shape)

    # ------------------------------------------------------------------ copies

    def _copy(self, **values: Any) -> LesionImage:
        copy = object.__new__(type(self))
        for slot in self.__slots__:
            if slot != "__weakref__":
                object.__setattr__(copy, slot, values[slot] if slot in values else getattr(self, slot))
        return copy

    def with_(self, **changes: Any) -> LesionImage:
        """Copy the record with some of its parts replaced; no file is read.

        Parameters
        ----------
        **changes : dict
            Parts by their names, as in the constructor except ``geometry``.
            A new image must have the size of the present one; None takes a
            plane away.

        Returns
        -------
        LesionImage
            The copy.
        """
        values: dict[str, Any] = {"_planes": dict(self._planes)}
        for key, value in changes.items():
            if key in _PLANES:
                if value is None:
                    values["_planes"].pop(key, None)
                else:
                    values["_planes"][key] = self._check_plane(key, value)
            elif key == "image":
                pixels = _read_only(check_pixels(value))
                if pixels.shape[:2] != self.shape:
                    raise ValueError(
                        f"the new image has the size {pixels.shape[:2]}, the record {self.shape}; "
                        "use record.resize or record.crop, which keep masks and geometry in step"
                    )
                values.update(_image=pixels, _stamp=None, _geometry=self.geometry)
            elif key in ("confidence", "error", "name", "pixel_size"):
                values[key] = value
            else:
                raise TypeError(f"LesionImage has no part {key!r}")
        return self._copy(**values)

    def load_resized(self, shape: tuple[int, int]) -> LesionImage:
        """Copy the record at another size; of a large JPEG file that has not been loaded, no more is decoded than that.

        Nearly the same as ``record.load().resize(shape)``, in less time and
        memory, see `skinseg.reading.read_reduced`.

        Parameters
        ----------
        shape : tuple of (int, int)
            Height and width wanted.

        Returns
        -------
        LesionImage
            The copy, loaded; it remembers the frame of the origin.
        """
        shape = (int(shape[0]), int(shape[1]))
        if not isinstance(self._image, Path) or shape == self.shape:
            return self.load().resize(shape)
        pixels, header = read_reduced(self._image, shape)
        if header.shape != self.shape:
            raise ImageReadError(self._image, "the size in the header is not that of the pixels")
        return self._copy(_planes=self._planes | self._decoded_mask())._reframed(
            resize_image(pixels, shape), self.geometry.resize(shape), lambda plane: resize_mask(plane, shape)
        )

    def load(self) -> LesionImage:
        """Copy the record with its image and its mask decoded, so that later steps decode nothing.

        Returns
        -------
        LesionImage
            The copy; the record itself where nothing is left to decode.
        """
        values: dict[str, Any] = {}
        if isinstance(self._image, Path):
            stamp = _file_stamp(self._image)
            pixels = _read_only(read_image(self._image))
            values.update(_image=pixels, _stamp=stamp, _geometry=self.geometry)
            if pixels.shape[:2] != values["_geometry"].shape:
                raise ImageReadError(self._image, "the size in the header is not that of the pixels")
        if mask := self._decoded_mask():
            values["_planes"] = self._planes | mask
        return self._copy(**values) if values else self

    def _decoded_mask(self) -> dict[str, tuple[np.ndarray, bool]]:
        """Give the mask, if it is a file, as pixels."""
        if not isinstance(self._planes.get("mask", (None,))[0], Path):
            return {}
        return {"mask": (_read_only(np.asarray(self.mask)), self.geometry.is_origin)}

    def resize(self, shape: tuple[int, int]) -> LesionImage:
        """Copy the record at another size, masks and geometry in step.

        Parameters
        ----------
        shape : tuple of (int, int)
            Height and width wanted.

        Returns
        -------
        LesionImage
            The copy; it remembers the frame of the origin.
        """
        shape = (int(shape[0]), int(shape[1]))
        if shape == self.shape:
            return self
        return self._reframed(
            resize_image(self.image, shape), self.geometry.resize(shape), lambda plane: resize_mask(plane, shape)
        )

    def crop(self, top: int, left: int, height: int, width: int) -> LesionImage:
        """Copy a part of the record, masks and geometry in step.

        Parameters
        ----------
        top, left, height, width : int
            The part, in pixels of the present image; it must lie inside.

        Returns
        -------
        LesionImage
            The copy; it remembers the frame of the origin.
        """
        if not (0 <= top < top + height <= self.shape[0] and 0 <= left < left + width <= self.shape[1]):
            raise ValueError(f"the box {(top, left, height, width)} does not lie inside of the image {self.shape}")
        part = np.s_[top : top + height, left : left + width]
        geometry = self.geometry.crop(top, left, height, width)
        return self._reframed(np.ascontiguousarray(self.image[part]), geometry, lambda plane: plane[part])

    def _reframed(self, image: np.ndarray, geometry: Geometry, change: Any) -> LesionImage:
        planes = {}
        for plane, (source, in_origin) in self._planes.items():
            # planes of the origin are mapped when they are read: many, such as reference masks, never are
            keep = in_origin or isinstance(source, Path)
            planes[plane] = (source, in_origin) if keep else (_read_only(change(self._read_plane(plane)[0])), False)
        return self._copy(_image=_read_only(image), _geometry=geometry, _stamp=None, _planes=planes)

    # ------------------------------------------------------------------ identity and transport

    def cache_key(self) -> str:
        """Hash all that a step can see: content of arrays; path, size and time of change of files.

        Returns
        -------
        str
            The hash.
        """
        image = self._stamp or _hashed(self._image)
        planes = {plane: (_hashed(source), in_origin) for plane, (source, in_origin) in self._planes.items()}
        # the geometry of an unread file follows from the file
        geometry = None if self._geometry is None or self._geometry.is_origin else self._geometry
        return str(joblib.hash((image, planes, geometry, self.pixel_size, self.confidence)))

    def __getstate__(self) -> dict[str, Any]:
        state = {slot: getattr(self, slot) for slot in self.__slots__ if slot != "__weakref__"}
        # the reader may be a worker that was started in another folder
        state["_image"] = _absolute(self._image)
        state["_planes"] = {key: (_absolute(source), flag) for key, (source, flag) in self._planes.items()}
        # so that a hash of the pickle (joblib.hash) follows the content of the files
        sources = [self._image, *(source for source, _ in self._planes.values())]
        state["files"] = [_file_stamp(source) for source in sources if isinstance(source, Path)]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._set(**{key: value for key, value in state.items() if key != "files"})
        if isinstance(self._image, np.ndarray):
            self._set(_image=_read_only(self._image))

    def __reduce__(self) -> tuple[Any, ...]:
        return object.__new__, (type(self),), self.__getstate__()

    def _repr_html_(self) -> str:
        return record_html(self)

    def __repr__(self) -> str:
        parts = [f"name={self.name!r}"] if self.name is not None else []
        parts += [f"shape={self._geometry.shape}"] if self._geometry is not None else []
        parts += [f"{plane}=True" for plane in _PLANES if plane in self._planes]
        parts += [f"error={self.error!r}"] if self.error is not None else []
        return f"LesionImage({', '.join(parts)})"


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view


def _absolute(source: np.ndarray | Path | ScaledMap) -> np.ndarray | Path | ScaledMap:
    return source.absolute() if isinstance(source, Path) else source


def _hashed(source: np.ndarray | Path | ScaledMap) -> Any:
    """Give what stands for an image or a plane in a key: joblib also hashes how an array lies in memory."""
    if isinstance(source, Path):
        return _file_stamp(source)
    if not isinstance(source, np.ndarray):
        return source
    values = np.ascontiguousarray(source)
    return values.copy() if 1 in values.shape else values  # a side of one pixel may have any stride


def _file_stamp(path: Path) -> tuple[str, int, int]:
    try:
        stat = path.stat()
    except (OSError, ValueError):
        return str(path), -1, -1
    return str(path.absolute()), stat.st_size, stat.st_mtime_ns


def check_pixels(image: object) -> np.ndarray:
    """Check one image array; each refusal names the conversion."""
    if isinstance(image, str | os.PathLike):
        raise TypeError(f"expected the (H, W, 3) uint8 RGB array of an image, got the path {image}; use read_image")
    if not isinstance(image, np.ndarray):
        hint = "; convert it with numpy.asarray(image.convert('RGB'))" if hasattr(image, "convert") else ""
        raise TypeError(
            f"an image must be a path, an (H, W, 3) uint8 RGB array or a LesionImage, got {type(image).__name__}{hint}"
        )
    what = f"got an array of shape {image.shape} and dtype {image.dtype}"
    expected = "an image array must have the shape (H, W, 3), dtype uint8 and RGB order"
    if image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1):
        raise ValueError(f"{expected}, {what} (gray?); convert it with skimage.color.gray2rgb")
    if image.ndim != 3:
        raise ValueError(f"{expected}, {what}")
    if image.shape[2] == 4:
        raise ValueError(f"{expected}, {what} (RGBA?); drop the alpha channel with image[..., :3]")
    if image.shape[2] != 3:
        hint = "; move the channels last with numpy.moveaxis(image, 0, -1)" if image.shape[0] == 3 else ""
        raise ValueError(f"{expected}, {what}{hint}")
    if image.dtype != np.uint8:
        hint = {
            "f": "convert values in [0, 1] with skimage.util.img_as_ubyte",
            "u": "convert 16 bits with (image >> 8).astype(numpy.uint8)",
            "b": "convert it with image.astype(numpy.uint8) * 255",
        }.get(image.dtype.kind, "if its values lie in 0 to 255, convert it with image.astype(numpy.uint8)")
        raise ValueError(f"{expected}, {what}; {hint}")
    if image.size == 0:
        raise ValueError(f"{expected} with at least one pixel, {what}")
    return image
