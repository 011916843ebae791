"""The JSON file of COCO, one for many images."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..exceptions import AnnotationError
from ._json import load_json, save_json, shape_in, wanted
from ._polygons import bounds_of, check_shape, has_hole, mask_to_polygons, polygons_to_mask
from ._run_lengths import counts_of_text, counts_to_mask, mask_to_counts

__all__ = ["CocoMasks", "coco_annotation", "coco_content", "is_coco", "read_coco", "write_coco"]


def is_coco(content: Any) -> bool:
    """Tell whether the content of a JSON file is that of COCO.

    Parameters
    ----------
    content : object
        What the file holds.

    Returns
    -------
    bool
        Whether it has lists of images and of annotations.
    """
    return isinstance(content, dict) and all(isinstance(content.get(key), list) for key in ("images", "annotations"))


def coco_annotation(mask: np.ndarray, *, tolerance: float = 0.0) -> dict[str, Any] | None:
    """Give segmentation, area, box and the mark of run lengths of a mask; None for an empty one.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool
        The mask.
    tolerance : float, default=0.0
        Pixels that the outline may be moved by, see `mask_to_polygons`.

    Returns
    -------
    dict or None
        The part of an annotation that the mask makes.
    """
    box = bounds_of(mask)
    if box is None:
        return None
    top, left, bottom, right = box
    polygons = mask_to_polygons(mask, tolerance=tolerance)
    holes = has_hole(polygons)
    segmentation: Any = [polygon.exterior.ravel().tolist() for polygon in polygons]
    if holes:
        segmentation = {"size": list(mask.shape), "counts": mask_to_counts(mask)}
    return {
        "segmentation": segmentation,
        "area": int(np.count_nonzero(mask)),
        "bbox": [left, top, right - left, bottom - top],
        "iscrowd": int(holes),  # by which readers know that run lengths follow
    }


def coco_content(
    masks: Sequence[np.ndarray], image_names: Sequence[str], *, label: str = "lesion", tolerance: float = 0.0
) -> dict[str, Any]:
    """Give masks in the form of COCO.

    Parameters
    ----------
    masks : sequence of (H, W) bool arrays
        The masks.
    image_names : sequence of str
        The file of each image.
    label : str, default="lesion"
        Name of the category.
    tolerance : float, default=0.0
        Pixels that the outlines may be moved by, see `mask_to_polygons`.

    Returns
    -------
    dict
        The content of the JSON file: one annotation an image, none where the
        mask is empty. A mask without holes is a list of polygons; one that has
        some is uncompressed run lengths (with ``iscrowd`` 1, as COCO has it).

    Raises
    ------
    ValueError
        If there are not as many names as masks.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.annotations import coco_content
    >>> content = coco_content([np.ones((2, 3), dtype=bool)], ["a.jpg"])
    >>> content["annotations"][0]["segmentation"]
    [[0.25, 0.25, 0.25, 1.75, 2.75, 1.75, 2.75, 0.25]]
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (mask, name) in enumerate(zip(masks, image_names, strict=True), 1):
        images.append({"id": number, "file_name": name, "height": mask.shape[0], "width": mask.shape[1]})
        found = coco_annotation(mask, tolerance=tolerance)
        if found is not None:
            annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": 1, **found})
    return {
        "info": {"description": "Outlines of skin lesions", "version": "1.0"},
        "licenses": [],
        "images": images,
        "categories": [{"id": 1, "name": label, "supercategory": ""}],
        "annotations": annotations,
    }


