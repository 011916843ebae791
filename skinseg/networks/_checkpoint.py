"""The state of a training, and its file: complete or not there, plain arrays only."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from .._files import write_file
from ..exceptions import CheckpointError

__all__ = ["Progress", "claim_folder", "load_checkpoint", "save_checkpoint"]

CHECKPOINT = "checkpoint.npz"
SCORES = ("val_jaccard", "val_auc")  # what the best epoch is chosen by, of networks that outline or that classify
_FORMAT = 1
_PARTS = ("weights", "average", "best", "optimizer")


@dataclass
class Progress:
    """Where a training is after some epochs.

    Parameters
    ----------
    weights : list of ndarray
        Of the network, as the next step finds them.
    average : list of ndarray
        Their moving average; empty where none is kept.
    best : list of ndarray
        Those of the best epoch so far.
    optimizer : list of ndarray
        Variables of the optimizer; empty before the first step.
    history : dict of str to list of float
        What was measured, one number an epoch.
    """

    weights: list[np.ndarray]
    average: list[np.ndarray] = field(default_factory=list)
    best: list[np.ndarray] = field(default_factory=list)
    optimizer: list[np.ndarray] = field(default_factory=list)
    history: dict[str, list[float]] = field(default_factory=dict)

    @property
    def n_epochs(self) -> int:
        """Epochs that are done."""
        return len(self.history.get("loss", ()))

    @property
    def best_epoch(self) -> int:
        """The epoch of the largest score on the validation images, from 1 on; the last one without them.

        The score is the Jaccard index, or the ROC AUC of classes. Of equal ones, such as 0 at the beginning, or where
        there is none (NaN), it is the epoch of the lowest loss, and of these the first.
        """
        scores = next((values for name in SCORES if (values := self.history.get(name))), None)
        if scores is None:
            return self.n_epochs
        order = np.lexsort((np.array(self.history["val_loss"]), -np.nan_to_num(np.array(scores))))
        return int(order[0]) + 1


def save_checkpoint(folder: str | os.PathLike[str], progress: Progress, plan: dict[str, Any]) -> None:
    """Write the state of a training into a folder, and its history as a table beside it.

    Parameters
    ----------
    folder : path-like
        Made if it is not there.
    progress : Progress
        The state.
    plan : dict
        What the training is: a checkpoint is only used by the same one.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {f"{part}_{n}": a for part in _PARTS for n, a in enumerate(getattr(progress, part))}
    counts = {part: len(getattr(progress, part)) for part in _PARTS}
    text = json.dumps({"format": _FORMAT, "plan": plan, "counts": counts, "history": progress.history})
    buffer = BytesIO()
    np.savez(buffer, description=np.array(text), **arrays)
    write_file(folder / CHECKPOINT, buffer.getvalue())
    columns = list(progress.history)
    rows = zip(*progress.history.values(), strict=True)
    lines = [",".join(["epoch", *columns])]
    lines += [",".join([str(n), *(f"{value:.6g}" for value in row)]) for n, row in enumerate(rows, start=1)]
    write_file(folder / "history.csv", ("\n".join(lines) + "\n").encode())


def load_checkpoint(folder: str | os.PathLike[str], plan: dict[str, Any]) -> tuple[Progress, int] | None:
    """Read the state of a training that was interrupted.

    Parameters
    ----------
    folder : path-like
        Where it was written.
    plan : dict
        What the training is; a ``seed`` of None fits any.

    Returns
    -------
    (Progress, int) or None
        The state and the seed; None if there is no checkpoint.

    Raises
    ------
    CheckpointError
        A ValueError, if the checkpoint is of another training, which the
        message tells by what differs, or is damaged.
    """
    path = Path(folder) / CHECKPOINT
    if not path.is_file():
        return None
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            about = json.loads(str(file["description"]))
            parts = {part: [file[f"{part}_{n}"] for n in range(about["counts"][part])] for part in _PARTS}
        history, theirs, version = about["history"], about["plan"], about["format"]
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, OSError, EOFError) as error:
        raise CheckpointError(
            f"{path}: this is no checkpoint of skinseg, or it is damaged ({error}); delete it"
        ) from None
    if version != _FORMAT:
        raise CheckpointError(f"{path} was written by another version of skinseg; go on with that, or delete it")
    _compare(path, plan, theirs)
    return Progress(**parts, history=history), int(theirs["seed"])


def claim_folder(folder: str | os.PathLike[str], plan: dict[str, Any]) -> None:
    """Note whose folder it is before the first epoch, so that no other training begins to write into it.

    Parameters
    ----------
    folder : path-like
        Made if it is not there.
    plan : dict
        What the training is; a ``seed`` of None fits any.

    Raises
    ------
    CheckpointError
        A ValueError, if it is that of another training.
    """
    path = Path(folder) / "training.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps(plan, indent=1).encode()
    try:
        write_file(path, content, replace=False)
        return
    except FileExistsError:
        pass
    try:
        theirs = json.loads(path.read_bytes())
    except ValueError:  # damaged; a checkpoint tells by itself whose it is
        write_file(path, content)
        return
    _compare(path, plan, theirs)


def _compare(path: Path, plan: dict[str, Any], theirs: dict[str, Any]) -> None:
    ours = json.loads(json.dumps(plan))  # lists for tuples, as in the file
    # what an older version did not write is not compared, but for where a warm start begins
    keys = sorted({*theirs, "start"} - ({"seed"} if ours["seed"] is None or theirs.get("seed") is None else set()))
    different = [
        f"{key} is {ours.get(key)!r} and was {theirs.get(key)!r}" for key in keys if ours.get(key) != theirs.get(key)
    ]
    if different:
        raise CheckpointError(
            f"{path} is of another training: {'; '.join(different)}. Give another checkpoint_dir (none in a search or "
            "a cross-validation, which are many trainings), or the settings, images and masks that it was begun with"
        )
