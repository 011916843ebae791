import pytest


@pytest.fixture(scope="session")
def efficientnet():
    """The network with its encoder as published, for images of 224 pixels; not to be changed."""
    pytest.importorskip("keras")
    from skinseg.networks import efficientnet_lite_unet

    return efficientnet_lite_unet(224, base_filters=4, seed=0)


@pytest.fixture(scope="session")
def small_unet():
    """A U-Net of 4 filters for images of 16 pixels; not to be changed."""
    pytest.importorskip("keras")
    from skinseg.networks import unet

    return unet(16, depth=2, base_filters=4, seed=0)
