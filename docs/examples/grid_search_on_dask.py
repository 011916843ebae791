"""
A grid search on a Dask cluster
===============================

Lesions are drawn, written as files, outlined, measured and classified, and a grid search chooses how to outline them
and how to classify. All of it runs on the workers of a Dask cluster: two processes of this machine, or a cluster that
is there already::

    python docs/examples/grid_search_on_dask.py
    python docs/examples/grid_search_on_dask.py --scheduler tcp://head-node:8786 --folder /shared/lesions

The code is that of a search on one machine; ``joblib.parallel_config(backend="dask")`` is what sends it away. Dask
comes with the extra ``scale``: ``pip install 'scikit-skinseg[scale]'``.
"""

import argparse
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import cv2
from dask.distributed import Client, LocalCluster
from joblib import parallel_config
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, ParameterGrid, StratifiedGroupKFold

from skinseg import ThresholdSegmenter, make_lesion_pipeline
from skinseg.datasets import make_lesions

# %%
# Files that all workers see
# --------------------------
#
# Paths travel, images do not: each worker opens its files by itself. The folder, and that of the cache, must be there
# under the same name on all machines (a network drive).


def write_files(folder, n_samples, seed):
    """Draw lesions and write them; give the files, the classes and the groups."""
    lesions = make_lesions(n_samples, random_state=seed, min_side=128, max_side=192, melanoma_fraction=0.4)
    files = []
    for index, image in enumerate(lesions.images):
        files.append(folder / f"lesion{index:04d}.png")
        cv2.imwrite(str(files[-1]), image[..., ::-1])
    return files, lesions.target, lesions.groups


# %%
# What is searched
# ----------------
#
# With ``memory=`` the row of an image is kept once a setting of the image steps, and all folds and classifiers read it.

OUTLINING = {"lesion__segmenter__method": ["otsu", "li"]}
CLASSIFYING = {"classifier__C": [0.01, 0.1, 1.0]}


def make_search(cache):
    """Make the search; nothing runs yet."""
    pipe = make_lesion_pipeline(ThresholdSegmenter(), max_side=192, batch_size=8, memory=cache)
    return GridSearchCV(pipe, OUTLINING | CLASSIFYING, cv=StratifiedGroupKFold(3), scoring="roc_auc")


# %%
# On the cluster
# --------------
#
# The long part comes first: the images are measured once a setting, batch after batch over all workers. A worker that
# dies costs the batches it was at work on, which others do again. Then the search itself is short: it reads rows.


def main(arguments=None):
    """Run the search and print what it found."""
    parser = argparse.ArgumentParser(description="A grid search on a Dask cluster.")
    parser.add_argument("--scheduler", help="address of a cluster; two processes of this machine if left out")
    parser.add_argument("--folder", type=Path, help="where images and cache go, seen by all workers; a temporary one")
    parser.add_argument("--samples", type=int, default=60, help="lesions to be drawn (60)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the drawing (0)")
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        files, target, groups = write_files(folder.absolute(), options.samples, options.seed)
        address = options.scheduler
        if address is None:  # one thread a worker: Python code runs in one thread of a process at a time
            address = stack.enter_context(
                LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0")
            )
        client = stack.enter_context(Client(address))
        client.wait_for_workers(1)
        search = make_search(folder.absolute() / "cache")
        with parallel_config(backend="dask"):
            start = time.perf_counter()
            for setting in ParameterGrid(OUTLINING):
                clone(search.estimator).set_params(**setting).named_steps["lesion"].fit_transform(files)
            measured = time.perf_counter() - start
            search.fit(files, target, groups=groups)
        searched = time.perf_counter() - start - measured
        cores = sum(client.nthreads().values())
    print(f"{len(files)} images, {cores} cores: measured in {measured:.1f} s, searched in {searched:.1f} s")
    for setting, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
        print(f"  ROC AUC {score:.3f}  {setting}")
    print(f"chosen: {search.best_params_}")
    return search


if __name__ == "__main__":
    main()
