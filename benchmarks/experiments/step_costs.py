"""Time of every step in units of D, the cost of `cv2.imread` of the same JPEG file, and memory on large files.

One core. The small files are all of one size, such as 512 x 512. D of a file is the least time of some readings; so is
the time of a step on the decoded image; the median over the files of their ratio is printed. For the large files the
memory is what a process holds at its peak above what it held with the image decoded, in multiples of the image's bytes,
each step in a process of its own.
"""

import argparse
import json
import subprocess
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from skinseg import (
    ABCDFeaturizer,
    ChanVeseSegmenter,
    ColorConstancy,
    ContrastEqualizer,
    EnsembleSegmenter,
    FrameCropper,
    GrabCutSegmenter,
    HairRemover,
    IlluminationCorrector,
    ImageResizer,
    KMeansSegmenter,
    LesionImage,
    SaliencySegmenter,
    SuperpixelSegmenter,
    ThresholdSegmenter,
    make_lesion_pipeline,
    read_image,
)
from skinseg.datasets import make_lesions
from skinseg.exceptions import EmptyMaskWarning
from skinseg.features._catalog import GROUPS


class Chain:
    """Several steps, one after the other."""

    def __init__(self, *steps):
        self.steps = steps

    def transform(self, records):
        for step in self.steps:
            records = step.transform(records)
        return records


def superpixels():
    lesions = make_lesions(20, random_state=0)
    return SuperpixelSegmenter(random_state=0).fit(lesions.images, lesions.masks)


def default_chain():
    """The image steps of `make_lesion_pipeline(ThresholdSegmenter())`."""
    return Chain(
        *(step for _, step in make_lesion_pipeline(ThresholdSegmenter())["lesion"].steps[:-1] if step != "passthrough")
    )


STEPS = {
    "resizer": ImageResizer,
    "frame cropper": FrameCropper,
    "color constancy": ColorConstancy,
    "illumination": IlluminationCorrector,
    "hair, tophat": HairRemover,
    "hair, DullRazor": lambda: HairRemover("dullrazor"),
    "CLAHE": ContrastEqualizer,
    "threshold": ThresholdSegmenter,
    "saliency": SaliencySegmenter,
    "k-means": KMeansSegmenter,
    "Chan-Vese": ChanVeseSegmenter,
    "GrabCut": GrabCutSegmenter,
    "ensemble": EnsembleSegmenter,
    "superpixels": superpixels,
    "resizer, threshold": default_chain,
    # on the outline of `ThresholdSegmenter`
    **{
        f"features: {', '.join(groups)}": partial(ABCDFeaturizer, groups=groups)
        for groups in (*((group,) for group in GROUPS), GROUPS[:4], GROUPS)
    },
}


def record_of(image, name):
    """What a step is given: the image, outlined already where features are measured."""
    records = [LesionImage(image)]
    return ThresholdSegmenter(fallback="disc").transform(records) if name.startswith("features") else records


def seconds(function, argument):
    start = time.perf_counter()
    function(argument)
    return time.perf_counter() - start


def closing_and_inpainting(image):
    """Three plain closings and an inpainting, for comparison."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    lines = (np.ones((1, 15), np.uint8), np.ones((15, 1), np.uint8), np.eye(11, dtype=np.uint8))
    hats = [cv2.absdiff(cv2.morphologyEx(gray, cv2.MORPH_CLOSE, line), gray) for line in lines]
    hair = (cv2.max(cv2.max(hats[0], hats[1]), hats[2]) > 24).astype(np.uint8)
    cv2.inpaint(image, hair, 3, cv2.INPAINT_TELEA)


def times_of(paths, repeat, only):
    """D in milliseconds, and for each step its ratio to D, medians over files and repetitions."""
    for path in paths[:5]:
        cv2.imread(str(path))
    decode = [min(seconds(cv2.imread, str(path)) for _ in range(repeat)) for path in paths]
    ratios = {}
    images = [read_image(path) for path in paths]
    rows = {name: make().transform for name, make in STEPS.items() if name.startswith(only)}
    if not only:
        rows["(three closings and an inpainting)"] = closing_and_inpainting
    for name, function in rows.items():
        taken = []
        for image, unit in zip(images, decode, strict=True):
            argument = image if name.startswith("(") else record_of(image, name)
            taken.append(min(seconds(function, argument) for _ in range(repeat)) / unit)
        ratios[name] = float(np.median(taken))
    return 1000 * float(np.median(decode)), ratios


def memory_of(name, path):
    """Peak of a process that runs one step on one file, above the decoded image, in multiples of the image's bytes."""
    call = [sys.executable, __file__, "--one", name, str(path)]
    return json.loads(subprocess.run(call, capture_output=True, text=True, check=True).stdout)


def run_one(name, path):
    step = STEPS[name]()
    small = np.random.default_rng(0).integers(100, 200, (96, 128, 3), dtype=np.uint8)
    step.transform(record_of(small, name))  # imports and one-time work are no part of it
    image = read_image(path)
    records = record_of(image, name)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew (Linux)
    before = memory("VmRSS")
    step.transform(records)
    print(json.dumps((memory("VmHWM") - before) / image.nbytes))


def memory(key):
    """Bytes that the process holds now (VmRSS), or held at its peak (VmHWM)."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key)]
    return int(line.split()[1]) * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=Path, help="folder of small JPEG files of one size")
    parser.add_argument("--large", type=Path, help="folder of large JPEG files")
    parser.add_argument("--number", type=int, default=40, help="how many of the small files")
    parser.add_argument("--only", default="", help="steps whose names begin so, such as 'features'")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--one", nargs=2, metavar=("STEP", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore", EmptyMaskWarning)
    cv2.setNumThreads(1)
    if options.one:
        run_one(*options.one)
        return
    for folder, number in ((options.small, options.number), (options.large, None)):
        if folder is None:
            continue
        paths = sorted(folder.glob("*.jpg"))[:: max(1, len(list(folder.glob("*.jpg"))) // (number or 10**6))]
        unit, ratios = times_of(paths, options.repeat, options.only)
        print(f"{len(paths)} files of {folder.name}, D = {unit:.2f} ms")
        largest = max(paths, key=lambda path: path.stat().st_size)
        for name, ratio in ratios.items():
            memory = ""
            if number is None and name in STEPS:
                memory = f" | {max(memory_of(name, path) for path in [largest, *paths[:2]]):.1f}"
            print(f"| {name} | {ratio:.1f} D | {ratio * unit:.1f} ms{memory} |", flush=True)


if __name__ == "__main__":
    main()
