"""Short names of what comes with the package, for the command and experiments; nothing is imported for them."""

from __future__ import annotations

__all__ = ["MODELS", "SEGMENTERS"]

SEGMENTERS = {
    "pretrained": "PretrainedSegmenter",
    "threshold": "ThresholdSegmenter",
    "kmeans": "KMeansSegmenter",
    "chan-vese": "ChanVeseSegmenter",
    "grabcut": "GrabCutSegmenter",
    "saliency": "SaliencySegmenter",
    "ensemble": "EnsembleSegmenter",
    "superpixel": "SuperpixelSegmenter",
}
"""Short name of a segmenter -> its class."""

MODELS = ("melanoma",)
"""Names of the classifiers that come trained."""
