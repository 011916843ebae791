"""Networks: graphs, losses, augmentation, training, and the base of every estimator that holds one.

Keras is imported when a network is built, and not before.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