class CocoMasks(Mapping[str, np.ndarray]):
    """The masks of a COCO file by the names of its images; each is made when it is asked for.

    Parameters
    ----------
    content : dict
        The content of the file.
    path : path-like, default="COCO"
        Where it comes from, for the messages.
    labels : sequence of str, default=None
        Names of the categories that count; all if None.

    Raises
    ------
    AnnotationError
        If it is something else, or an image is in it twice.

    Examples
    --------
    >>> import numpy as np
    >>> from skinseg.annotations import CocoMasks, coco_content
    >>> masks = CocoMasks(coco_content([np.ones((2, 3), dtype=bool)], ["a.jpg"]))
    >>> list(masks), int(masks["a.jpg"].sum())
    (['a.jpg'], 6)
    """

    def __init__(
        self, content: Any, path: str | os.PathLike[str] = "COCO", labels: Sequence[str] | None = None
    ) -> None:
        if not is_coco(content):
            raise AnnotationError(path, "this is no COCO file: it has no lists of images and annotations")
        self.path = path
        self._images: dict[str, dict[str, Any]] = {}
        for number, image in enumerate(content["images"], 1):
            if not isinstance(image, dict) or not isinstance(image.get("file_name"), str) or "id" not in image:
                raise AnnotationError(path, f"image {number} has no file_name or no id; export the file again")
            if image["file_name"] in self._images:
                raise AnnotationError(path, f"the image {image['file_name']!r} is there twice; keep one of them")
            self._images[image["file_name"]] = image
        names = None if labels is None else tuple(labels)
        categories = content.get("categories")
        known = {
            str(entry.get("id")): entry.get("name")
            for entry in (categories if isinstance(categories, list) else [])
            if isinstance(entry, dict)
        }
        self._annotations: dict[str, list[dict[str, Any]]] = {}
        for number, entry in enumerate(content["annotations"], 1):
            if not isinstance(entry, dict) or "image_id" not in entry:
                raise AnnotationError(path, f"annotation {number} has no image_id; export the file again")
            if wanted(known.get(str(entry.get("category_id"))), names):
                self._annotations.setdefault(str(entry["image_id"]), []).append(entry)

    def __iter__(self) -> Iterator[str]:
        return iter(self._images)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.mask(name)

    def mask(self, name: str, shape: Sequence[int] | None = None) -> np.ndarray:
        """Make the mask of an image: all that its annotations cover.

        Parameters
        ----------
        name : str
            Its ``file_name``.
        shape : sequence of (int, int), default=None
            Height and width of the image; those in the file if None, and
            compared with them if not.

        Returns
        -------
        ndarray of shape (H, W), bool
            The mask; empty where there are no annotations.

        Raises
        ------
        AnnotationError
            If an annotation is damaged, if there are boxes only, or if the
            size is another.
        KeyError
            If there is no such image.
        """
        image = self._images[name]
        number: object = None
        try:
            height, width = _size(image, shape)
            mask = np.zeros((height, width), dtype=bool)
            entries = self._annotations.get(str(image["id"]), [])
            outlined = [entry for entry in entries if entry.get("segmentation")]
            for entry in outlined or entries:  # a box beside an outline says nothing new
                number = entry.get("id")
                mask |= _mask_of(entry.get("segmentation"), (height, width))
        except ValueError as error:
            where = f"image {name!r}" + ("" if number is None else f", annotation {number}")
            raise AnnotationError(self.path, f"{where}: {error}") from None
        return mask


def _size(image: dict[str, Any], shape: Sequence[int] | None) -> tuple[int, int]:
    said = shape_in(image, "height", "width")
    if shape is None and said is None:
        raise ValueError("height and width of the image are missing; export the file again")
    if shape is not None and said not in (None, tuple(shape)):
        raise ValueError(
            f"it was drawn on an image of {said[1]} x {said[0]} pixels, the image has {shape[1]} x {shape[0]}; draw "
            "it on that one"
        )
    return check_shape(said if shape is None else shape)  # type: ignore[arg-type]  # not both are None


def _mask_of(segmentation: Any, shape: tuple[int, int]) -> np.ndarray:
    if isinstance(segmentation, dict):
        counts, size = segmentation.get("counts"), segmentation.get("size")
        if size is not None and size != list(shape):
            raise ValueError(f"its run lengths are of the size {size} (height, width), the image has {list(shape)}")
        if isinstance(counts, (str, bytes)):
            counts = counts_of_text(counts)
        if not isinstance(counts, (list, np.ndarray)):
            raise ValueError("its run lengths have no counts; export the file again")
        return counts_to_mask(counts, shape)
    if not isinstance(segmentation, list) or not segmentation:
        raise ValueError("it has no outline (perhaps a box only); draw a polygon or a mask")
    flat = segmentation if isinstance(segmentation[0], list) else [segmentation]
    return polygons_to_mask([_pairs(polygon) for polygon in flat], shape)


def _pairs(polygon: Any) -> np.ndarray:
    try:
        numbers = np.asarray(polygon, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("a polygon is no list of numbers") from None
    if numbers.ndim != 1 or numbers.size % 2:
        raise ValueError("a polygon is no list of x and y in turn")
    return numbers.reshape(-1, 2)


def read_coco(path: str | os.PathLike[str], *, labels: Sequence[str] | None = None) -> CocoMasks:
    """Read a COCO file.

    Parameters
    ----------
    path : path-like
        The JSON file: polygons, run lengths as numbers or as compressed text,
        one or several annotations an image, which are put together.
    labels : sequence of str, default=None
        Names of the categories that count; all if None.

    Returns
    -------
    CocoMasks
        The masks by the ``file_name`` of the images.

    Raises
    ------
    AnnotationError
        A ValueError that names the file, what is wrong with it and the way out.
    """
    return CocoMasks(load_json(path), path, labels)


def write_coco(
    path: str | os.PathLike[str], masks: Sequence[np.ndarray], image_names: Sequence[str], *, label: str = "lesion",
    tolerance: float = 0.0,
) -> None:  # fmt: skip
    """Write masks as a COCO file, see `coco_content`.

    Parameters
    ----------
    path : path-like
        The JSON file.
    masks : sequence of (H, W) bool arrays
        The masks.
    image_names : sequence of str
        The file of each image.
    label : str, default="lesion"
        Name of the category.
    tolerance : float, default=0.0
        Pixels that the outlines may be moved by, see `mask_to_polygons`.
    """
    save_json(path, coco_content(masks, image_names, label=label, tolerance=tolerance))
