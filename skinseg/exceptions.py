"""Errors and warnings of skinseg, in one place so that they can be caught by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "AnnotationError",
    "CheckpointError",
    "EmptyMaskWarning",
    "ImageBatchError",
    "ImageReadError",
    "InvalidImagesError",
    "LeakageError",
    "MissingFilesError",
    "MissingFilesWarning",
    "ModelFileError",
    "RunError",
    "RunInterrupted",
    "SkinsegWarning",
    "TrainingDivergedError",
    "UngroupedWarning",
    "UnknownColumnsWarning",
    "VersionMismatchWarning",
]

_MAX_LISTED = 20


class CheckpointError(ValueError):
    """A checkpoint cannot be used: it is of another training, or damaged."""


class RunError(ValueError):
    """A long run cannot begin or go on: another process has it, or what is there was made with other settings."""


class RunInterrupted(KeyboardInterrupt):
    """A long run was interrupted from the keyboard; the text says what is kept and how to go on."""


class TrainingDivergedError(ValueError):
    """The loss of a training became infinite or NaN; the estimator holds the weights of the last good epoch."""


class ImageReadError(ValueError):
    """An image or mask file cannot be read.

    Parameters
    ----------
    path : path-like
        The file.
    reason : str
        What is wrong with it and what to do about it.
    """

    def __init__(self, path: object, reason: str) -> None:
        self.path = str(path)
        self.reason = reason
        super().__init__(path, reason)  # both arguments, so that pickling works

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class AnnotationError(ImageReadError):
    """A file of an annotation tool cannot be read, or holds what is no outline.

    Parameters
    ----------
    path : path-like
        The file.
    reason : str
        What is wrong with it and what to do about it.
    """


class InvalidImagesError(ValueError):
    """Items of a sequence of images or masks are not what they should be.

    Parameters
    ----------
    message : str
        What was expected.
    errors : mapping of int to str
        For each bad item its position and what is wrong with it.

    Attributes
    ----------
    errors : dict of int to str
        All bad items; the text of the error lists the first 20.
    """

    def __init__(self, message: str, errors: Mapping[int, str] | None = None) -> None:
        self.message = message
        self.errors = dict(errors or {})
        super().__init__(message, self.errors)

    def __str__(self) -> str:
        lines = [self.message]
        lines += [f"  {text}" for text in list(self.errors.values())[:_MAX_LISTED]]
        hidden = len(self.errors) - _MAX_LISTED
        if hidden > 0:
            lines.append(f"  ... and {hidden} more (all are in the attribute `errors`)")
        return "\n".join(lines)


class ImageBatchError(InvalidImagesError):
    """Images of a batch failed while they were processed (``on_error="raise"``).

    Parameters
    ----------
    message : str
        Who failed, on how many images.
    errors : mapping of int to str
        For each image that failed its position and what went wrong.
    """


class LeakageError(ValueError):
    """Training and test images are not independent: a group, a file or a picture is on both sides."""


class ModelFileError(ValueError):
    """A model file cannot be opened: not one of ours, damaged, or with types that are not trusted."""


class MissingFilesError(FileNotFoundError):
    """Files of a data set are missing, empty or damaged.

    Parameters
    ----------
    message : str
        How many, which are the first, and the way out.
    missing : DataFrame
        All of them, with the columns ``item``, ``kind``, ``file``, ``problem``.
    """

    def __init__(self, message: str, missing: Any) -> None:
        self.message = message
        self.missing = missing
        super().__init__(message, missing)  # both arguments, so that pickling works

    def __str__(self) -> str:
        return self.message


class SkinsegWarning(UserWarning):
    """Base of the warnings of skinseg."""


class EmptyMaskWarning(SkinsegWarning):
    """No lesion was found in an image: its mask is empty and its features are NaN."""


class MissingFilesWarning(SkinsegWarning):
    """Files of a data set are missing, empty or damaged: the data lists them in ``missing``."""


class UngroupedWarning(SkinsegWarning):
    """Ids of lesions or patients repeat in a table, and no groups were named: folds may part what belongs together."""


class UnknownColumnsWarning(SkinsegWarning):
    """It is not known which columns of a table are the parts of the ABCD rule: another score is learned instead."""


class VersionMismatchWarning(SkinsegWarning):
    """An estimator was saved by another version of skinseg."""
