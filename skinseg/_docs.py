"""Text that stands in many docstrings, written once."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from typing import TypeVar

__all__ = ["fill_doc"]

Documented = TypeVar("Documented", bound=Callable | type)

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
    "field": """\
        field : ndarray of shape (H, W), bool, default=None
            Valid field of view: all statistics and the result are limited to it;
            found by `skinseg.field.valid_field` if None.""",
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
                block = textwrap.dedent(_BLOCKS[match[2]]).format(**defaults)
                lines.append(textwrap.indent(block, match[1]))
            else:
                lines.append(line)
        item.__doc__ = "\n".join(lines)
        return item

    return decorate
