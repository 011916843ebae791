"""Networks: graphs, losses, augmentation, training, and the base of every estimator that holds one.

Keras is imported when a network is built, and not before.
"""

from ._augment import augment, letterbox
from ._base import NetworkEstimator
from ._efficientnet import efficientnet_lite_classifier, efficientnet_lite_unet, imagenet_weights
from ._graphs import bcdu_net, unet
from ._losses import jaccard, make_class_loss, make_loss
from ._packaged import PackagedNetwork, embed_packaged, packaged_network, packaged_networks, run_packaged
from ._pool import clear_pool

__all__ = [
    "NetworkEstimator",
    "PackagedNetwork",
    "augment",
    "bcdu_net",
    "clear_pool",
    "efficientnet_lite_classifier",
    "efficientnet_lite_unet",
    "embed_packaged",
    "imagenet_weights",
    "jaccard",
    "letterbox",
    "make_class_loss",
    "make_loss",
    "packaged_network",
    "packaged_networks",
    "run_packaged",
    "unet",
]
