"""Long runs: results written as they come, picked up again after a stop, with progress and a list of bad files."""

from ._drive import RunSummary

__all__ = ["RunSummary"]
