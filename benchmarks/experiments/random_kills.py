"""`kill -9` at random moments of cached, parallel and resumed work, which is then called again: is the result the same?

Each kind of work runs once undisturbed. Then it is begun anew and killed at random moments, all of its processes, its
main process alone or one of its workers, and called again until it ends; where it ends before all kills are spent, it
is begun anew. What is checked: after each kill, that every file under a final name is whole; at each end, that the
results and all entries of caches are those of the undisturbed run byte for byte, and that nothing else was left.
Workers that were just starting when their process was killed, and have no work yet, wait for five minutes: they are
counted, and ended.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from skinseg.datasets import load_lesion_table, make_lesions

SHARES = {"features": 6, "segment": 6, "predict": 3, "pipeline": 6, "search": 3, "training": 1}  # of the kills
WORKERS = ("features", "segment", "pipeline")  # what has worker processes
HOW = ("all", "main", "worker")
READY = "ready"


# ---------------------------------------------------------------------- the work, in a process of its own


def work(what, images, out, jobs):
    """Do one kind of work; rows are written as often as possible, so that there is much to be killed."""
    from skinseg import ABCDFeaturizer, BatchedPipeline, ThresholdSegmenter, _files, make_lesion_pipeline
    from skinseg.cli import main
    from skinseg.outlining import find_images
    from skinseg.runs import _drive, _parts

    _parts._AT_LEAST = _parts._SHARE = 0.0
    _drive._BATCH = 2
    groups = ("dimension", "border")
    files, target = find_images([images]), np.arange(len(find_images([images]))) % 2
    memory = str(out.parent / "cache")
    out.mkdir(exist_ok=True)
    if what in ("features", "segment", "predict"):
        words = [what, str(images), "--jobs", str(jobs), "-q"]
        words += ["--model", str(images.parent / "model.skops")] if what == "predict" else ["--segmenter", "threshold"]
        words += {
            "features": ["--out", str(out / "f.csv"), "--groups", ",".join(groups)],
            "segment": ["--out", str(out), "--table", str(out / "t.csv")],
            "predict": ["--out", str(out / "p.csv")],
        }[what]
        print(READY, flush=True)
        main(words)
    elif what == "pipeline":
        steps = [("s", ThresholdSegmenter(memory=memory)), ("f", ABCDFeaturizer(groups=groups))]
        pipe = BatchedPipeline(steps, memory=memory, n_jobs=jobs, batch_size=2)
        print(READY, flush=True)
        _files.write_file(out / "table.bin", np.ascontiguousarray(pipe.fit_transform(files)).tobytes())
    elif what == "search":
        from sklearn.model_selection import GridSearchCV

        model = make_lesion_pipeline(ThresholdSegmenter(), featurizer=ABCDFeaturizer(groups=groups), memory=memory)
        grid = {"lesion__segmenter__method": ["otsu", "li"], "classifier__C": [0.1, 1.0]}
        print(READY, flush=True)
        found = GridSearchCV(model, grid, cv=2, scoring="roc_auc").fit(files, target)
        _files.write_file(out / "scores.bin", found.cv_results_["mean_test_score"].tobytes())
        _files.write_file(out / "probabilities.bin", found.predict_proba(files).tobytes())
    else:
        from skinseg import UNetSegmenter

        masks = [images.parent / "masks" / f"{file.stem}_segmentation.png" for file in files]
        network = UNetSegmenter(
            depth=1, base_filters=2, input_size=32, epochs=30, batch_size=4, random_state=0, checkpoint_dir=out
        )
        print(READY, flush=True)
        network.fit(files, masks)
        _files.write_file(out / "weights.txt", network.weights_hash_.encode())
    print("done", flush=True)


# ---------------------------------------------------------------------- killing it


class Process:
    """A process that does the work, and all that it starts."""

    def __init__(self, what, images, out, jobs):
        self.mark = uuid.uuid4().hex
        words = [sys.executable, __file__, str(images), "--work", what, "--out", str(out), "--jobs", str(jobs)]
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed when it has said all)
        environment = {**os.environ, "SKINSEG_KILL_MARK": self.mark, "TF_CPP_MIN_LOG_LEVEL": "3"}
        self.process = subprocess.Popen(
            words, env=environment, stdout=self.log, stderr=self.log, start_new_session=True
        )
        while READY not in self.said():
            if self.process.poll() is not None:
                raise SystemExit(f"{what} did not begin:\n{self.said(last=True)}")
            time.sleep(0.01)
        self.started = time.monotonic()

    def members(self):
        """Give its processes, and those that outlived it: number and command."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if command and self.mark.encode() in (folder / "environ").read_bytes():
                    found[int(folder.name)] = command
            except OSError:
                continue
        return found

    def kill(self, how, rng):
        """Kill it, in one of three ways; False if it had ended, or had no worker."""
        if self.process.poll() is not None:
            return False
        if how == "all":
            for number in self.members():
                _kill(number)
        elif how == "main":
            self.process.kill()
        else:
            workers = [n for n, command in self.members().items() if "popen_loky" in command and n != self.process.pid]
            if not workers:
                return False
            _kill(rng.choice(sorted(workers)))
        return True

    def ended(self, seconds):
        """Wait for its end; its exit code, what it said, and how many of its processes were left."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill("all", None)
            raise SystemExit(f"a process hangs after {seconds:.0f} s:\n{self.said(last=True)}") from None
        end = time.monotonic() + 5
        while self.members() and time.monotonic() < end:
            time.sleep(0.05)
        left = self.members()
        for number in left:
            _kill(number)
        said = self.said(last=True)
        return self.process.returncode, said, sum("popen_loky" in command for command in left.values())

    def said(self, last=False):
        self.log.seek(0)
        text = self.log.read()
        if last:
            self.log.close()
        return text


def _kill(number):
    with suppress(ProcessLookupError):
        os.kill(number, signal.SIGKILL)


# ---------------------------------------------------------------------- what came of it


def contents(folder):
    """Give the files below a folder by their names, but for those of a run that is not over."""
    return {
        str(path.relative_to(folder)): _without_times(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.endswith(".parts") for part in path.relative_to(folder).parts)
    }


def _without_times(path):
    """Give the content of a file, of a training without how long its epochs took."""
    if path.name == "history.csv":
        return pd.read_csv(path).drop(columns="seconds").to_csv().encode()
    if path.name == "checkpoint.npz":
        with np.load(path) as file:
            return b"".join(file[name].tobytes() for name in sorted(file.files) if name != "description")
    return path.read_bytes()


def is_final(name):
    return not Path(name).name.startswith(".") and Path(name).name not in ("checkpoint.npz", "history.csv")


def torn(place, expected):
    """Name files under a final name that are not whole."""
    found = contents(place)
    return [name for name, data in found.items() if is_final(name) and data != expected.get(name)]


def compare(place, expected):
    """Say whether all is as after the undisturbed run, and what else is there."""
    found = contents(place)
    different = [name for name, data in expected.items() if found.get(name) != data]
    left = [name for name in found if name not in expected]
    left += [str(path) for path in place.rglob("*.parts")]
    return different, left


def disturb(what, images, folder, n_kills, jobs, rng):
    """Kill one kind of work so many times; a row of the table."""
    place = folder / what
    out = place / "out"
    place.mkdir()
    first = Process(what, images, out, jobs)
    code, said, _ = first.ended(3600)
    if code:
        raise SystemExit(f"{what} ended with {code}:\n{said}")
    seconds = time.monotonic() - first.started
    expected = contents(place)
    row = {"work": what, "undisturbed, s": f"{seconds:.1f}", "files": len(expected)}
    counts = dict.fromkeys(HOW, 0)
    row |= {"rounds": 0, "torn": 0, "different": 0, "left over": 0, "waiting workers": 0}
    begun = False
    while sum(counts.values()) < n_kills or begun:
        if not begun:
            shutil.rmtree(place)
            place.mkdir()
            begun = True
        process = Process(what, images, out, jobs)
        killed = False
        if sum(counts.values()) < n_kills:
            how = rng.choice(HOW if what in WORKERS and jobs > 1 else HOW[:1])
            time.sleep(rng.uniform(0, seconds))
            killed = process.kill(how, rng)
            counts[how] += killed
        code, said, waiting = process.ended(60 + 20 * seconds)
        row["waiting workers"] += waiting
        wrong = torn(place, expected)
        row["torn"] += len(wrong)
        if code == 0:  # also with a worker killed
            different, left = compare(place, expected)
            row["rounds"] += 1
            row["different"] += len(different)
            row["left over"] += len(left)
            begun = False
            if different or left:
                print(f"{what}: different {different[:3]}, left {left[:3]}", file=sys.stderr)
        elif not killed:
            raise SystemExit(f"{what} ended with {code} undisturbed:\n{said}")
        if wrong:
            print(f"{what}: torn {wrong[:3]}", file=sys.stderr)
    return row | {f"killed: {how}": count for how, count in counts.items()}


def make_files(source, folder, n_images):
    """Make images and masks, drawn or copied, and a model."""
    from skinseg import ABCDFeaturizer, ThresholdSegmenter, make_lesion_pipeline, save

    drawn = make_lesions(max(n_images, 20), random_state=0, min_side=96, max_side=160, melanoma_fraction=0.5)
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    if source is None:
        for index in range(n_images):
            cv2.imwrite(str(folder / "images" / f"a{index:04d}.png"), drawn.images[index][..., ::-1])
            mask = drawn.masks[index].astype("uint8") * 255
            cv2.imwrite(str(folder / "masks" / f"a{index:04d}_segmentation.png"), mask)
    else:
        table = load_lesion_table(source, mask_column="mask")
        for image, mask in list(zip(table.images, table.masks, strict=True))[:n_images]:
            shutil.copy(image, folder / "images")
            shutil.copy(mask, folder / "masks" / f"{Path(image).stem}_segmentation.png")
    model = make_lesion_pipeline(ThresholdSegmenter(), featurizer=ABCDFeaturizer(groups=("dimension",)))
    save(model.fit(drawn.images[:20], drawn.target[:20]), folder / "model.skops")


def share_out(n_kills, kinds):
    """Say how many kills each kind of work gets."""
    total = sum(SHARES[what] for what in kinds)
    counts = {what: n_kills * SHARES[what] // total for what in kinds}
    for what in kinds:
        if sum(counts.values()) < n_kills:
            counts[what] += 1
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, nargs="?", help="table with the columns image and mask; drawn by default")
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--kinds", default=",".join(SHARES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work, options.source, options.out, options.jobs)
        return
    rng = random.Random(options.seed)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_files(options.source, folder, options.images)
        for what, n_kills in share_out(options.kills, options.kinds.split(",")).items():
            rows.append(disturb(what, folder / "images", folder, n_kills, options.jobs, rng))
            print(rows[-1], file=sys.stderr, flush=True)
    print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(map(str, row.values())) + " |")
    bad = sum(row[name] for row in rows for name in ("torn", "different", "left over"))
    kills = sum(row[f"killed: {how}"] for row in rows for how in HOW)
    print(f"\n{kills} kills, {options.images} images, {bad} findings")
    if bad:
        sys.exit(1)


if __name__ == "__main__":
    main()
