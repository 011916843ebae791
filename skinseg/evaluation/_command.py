"""What `skinseg evaluate` does, besides reading its options."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

from .. import datasets
from ._experiment import run_experiment
from ._folder import Experiment
from ._models import resolve_models, task_of
from ._rerun import rerun_experiment
from ._statistics import usable

__all__ = ["evaluate_command"]

_LISTED = 20
_OPTIONS = {"n_resamples": "resamples", "table_format": "format"}
_OF_RERUN = {"out", "rerun", "jobs", "quiet", "table", "models"}


def evaluate_command(
    table: Path | None,
    out: Path,
    models: Sequence[str],
    rerun: Path | None,
    *,
    jobs: int | None,
    quiet: bool,
    layout: str | None,
    subset: str | None,
    no_duplicates: bool,
    given: set[str],
    echo: Callable[..., None],
    **options: Any,
) -> bool:
    """Run or rerun an experiment and say what came of it.

    Parameters
    ----------
    table : Path or None
        Table of the images, or folder of a published data set.
    out : Path
        The folder to write.
    models : sequence of str
        Names and files.
    rerun : Path or None
        The experiment to run again.
    jobs, quiet : int or None, bool
        Workers, and whether there is no progress bar.
    layout : str or None
        Name of the published data set.
    subset : str or None
        Which part of it.
    no_duplicates : bool
        Whether not to look for duplicates.
    given : set of str
        Options that were given.
    echo : callable
        Takes a line, and whether it is a warning.
    **options : dict
        Of `run_experiment`.

    Returns
    -------
    bool
        Whether images failed, or a rerun gave other numbers.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        if rerun is not None:
            other = sorted(f"--{_OPTIONS.get(name, name).replace('_', '-')}" for name in given - _OF_RERUN)
            if other or models:
                raise ValueError(
                    f"--rerun takes all settings from {rerun}; leave out {', '.join(other or ['--model'])}, or start a "
                    "new experiment"
                )
            experiment = rerun_experiment(rerun, out, data=table, n_jobs=jobs, verbose=int(not quiet))
        else:
            if table is None:
                raise ValueError("give a TABLE of images, or an experiment to run again (--rerun)")
            if not models:
                raise ValueError("give at least one --model")
            chosen = resolve_models(list(models))
            data = table if layout is None else _load(layout, table, task_of(chosen, options["task"]), subset)
            options["check_duplicates"] = not no_duplicates
            experiment = run_experiment(chosen, data, out, **options, n_jobs=jobs, verbose=int(not quiet))
    for text in dict.fromkeys(str(one.message) for one in caught if issubclass(one.category, UserWarning)):
        echo(f"warning: {text}", True)
    return _tell(experiment, out, echo)


def _load(layout: str, folder: Path, task: str, subset: str | None) -> Any:
    """Load a published data set, for a task where it has several."""
    loaders = {name.removeprefix("load_"): name for name in datasets.__all__ if name.startswith("load_")}
    loaders.pop("lesion_table", None)
    if layout not in loaders:
        raise ValueError(f"there is no layout {layout!r}, but {', '.join(sorted(loaders))}")
    load = getattr(datasets, loaders[layout])
    taken = signature(load).parameters
    if subset is not None and "subset" not in taken:
        raise ValueError(f"the layout {layout!r} has no subsets; leave out --subset")
    given = {"task": task} | ({} if subset is None else {"subset": subset})
    return load(folder, **{name: value for name, value in given.items() if name in taken})


def _tell(experiment: Experiment, out: Path, echo: Callable[..., None]) -> bool:
    results, level = experiment.config["results"], 100 * experiment.config["settings"]["confidence"]
    count = f"{results['n_images']} images of {results['n_groups']} groups"
    echo(f"{count}, with {level:g} % intervals by bootstrap over groups:")
    for label in experiment.models:
        part = experiment.scores[experiment.scores["model"] == label]
        scored = len(usable(part, experiment.task))
        echo(f"{label}:" if scored == len(part) else f"{label} ({scored} of {len(part)} images have scores):")
        for name, values in results["headline"][label].items():
            if values[0] is not None:
                ends = "" if values[1] is None else f" [{values[1]:.3f}, {values[2]:.3f}]"
                echo(f"  {name}: {values[0]:.3f}{ends}")
    for text in experiment.config["checks"]:
        if text.startswith("LEAK"):
            echo(text, True)
    failed = experiment.scores[experiment.scores["error"] != ""]
    if len(failed):
        echo(f"failed: {failed['name'].nunique()} images", True)
        for _, row in failed.head(_LISTED).iterrows():
            echo(f"  {row['name']} ({row['model']}): {row['error']}", True)
    echo(f"written to {out}: report.html and report.md, scores, images, experiment.json")
    if experiment.rerun is not None:
        echo(str(experiment.rerun))
    return bool(len(failed)) or (experiment.rerun is not None and not experiment.rerun.same)
