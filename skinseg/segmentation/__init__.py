"""Segmenters: image in, outline of the lesion out."""

from ._chan_vese import ChanVeseSegmenter, segment_chan_vese
from ._ensemble import EnsembleSegmenter
from ._grabcut import GrabCutSegmenter, segment_grabcut
from ._kmeans import KMeansSegmenter, segment_kmeans
from ._network import BCDUNetSegmenter, EfficientUNetSegmenter, UNetSegmenter
from ._pretrained import PretrainedSegmenter
from ._reference import ReferenceSegmenter
from ._saliency import SaliencySegmenter, lesion_saliency
from ._superpixel import SuperpixelSegmenter
from ._threshold import ThresholdSegmenter, segment_threshold

__all__ = [
    "BCDUNetSegmenter",
    "ChanVeseSegmenter",
    "EfficientUNetSegmenter",
    "EnsembleSegmenter",
    "GrabCutSegmenter",
    "KMeansSegmenter",
    "PretrainedSegmenter",
    "ReferenceSegmenter",
    "SaliencySegmenter",
    "SuperpixelSegmenter",
    "ThresholdSegmenter",
    "UNetSegmenter",
    "lesion_saliency",
    "segment_chan_vese",
    "segment_grabcut",
    "segment_kmeans",
    "segment_threshold",
]
