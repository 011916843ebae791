"""Networks: an epoch of training, predictions one by one and in batches, size of the pickle; beside Keras alone."""

import pickle

import numpy as np

from skinseg import BCDUNetSegmenter, EfficientUNetSegmenter, LesionImage, UNetSegmenter
from skinseg.datasets import make_lesions

NETWORKS = {
    "unet": lambda side: UNetSegmenter(side, base_filters=16),
    "bcdu": lambda side: BCDUNetSegmenter(side, base_filters=8, dense_blocks=1),
    "efficient": lambda side: EfficientUNetSegmenter(side),
}
SIDES = (64, 128, 224)


def _lesions(n):
    lesions = make_lesions(n, random_state=0, min_side=256, max_side=256)
    return [LesionImage(image) for image in lesions.images], lesions.masks


class Training:
    """Two epochs of 16 images, the first of which traces the network."""

    params = (SIDES, tuple(NETWORKS))
    param_names = ("side", "network")
    timeout = 300

    def setup(self, side, network):
        self.images, self.masks = _lesions(16)
        self.segmenter = NETWORKS[network](side).set_params(epochs=2, cache="memory", random_state=0)

    def time_fit(self, side, network):
        self.segmenter.fit(self.images, self.masks)

    def peakmem_fit(self, side, network):
        self.segmenter.fit(self.images, self.masks)


class Prediction:
    """Sixteen images at once and one after the other, and what Keras takes for the same squares."""

    params = (SIDES, tuple(NETWORKS), ("at once", "one by one", "keras"))
    param_names = ("side", "network", "way")
    timeout = 300

    def setup(self, side, network, way):
        self.images, masks = _lesions(16)
        self.segmenter = NETWORKS[network](side).set_params(epochs=1, batch_size=16, random_state=0)
        self.segmenter.fit(self.images[:2], masks[:2])
        self.squares = np.zeros((16, side, side, 3), np.float32)
        self.model = self.segmenter.model_ if way == "keras" else None
        self.time_predict(side, network, way)  # traces the network

    def time_predict(self, side, network, way):
        if way == "keras":
            self.model.predict_on_batch(self.squares)
        elif way == "at once":
            self.segmenter.predict_proba(self.images)
        else:
            for image in self.images:
                self.segmenter.predict_proba([image])

    def track_pickle_megabytes(self, side, network, way):
        return len(pickle.dumps(self.segmenter)) / 1e6


Prediction.track_pickle_megabytes.unit = "MB"
