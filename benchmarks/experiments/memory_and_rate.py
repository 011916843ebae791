"""Peak memory and rate of a pipeline with `ThresholdSegmenter` fitted to 500 and to 2,000 files, a process each."""

import argparse
import subprocess
import sys
from pathlib import Path

CODE = """
import resource, sys, time, warnings
from skinseg import ThresholdSegmenter, make_lesion_pipeline
from skinseg.datasets import load_lesion_table
warnings.simplefilter("ignore")
data = load_lesion_table(sys.argv[1], target_column="melanoma", where={"split": "training"})
n, jobs = int(sys.argv[2]), int(sys.argv[3])
start = time.perf_counter()
make_lesion_pipeline(ThresholdSegmenter(), n_jobs=jobs).fit(data.images[:n], data.target[:n])
seconds = time.perf_counter() - start
if jobs > 1:
    from joblib.externals.loky import get_reusable_executor
    get_reusable_executor().shutdown(wait=True)  # their memory is counted when they have ended
own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(f"{n} images, n_jobs={jobs}: {n / seconds:.0f} images/s, peak {own:.0f} MB"
      + (f", largest worker {workers:.0f} MB" if jobs > 1 else ""), flush=True)
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    options = parser.parse_args()
    for jobs in (1, 2):
        for n in (500, 2000):
            subprocess.run([sys.executable, "-c", CODE, str(options.table), str(n), str(jobs)], check=True)


if __name__ == "__main__":
    main()
