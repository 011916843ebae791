from ._augment import augment as augment
from ._augment import letterbox as letterbox
from ._base import NetworkEstimator as NetworkEstimator
from ._efficientnet import efficientnet_lite_classifier as efficientnet_lite_classifier
from ._efficientnet import efficientnet_lite_unet as efficientnet_lite_unet
from ._efficientnet import imagenet_weights as imagenet_weights
from ._graphs import bcdu_net as bcdu_net
from ._graphs import unet as unet
from ._losses import jaccard as jaccard
from ._losses import make_class_loss as make_class_loss
from ._losses import make_loss as make_loss
from ._packaged import PackagedNetwork as PackagedNetwork
from ._packaged import embed_packaged as embed_packaged
from ._packaged import packaged_network as packaged_network
from ._packaged import packaged_networks as packaged_networks
from ._packaged import run_packaged as run_packaged
from ._pool import clear_pool as clear_pool

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
