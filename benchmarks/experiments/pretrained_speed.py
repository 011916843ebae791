"""Speed and memory of the network that comes with the package, on image files.

Five parts, of which --only picks some: the start of the command (cold), images a second over many files (rate), ONNX
Runtime beside Keras and OpenCV on the same squares (engines), peak memory over the number of files (memory), and a file
of 12 megapixels beside a small one (large).

Files are repeated under other names where there are fewer than wanted. Ways that are compared take turns within one
process, so that what else the machine does meets all of them; memory is measured in a process for each row.
"""

import argparse
import importlib.util
import itertools
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import cv2
import numpy as np

from skinseg import LesionImage, PretrainedSegmenter, read_image
from skinseg.exceptions import EmptyMaskWarning
from skinseg.masks import clean_mask, resize_mask
from skinseg.networks import letterbox, packaged_network, run_packaged
from skinseg.outlining import find_images, segment_files

BATCH = 8
N_SINGLE = 16  # squares that go through one by one in a round


def show(title, *rows):
    """Print one table."""
    print(f"\n| {' | '.join(title)} |\n|{'---|' * len(title)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)


def seconds(function, *arguments, **settings):
    start = time.perf_counter()
    function(*arguments, **settings)
    return time.perf_counter() - start


def repeat_files(images, n_files, folder):
    """Give so many files: links to the images, or copies where links are not allowed."""
    folder.mkdir()
    made = []
    for index, source in zip(range(n_files), itertools.cycle(images), strict=False):
        path = folder / f"{index:05d}{source.suffix}"
        try:
            path.symlink_to(source.absolute())
        except OSError:
            shutil.copy(source, path)
        made.append(path)
    return made


# ---------------------------------------------------------------------- the command, and many files


def start_once(image, segmenter):
    """Seconds until the mask of one image is there, and until the command has ended."""
    with tempfile.TemporaryDirectory() as folder:
        mask = Path(folder) / f"{image.stem}_segmentation.png"
        command = ["-m", "skinseg.cli", "segment", "--quiet", "--segmenter"]
        call = [sys.executable, *command, segmenter, image, "--out", folder]
        start, there = time.perf_counter(), None
        with subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            while process.poll() is None:
                if there is None and mask.exists():
                    there = time.perf_counter() - start
                time.sleep(0.002)
            ended = time.perf_counter() - start
            if process.returncode or not mask.exists():
                raise SystemExit(f"the command failed: {process.stderr.read()}")
    return ended if there is None else there, ended


def show_cold(images, options, _folder):
    rows = []
    for name in options.segmenters:
        there, ended = np.transpose([start_once(images[0], name) for _ in range(options.starts)])
        rows.append([name, *(f"{value:.2f}" for value in (there[0], there.min(), np.median(there), np.median(ended)))])
    title = f"first mask of the command, {options.starts} starts, s"
    show([title, "first", "best", "median", "median, to the end of the process"], *rows)


def show_rate(images, options, folder):
    files = repeat_files(images, options.files, folder / "rate")
    taken = {1: [], 2: []}
    for _ in range(options.passes):
        for n_jobs, times in taken.items():
            times.append(seconds(segment_files, files, folder / "masks", PretrainedSegmenter(), n_jobs=n_jobs))
    rows = []
    for n_jobs, times in taken.items():
        rows.append([n_jobs, *(f"{len(files) / value:.0f}" for value in (times[0], np.median(times), min(times)))])
    wanted = "images a second, first pass", f"median of {options.passes}", "best"
    show([f"{len(files)} files to masks, workers", *wanted], *rows)


# ---------------------------------------------------------------------- what runs the network


def keras_network():
    """Build the packaged network, all of its members, in Keras."""
    import keras
    from onnx import load_model_from_string
    from onnx.numpy_helper import to_array

    from skinseg.networks import efficientnet_lite_unet

    network = packaged_network()
    tensors = {item.name: to_array(item) for item in load_model_from_string(network.read()).graph.initializer}
    members = []
    for member in sorted({name.partition("/")[0] for name in tensors if name.startswith("net")}):
        model = efficientnet_lite_unet(**network.architecture)
        names = [f"{member}/{layer.name}/{weight.name}" for layer in model.layers for weight in layer.weights]
        model.set_weights([_in_keras(name, tensors[name].astype(np.float32)) for name in names])
        model.name = member
        members.append(model)
    if len(members) == 1:
        return members[0]
    inputs = keras.Input(members[0].input_shape[1:])
    return keras.Model(inputs, keras.layers.Concatenate()([member(inputs, training=False) for member in members]))


def _in_keras(name, values):
    """Bring a kernel into the layout of Keras: rows, columns, channels."""
    if values.ndim != 4:
        return values
    return values.transpose((2, 3, 0, 1) if "depthwise" in name else (2, 3, 1, 0))


def opencv_network():
    """OpenCV's own reader of the same file: a function, or why there is none."""
    try:
        net = cv2.dnn.readNetFromONNX(np.frombuffer(packaged_network().read(), np.uint8))

        def run(squares):
            net.setInput(squares)
            return net.forward()

        run(np.zeros((1, *2 * [packaged_network().input_size], 3), np.uint8))
    except cv2.error as error:
        return None, str(error).strip().splitlines()[-1]
    return run, ""


def ways_of(squares):
    """Ways to run the network on batches and one by one: name, whether in batches, function without arguments."""
    batches = [squares[start : start + BATCH] for start in range(0, len(squares), BATCH)]
    singles = [squares[i : i + 1] for i in range(min(N_SINGLE, len(squares)))]
    ways = {
        ("ONNX Runtime", True): lambda: [run_packaged(batch) for batch in batches],
        ("ONNX Runtime", False): lambda: [run_packaged(square) for square in singles],
    }
    if importlib.util.find_spec("keras") is None or importlib.util.find_spec("onnx") is None:
        print("\nKeras or onnx is not installed: no comparison with Keras (pip install 'scikit-skinseg[deep]')")
    else:
        model = keras_network()
        floats = squares.astype(np.float32)  # so that Keras has nothing to convert
        few = [floats[i : i + 1] for i in range(len(singles))]
        ways["Keras predict", True] = lambda: model.predict(floats, batch_size=BATCH, verbose=0)
        ways["Keras predict", False] = lambda: [model.predict(square, verbose=0) for square in few]
        ways["Keras predict_on_batch", True] = lambda: [
            model.predict_on_batch(floats[start : start + BATCH]) for start in range(0, len(floats), BATCH)
        ]
        ways["Keras predict_on_batch", False] = lambda: [model.predict_on_batch(square) for square in few]
        theirs = model.predict_on_batch(floats[:BATCH]).transpose(0, 3, 1, 2)
        differ = np.abs(run_packaged(squares[:BATCH]) - theirs).max()
        print(f"\nONNX Runtime and Keras: probabilities differ by {differ:.1e} at most")
    run, problem = opencv_network()
    if run is None:
        print(f"\nOpenCV cannot run the file: {problem}")
    else:
        ways["OpenCV dnn", True] = lambda: [run(batch) for batch in batches]
        ways["OpenCV dnn", False] = lambda: [run(square) for square in singles]
        differ = np.abs(run(squares[:BATCH]) - run_packaged(squares[:BATCH])).max()
        print(f"\nONNX Runtime and OpenCV: probabilities differ by {differ:.1e} at most")
    return ways, {True: len(squares), False: len(singles)}


def show_engines(images, options, _folder):
    side = packaged_network().input_size
    chosen = list(itertools.islice(itertools.cycle(images), options.squares))
    ways, counts = ways_of(np.stack([letterbox(read_image(path), side) for path in chosen]))
    taken = {way: [] for way in ways}
    for function in ways.values():  # traces, and threads that start
        function()
    for _ in range(options.rounds):
        for way, function in ways.items():
            taken[way].append(seconds(function))
    rows = []
    for (name, batched), times in taken.items():
        ratios = np.divide(times, taken["ONNX Runtime", batched])
        rate = counts[batched] / np.median(times)
        ratio = f"{np.median(ratios):.2f} ({ratios.min():.2f}-{ratios.max():.2f})"
        way = f"batches of {BATCH}" if batched else "one by one"
        rows.append([way, name, f"{rate:.0f}", f"{1000 / rate:.1f}", ratio])
    rows.sort(key=lambda row: row[0])
    ratio = f"time over that of ONNX Runtime, median of {options.rounds} rounds (least-most)"
    show([f"{side} x {side}, {os.cpu_count()} cores", "", "images a second", "ms an image", ratio], *rows)


# ---------------------------------------------------------------------- memory, and large files


def peak(what, paths, folder):
    """Do a thing in a process of its own; its peak in MB."""
    listed = folder / "files.txt"
    listed.write_text("\n".join(map(str, paths)))
    call = [sys.executable, __file__, listed, "--row", what, str(folder / "masks")]
    done = subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout.split()[-1])


