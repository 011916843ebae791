from ._chan_vese import ChanVeseSegmenter as ChanVeseSegmenter
from ._chan_vese import segment_chan_vese as segment_chan_vese
from ._ensemble import EnsembleSegmenter as EnsembleSegmenter
from ._grabcut import GrabCutSegmenter as GrabCutSegmenter
from ._grabcut import segment_grabcut as segment_grabcut
from ._kmeans import KMeansSegmenter as KMeansSegmenter
from ._kmeans import segment_kmeans as segment_kmeans
from ._network import BCDUNetSegmenter as BCDUNetSegmenter
from ._network import EfficientUNetSegmenter as EfficientUNetSegmenter
from ._network import UNetSegmenter as UNetSegmenter
from ._pretrained import PretrainedSegmenter as PretrainedSegmenter
from ._reference import ReferenceSegmenter as ReferenceSegmenter
from ._saliency import SaliencySegmenter as SaliencySegmenter
from ._saliency import lesion_saliency as lesion_saliency
from ._superpixel import SuperpixelSegmenter as SuperpixelSegmenter
from ._threshold import ThresholdSegmenter as ThresholdSegmenter
from ._threshold import segment_threshold as segment_threshold

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
