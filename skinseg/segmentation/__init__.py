"""Segmenters: image in, outline of the lesion out."""

from ._reference import ReferenceSegmenter
from ._threshold import ThresholdSegmenter, segment_threshold

__all__ = ["ReferenceSegmenter", "ThresholdSegmenter", "segment_threshold"]