def run_row(what, listed, masks):
    """What such a process does."""
    warnings.simplefilter("ignore", EmptyMaskWarning)
    paths = [Path(line) for line in listed.read_text().splitlines()]
    if what == "segment":
        segment_files(paths, masks, PretrainedSegmenter())
    elif what == "predict":
        PretrainedSegmenter().predict(paths)
    else:  # what it takes to run the network
        PretrainedSegmenter().predict([np.full((256, 341, 3), 128, np.uint8)])
    print(own_peak())


def own_peak():
    """Peak of this process in MB. On Linux getrusage has that of the process which started it in it as well."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def show_memory(images, options, folder):
    rows = []
    for n_files in options.memory_files:
        files = repeat_files(images, n_files, folder / f"memory{n_files}")
        rows.append([f"{n_files:,}", f"{peak('segment', files, folder):.0f}"])
    show(["files to masks, one worker", "peak memory of the process, MB"], *rows)


def parts_of(path):
    """Functions of the parts of `PretrainedSegmenter().predict` on one file, and of the whole."""
    segmenter, side = PretrainedSegmenter(), packaged_network().input_size
    image = read_image(path)
    record, square = LesionImage(image), letterbox(image, side)
    (found,) = segmenter._maps([square], [record.shape])

    def cut_and_clean():
        mask = clean_mask(found >= segmenter._cut(found))
        segmenter._confidence(found, mask)
        return mask

    small = cut_and_clean()
    full = resize_mask(small, record.shape)
    return {
        "decoding (read_image)": lambda: read_image(path),
        "letterboxing": lambda: letterbox(image, side),
        "network": lambda: segmenter._maps([square], [record.shape]),
        "cutting and cleaning the mask": cut_and_clean,
        "mask to full size": lambda: resize_mask(small, record.shape),
        "predict, image in memory": lambda: segmenter.predict([image]),
        "predict, file": lambda: segmenter.predict([path]),
        "mask to PNG": lambda: cv2.imencode(".png", full.view(np.uint8) * np.uint8(255)),
    }


def enlarged(path, size, folder):
    """Make a large file of an image, with the noise of a camera, without which it would decode faster."""
    image = cv2.resize(read_image(path), size, interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(0).normal(0, 3, (*size[::-1], 1)).astype(np.int16)
    large = folder / "large.jpg"
    cv2.imwrite(str(large), np.clip(image + noise, 0, 255).astype(np.uint8)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    return large


def show_large(images, options, folder):
    files = {"small": images[0], "large": enlarged(images[0], options.large, folder)}
    parts = {name: parts_of(path) for name, path in files.items()}
    taken = {(name, part): [] for name in files for part in parts[name]}
    for _ in range(options.rounds):
        for name, part in taken:
            taken[name, part].append(1000 * seconds(parts[name][part]))
    shapes = {name: "{1} x {0}".format(*read_image(path).shape) for name, path in files.items()}
    sizes = [f"{shapes[name]}, {path.stat().st_size / 1e6:.2f} MB" for name, path in files.items()]
    rows = [[part, *(f"{np.median(taken[name, part]):.1f}" for name in files)] for part in parts["small"]]
    show([f"ms, median of {options.rounds} rounds", *sizes], *rows)
    (small, large), (decode_small, decode_large) = (
        [np.array(taken[name, part]) for name in files] for part in ("predict, file", "decoding (read_image)")
    )
    print(f"\nlarge file over its decoding plus all of a small file: {np.median(large / (decode_large + small)):.2f}")
    print(f"beyond decoding, large over small: {np.median(large - decode_large) / np.median(small - decode_small):.2f}")
    peaks = [peak("nothing", [images[0]], folder), *(peak("predict", [path], folder) for path in files.values())]
    row = ["predict, file", *(f"{value:.0f}" for value in peaks)]
    show(["peak memory of a process, MB", "network alone", *sizes], row)


PARTS = {
    "cold": show_cold, "rate": show_rate, "engines": show_engines, "memory": show_memory, "large": show_large,
}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="+", help="files, folders or patterns of images")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to measure; all by default"
    )
    parser.add_argument("--segmenters", nargs="+", default=["pretrained"], help="names of the command, for cold")
    parser.add_argument("--starts", type=int, default=5, help="starts of the command")
    parser.add_argument("--files", type=int, default=500, help="number of files, for rate")
    parser.add_argument("--passes", type=int, default=3, help="how often they are outlined")
    parser.add_argument("--squares", type=int, default=64, help="number of squares, for engines")
    parser.add_argument("--rounds", type=int, default=7, help="turns of what is compared")
    parser.add_argument("--memory-files", type=int, nargs="+", default=[32, 500, 2000])
    parser.add_argument("--large", type=int, nargs=2, default=[4000, 3000], metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--row", nargs=2, metavar=("WHAT", "FOLDER"), help=argparse.SUPPRESS)  # what a process does
    options = parser.parse_args()
    warnings.simplefilter("ignore", EmptyMaskWarning)
    if options.row:
        run_row(options.row[0], Path(options.images[0]), options.row[1])
        return
    images = find_images(options.images)
    print(f"{len(images)} images")
    for part in options.only:
        with tempfile.TemporaryDirectory() as folder:
            PARTS[part](images, options, Path(folder))


if __name__ == "__main__":
    main()
