"""Scores of one pair of masks in memory, up to the size of a 12-megapixel photo, and of mask files."""

import tempfile
from pathlib import Path

import cv2
import numpy as np

from skinseg import metrics

from .common import scene

SIDES = ("256", "1024", "4288x2848")
SCORES = (
    "reference: numpy",
    "jaccard_score",
    "hausdorff_distance",
    "average_symmetric_surface_distance",
    "boundary_f1_score",
)


def pair(size):
    """A lesion, and its outline smoothed, shifted by 2 % of the side and cut."""
    true = scene(size)[1]
    side = true.shape[0]
    levels = cv2.GaussianBlur(true.astype(np.float32), (0, 0), side / 100)
    pred = np.roll(levels > 0.4, side // 50, axis=1)
    pred[: side // 3] = False
    return true, pred


def _plain_jaccard(trues, preds):
    return (trues[0] & preds[0]).sum() / (trues[0] | preds[0]).sum()


class Scores:
    """Each score alone; the reference is the Jaccard index in one line of numpy."""

    params = (SIDES, SCORES)
    param_names = ("side", "score")

    def setup(self, side, score):
        self.true, self.pred = pair(side)
        self.score = _plain_jaccard if score.startswith("reference") else getattr(metrics, score)

    def time_score(self, side, score):
        self.score([self.true], [self.pred])


class AllScores:
    """`mask_scores` on files: reading, overlap, and the boundaries or not."""

    params = (SIDES, (False, True))
    param_names = ("side", "boundary")

    def setup(self, side, boundary):
        self.folder = tempfile.TemporaryDirectory()
        self.paths = [Path(self.folder.name) / name for name in ("true.png", "pred.png")]
        for path, mask in zip(self.paths, pair(side), strict=True):
            cv2.imwrite(str(path), mask.astype(np.uint8) * 255)

    def teardown(self, side, boundary):
        self.folder.cleanup()

    def time_scores(self, side, boundary):
        metrics.mask_scores(self.paths[:1], self.paths[1:], boundary=boundary)


class RaggedOutline:
    """Noise in place of a mask, 30 % of all pixels: the boundary is as long as can be."""

    params = (256, 1024)
    param_names = ("side",)

    def setup(self, side):
        rng = np.random.default_rng(0)
        self.masks = rng.random((2, side, side)) < 0.3

    def time_distance(self, side):
        metrics.hausdorff_distance(self.masks[:1], self.masks[1:])
