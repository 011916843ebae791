"""Open a folder of doubtful outlines with those of the annotation tools that are installed here, and compare the masks.

To be called with the Python of an environment that has labelme, pycocotools, datumaro or supervision (and NumPy and
Pillow, which they need); skinseg is not needed. Each tool makes masks of what `skinseg segment --doubtful` has written,
by its own code. They are compared with the PNG masks, and with the polygons filled where the centers are inside.
"""

import argparse
import contextlib
import importlib
import importlib.metadata
import io
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image


def jaccard(mask, other):
    return (mask & other).sum() / max((mask | other).sum(), 1)


def filled(points, shape):
    """Pixels whose center is inside of a polygon, one edge at a time."""
    inside = np.zeros(shape, bool)
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        crossed = (y0 > y) != (y1 > y)
        with np.errstate(divide="ignore", invalid="ignore"):
            inside ^= crossed & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside


def by_labelme(folder):
    labelme = importlib.import_module("labelme")
    try:
        module = importlib.import_module("labelme.label_file")
    except ImportError:  # since 6
        module = importlib.import_module("labelme._label_file")
    for path in sorted((folder / "images").glob("*.json")):
        file = module.LabelFile(str(path))
        data = file.image_data if hasattr(file, "image_data") else file.imageData
        with Image.open(io.BytesIO(data)) as image:
            mask = np.zeros(image.size[::-1], bool)
        for shape in file.shapes:
            if shape["shape_type"] == "mask":
                (x0, y0), (x1, y1) = np.asarray(shape["points"]).astype(int)
                mask[y0 : y1 + 1, x0 : x1 + 1] |= shape["mask"]
            else:
                mask |= labelme.utils.shape_to_mask(mask.shape, shape["points"], shape["shape_type"])
        yield path.stem, mask


def by_pycocotools(folder):
    coco_module = importlib.import_module("pycocotools.coco")
    coco = coco_module.COCO(str(folder / "coco.json"))
    for image in coco.loadImgs(coco.getImgIds()):
        mask = np.zeros((image["height"], image["width"]), bool)
        for annotation in coco.loadAnns(coco.getAnnIds(imgIds=image["id"])):
            mask |= coco.annToMask(annotation) > 0
        yield Path(image["file_name"]).stem, mask


def by_datumaro(folder):
    datumaro = importlib.import_module("datumaro")
    rasterize = importlib.import_module("pycocotools.mask")
    with tempfile.TemporaryDirectory() as root:
        shutil.copytree(folder / "images", f"{root}/images/default", ignore=shutil.ignore_patterns("*.json"))
        Path(root, "annotations").mkdir()
        shutil.copy(folder / "coco.json", f"{root}/annotations/instances_default.json")
        for item in datumaro.Dataset.import_from(root, "coco_instances"):
            mask = np.zeros(item.media.size, bool)
            for annotation in item.annotations:
                if annotation.type.name == "polygon":
                    mask |= rasterize.decode(rasterize.frPyObjects([annotation.points], *mask.shape))[..., 0] > 0
                elif annotation.type.name == "mask":
                    mask |= np.asarray(annotation.image) > 0
            yield item.id, mask


def by_supervision(folder):
    supervision = importlib.import_module("supervision")
    images, coco = str(folder / "images"), str(folder / "coco.json")
    for path, image, found in supervision.DetectionDataset.from_coco(images, coco, force_masks=True):
        mask = np.zeros(image.shape[:2], bool)
        if len(found):
            mask |= found.mask.any(axis=0)
        yield Path(path).stem, mask


TOOLS = {
    "labelme": by_labelme,
    "pycocotools": by_pycocotools,
    "datumaro": by_datumaro,
    "supervision": by_supervision,
}


def exact(folder):
    """The masks as they were written, and those of the polygons."""
    for path in sorted((folder / "masks").glob("*.png")):
        stem = path.stem.removesuffix("_segmentation")
        with Image.open(path) as image:
            mask = np.asarray(image) > 0
        shapes = json.loads((folder / "images" / f"{stem}.json").read_text("utf-8"))["shapes"]
        polygons = [filled(shape["points"], mask.shape) for shape in shapes if shape["shape_type"] == "polygon"]
        yield stem, (mask, np.logical_or.reduce(polygons) if polygons else mask)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="Written by skinseg segment --doubtful.")
    folder = parser.parse_args().folder
    written = dict(exact(folder))
    print("| tool | version | images | with the PNG masks: mean, least | with the polygons: mean, least |")
    print("|---|---|---|---|---|")
    for name, read in TOOLS.items():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        with contextlib.redirect_stdout(io.StringIO()):
            found = {stem: mask for stem, mask in read(folder) if mask.any()}
        scores = np.array([[jaccard(mask, other) for other in written[stem]] for stem, mask in found.items()])
        columns = [f"{column.mean():.4f}, {column.min():.4f}" for column in scores.T]
        print(f"| {name} | {version} | {len(found)} | {' | '.join(columns)} |")


if __name__ == "__main__":
    main()
