"""Text that stands in many docstrings, written once."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["fill_doc"]

Documented = TypeVar("Documented", bound=Callable[..., Any] | type)

_BLOCKS = {
    "scene": """\
        hair_width : float, default=0.025
            Width of the dark hairs that a gray-value closing takes out first, as
            a fraction of the longer side, in [0, 0.2]; 0 for none.
        blur : float, default=0.008
            Standard deviation of a Gaussian blur after that, as a fraction of the
            longer side, in [0, 0.2].
        exclude_foreign : bool, default=True
            Leave out stickers and ink, see `skinseg.artifacts.find_foreign`.""",
    "start": """\
        start : {{"threshold", "mask"}}, default="threshold"
            The outline to begin with: that of a threshold, or the mask that the
            records bring from an earlier segmenter.""",
    "working_size": """\
        working_size : int, default={working_size}
            Longer side, in pixels, of the copy that is segmented, at least 16; the
            outline is brought back to the size of the image.""",
    "post_processing": """\
        opening : float, default={opening}
            Diameter of a morphological opening that cuts hairs and specks off the
            mask, as a fraction of the longer side, in [0, 1].
        component : {{"central", "largest", "all"}}, default="central"
            Which connected component to keep.
        closing : float, default={closing}
            Diameter of a morphological closing that fills notches of the outline,
            as a fraction of the longer side, in [0, 1].
        fill_holes : bool, default=True
            Fill what the outline encloses.
        margin : float, default={margin}
            Grow the outline by this fraction of the lesion's radius, in [0, 1].
        smoothing : float, default={smoothing}
            Width of the Gaussian that smooths the outline, as a fraction of the
            longer side, in [0, 1].
        min_area : float, default={min_area}
            Smallest area of a lesion, as a fraction of the image, in [0, 1].
        fallback : {{"empty", "disc"}}, default="empty"
            What is answered where nothing is found: an empty mask, or a disc in
            the middle with an eighth of the area of the image and a confidence
            of 0, which features cannot tell from a lesion. There is an
            `EmptyMaskWarning` either way.
        memory : str, path-like or joblib.Memory, default=None
            Folder in which raw masks are kept, one an image and setting.""",
    "input_size": """\
        input_size : int, default={input_size}
            Side in pixels of the square that the network sees, a multiple
            {input_multiple}. Images are brought to it with their longer side and
            put in its middle.""",
    "schedule": """\
        epochs : int, default=40
            Passes over the images, at least 1.
        batch_size : int, default=8
            Images a step, at least 1; also of a prediction.
        learning_rate : float, default=1e-3
            The largest rate of the schedule, above 0.
        schedule : {{"one_cycle", "cosine", "plateau", "constant"}}, default="one_cycle"
            How the learning rate goes: up over the first fifth of the training and
            down to 0; down from the start; down by ``plateau_factor`` after each
            ``plateau_patience`` epochs in which the loss (of validation, if there
            is any) did not fall; or not at all.
        plateau_factor : float, default=0.1
            In (0, 1).
        plateau_patience : int, default=7
            Epochs, at least 1.
        optimizer : {{"adam", "adamw", "nadam", "rmsprop", "sgd"}}, default="adam"
            Optimizer, with the settings of Keras; ``"sgd"`` has a Nesterov momentum
            of 0.9.""",
    "map_loss": """\
        loss : {{"bce_jaccard", "bce_dice", "bce", "jaccard", "dice", "focal_tversky"}}, default="bce_jaccard"
            See `skinseg.networks.make_loss`.
        class_weight : dict, "balanced" or None, default=None
            Weights of the pixels of skin (0) and lesion (1) in the cross-entropy,
            such as ``{{0: 1, 1: 3}}``; from their number if "balanced", which reads
            all masks once more. Other losses do not have them.""",
    "training": """\
        augmentation : float, default=0.5
            Strength of the augmentation, from 0, none, to 1, see
            `skinseg.networks.augment`; from 0.5 on images are turned by any angle.
        averaging : float, default=0.0
            Decay a step of a moving average of the weights, in [0, 1), such as
            0.99; the average is what is validated and kept. 0 for none.
        validation_fraction : float, default=0.1
            Share of the images that is set aside, in [0, 1), to choose the best
            epoch by (and rounded down: of fewer than ten images none is, and the
            last epoch is kept). They are drawn by image{by_class}; where a lesion has several
            images, give ``X_val`` to ``fit``.
        patience : int or None, default=None
            Stop after so many epochs without a better one on the validation images,
            at least 1; never if None, or without such images.
        cache : {{"memory"}}, str, path-like, joblib.Memory or None, default=None
            Where the small copies of the images to learn from are kept, so that each
            file is decoded once and not once an epoch: in memory, or in a folder.
        checkpoint_dir : str or path-like, default=None
            Folder in which the state of the training is written after each epoch,
            with its history as a table. ``fit`` with the same settings and images
            goes on from there, and does nothing if all epochs are done; with others
            it refuses. One folder a training: None in a search or a
            cross-validation, which are many.
        warm_start : bool, default=False
            Whether ``fit`` starts from the weights of the fit before, such as with
            fewer ``frozen_blocks`` or another ``input_size``; ``history_`` is that
            of the last fit alone.
        callbacks : list or None, default=None
            Callbacks of Keras, or functions ``f(epoch, logs)``; one that gives True
            ends the training. The learning rate is set by ``schedule`` at each step,
            whatever a callback sets.
        random_state : int, RandomState instance or None, default=None
            Determines first weights, order, augmentation and dropout.""",
    "cutting": """\
        threshold : float or None, default=None
            Probability from which on a pixel is lesion, in (0, 1). If None, it is
            chosen for each image for the largest Jaccard index to be expected
            (`skinseg.masks.jaccard_cut`), between 0.2 and 0.5.
        test_time_augmentation : bool, default=False
            Whether to average the maps of an image and of its three mirror images;
            takes four times as long.""",
    "network_execution": """\
        n_jobs : int, default=None
            Number of workers of a prediction, as in joblib. The network itself uses
            all cores in the calling process, and its share of them in a worker.
        verbose : int, default=0
            1 shows progress bars, 2 a line an epoch.
        on_error : {{"raise", "nan"}}, default="raise"
            Whether an image that cannot be decoded stops the batch or the training,
            or is left out and listed in ``errors_``.""",
    "network_state": """\
        model_ : keras.Model
            The fitted network; a new one at each access.
        weights_ : list of ndarray
            Its weights.
        weights_hash_ : str
            Their SHA-256.
        architecture_ : dict
            What shapes the network.""",
    "map_history": """\
        history_ : dict of str to list of float
            What was measured, one number an epoch: ``loss``, ``jaccard`` (mean of the
            images, as they were augmented), ``val_loss``, ``val_jaccard``,
            ``learning_rate``, ``seconds``.""",
    "network_epochs": """\
        n_epochs_ : int
            Epochs that were run.
        best_epoch_ : int
            The one whose weights were kept, from 1 on.
        errors_ : dict of int to str
            With ``on_error="nan"``, the images that failed in the last call; in
            ``fit``, those of ``X_val`` count on after those of X.""",
    "keras_notes": """\
        Keras is imported by ``fit`` and the predictions, not before (extra ``deep``).
        No random state but that of ``random_state`` is read or changed. The same seed
        gives the same result to about 1e-5 on one machine, and bit by bit where
        TensorFlow's determinism is switched on for the process
        (``tf.config.experimental.enable_op_determinism()``). Process-based workers
        must be those of loky, joblib's default: TensorFlow does not survive a fork.""",
    "map_notes": """\
        The ``confidence`` of the records is the Jaccard index to be expected if the
        probabilities are right.""",
    "execution": """\
        n_jobs : int, default=None
            Number of workers, as in joblib.
        verbose : int, default=0
            Show a progress bar if above 0.
        on_error : {{"raise", "nan"}}, default="raise"
            Whether an image that cannot be decoded stops the batch, or is left out
            and listed in ``errors_``.""",
    "errors_": """\
        errors_ : dict of int to str
            With ``on_error="nan"``, the images that failed in the last call.""",
    "loading": """\
        on_missing : {{"warn", "raise", "ignore"}}, default="warn"
            What to do about images and masks that are missing or empty: a
            `MissingFilesWarning`, a `MissingFilesError`, or nothing. Images without
            a file are left out, and all are listed in ``missing``, in any case.
        verify : bool, default=False
            Also decode every file, and count those that are damaged, cut short or
            (masks) not of the size of their image among the missing ones.
        n_jobs : int, default=None
            Threads that decode at once, as in joblib; only with ``verify``.""",
    "loaded": """\
        data : Bunch
            With the attributes

            images : list of Path
                The image files, as absolute paths; nothing is read.
            masks : list of Path or None
                The expert's masks, None in place of one that is missing; None if
                the folder has no masks at all and the task needs none.
            target : ndarray of shape (n_images,) or None
                The classes: 0 and 1, or names; None if the folder tells none.
            target_names : ndarray of str
                What 0 and 1 mean, or the names.
            groups : ndarray of shape (n_images,)
                Lesions or patients, by which cross-validation is to be split; an
                image of which nothing is known is its own group.
            frame : DataFrame
                A row an image: ``image_id``, ``image`` and ``mask`` (paths),
                ``subset``, ``age_approximate``, ``sex`` and ``site`` in one spelling
                where the set has them, and the columns as published.
            missing : DataFrame
                Files that cannot be used: ``item``, ``kind``, ``file``, ``problem``.
            DESCR : str
                Title, license, citation, and how much of the set is there.""",
    "fetching": """\
        accept_license : bool, default=False
            Say that you keep to the license. Data sets without commercial use ask
            for it (or for the environment variable ``SKINSEG_ACCEPT_LICENSE``, with
            names of data sets, or ``all``) before they are downloaded.
        download_if_missing : bool, default=True
            If False, an error if something is not there.
        n_retries : int, default=3
            Attempts after the first one that may bring nothing new.
        delay : float, default=1.0
            Seconds before the second attempt, doubled for each one that follows, up
            to 60.
        base_url : str, default=None
            Address of a folder that has the files under the same names, such as a
            mirror in the house, by https; the publisher's if None.
        checksums : dict of str to (str or None), default=None
            Checksums of your own by the name of the file, such as
            ``{{"ISIC-2017_Training_Data.zip": "sha256:..."}}``; None in place of a
            checksum: trust what comes.
        verbose : bool, default=False
            Whether to print the license and to show progress bars.
        **loading : dict
            Further parameters of the loader, such as ``on_missing``.""",
    "fetched": """\
        data : Bunch
            As the loader gives it.""",
    "fetching_raises": """\
        ImportError
            If pooch is not installed (extra ``data``).
        OSError
            If a file cannot be downloaded or is not what it should be, if the disk
            has no room or cannot be written, or if something is missing and is not
            to be downloaded.
        ValueError
            If the license has to be accepted and is not, or for an archive that
            would write outside of its folder.""",
    "field": """\
        field : ndarray of shape (H, W), bool, default=None
            Valid field of view: all statistics and the result are limited to it;
            found by `skinseg.field.valid_field` if None.""",
}
# what networks that outline lesions share; those that tell classes apart have a loss and a history of their own
_BLOCKS |= {
    name: "\n".join(_BLOCKS[part] for part in parts)
    for name, parts in {
        "network": ("schedule", "map_loss", "training"),
        "network_attributes": ("network_state", "map_history", "network_epochs"),
        "network_notes": ("keras_notes", "map_notes"),
    }.items()
}


def fill_doc(**defaults: object) -> Callable[[Documented], Documented]:
    """Replace lines ``%(name)s`` of a docstring by the block of that name.

    Parameters
    ----------
    **defaults : dict
        Values for the defaults that the blocks leave open.

    Returns
    -------
    callable
        A decorator of functions and classes.
    """

    def decorate(item: Documented) -> Documented:
        lines = []
        for line in (item.__doc__ or "").split("\n"):  # there is none under python -OO
            match = re.fullmatch(r"(\s*)%\((\w+)\)s", line)
            if match:
                block = textwrap.dedent(_BLOCKS[match[2]]).format(**{"by_class": "", **defaults})
                lines.append(textwrap.indent(block, match[1]))
            else:
                lines.append(line)
        item.__doc__ = "\n".join(lines)
        return item

    return decorate
