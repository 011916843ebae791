"""Peak memory and rate of `make_lesion_pipeline`, fitted to and predicting more and more files, a process each.

Linux. The files of a table or folder are repeated under other names (links) until there are as many as asked for.
"""

import argparse
import itertools
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

CODE = """
import resource, sys, time, warnings
from pathlib import Path
import numpy as np
from skinseg import PretrainedSegmenter, ThresholdSegmenter, make_lesion_pipeline
warnings.simplefilter("ignore")
folder, segmenter, jobs = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
paths = sorted(folder.iterdir())
y = np.arange(len(paths)) % 2
segmenter = {"threshold": ThresholdSegmenter, "pretrained": PretrainedSegmenter}[segmenter]()
pipe = make_lesion_pipeline(segmenter, n_jobs=jobs)

def peak():
    # largest memory so far, in MB; that of getrusage begins with what the process had that started this one
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024

start = time.perf_counter()
pipe.fit(paths, y)
fitted, of_fit = time.perf_counter(), peak()
pipe.predict_proba(paths)
seconds = time.perf_counter() - fitted
if jobs > 1:
    from joblib.externals.loky import get_reusable_executor
    get_reusable_executor().shutdown(wait=True)  # their memory is counted when they have ended
workers = f"{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MB" if jobs > 1 else ""
print(f"| {len(paths):,} | {jobs} | {len(paths) / (fitted - start):.0f} | {len(paths) / seconds:.0f} | {of_fit:.0f} MB "
      f"| {peak():.0f} MB | {workers} |", flush=True)
"""


def find_files(source):
    """Images of a table of the column ``image``, relative to it, or of a folder."""
    if source.is_dir():
        return sorted(source.glob("*.jpg"))
    return [source.parent / name for name in pd.read_csv(source)["image"]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="table with the column image, or folder of JPEG files")
    parser.add_argument("--number", type=int, nargs="+", default=[500, 2000, 10000])
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--segmenter", choices=["threshold", "pretrained"], default="threshold")
    options = parser.parse_args()
    files = find_files(options.source)
    print(
        "| images | workers | fit, images a second | predict, images a second | peak of fit | peak | largest worker |"
    )
    print("|---|---|---|---|---|---|---|")
    for jobs, number in itertools.product(options.jobs, options.number):
        with tempfile.TemporaryDirectory() as folder:
            for index, file in enumerate(itertools.islice(itertools.cycle(files), number)):
                (Path(folder) / f"{index:06d}{file.suffix}").symlink_to(file.absolute())
            subprocess.run([sys.executable, "-c", CODE, folder, options.segmenter, str(jobs)], check=True)


if __name__ == "__main__":
    main()
