"""Skin lesions in dermoscopic images, segmented, measured and classified as scikit-learn estimators.

Research software, no medical device.
"""

import lazy_loader

from ._version import __version__

__getattr__, __dir__, _names = lazy_loader.attach_stub(__name__, __file__)
__all__ = [*_names, "__version__"]
