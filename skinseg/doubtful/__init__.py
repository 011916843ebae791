"""Doubtful outlines, written out to be corrected with an annotation tool, and found again afterwards."""

from ._folder import DoubtfulFolder, DoubtfulSummary, write_doubtful

__all__ = ["DoubtfulFolder", "DoubtfulSummary", "write_doubtful"]
