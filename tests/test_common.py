"""Every promise of skinseg.testing, kept by every estimator that is found in the package."""

import pytest

from skinseg.testing import all_estimators, image_checks, make_instances

CASES = [
    pytest.param(instance, check, id=f"{name}-{number}-{check.__name__}")
    for name, estimator in all_estimators()
    for number, instance in enumerate(make_instances(estimator))
    for check in image_checks(instance)
]


def test_the_estimators_are_found():
    names = [name for name, _ in all_estimators()]
    assert names == [
        "ABCDFeaturizer",
        "BatchedPipeline",
        "ChanVeseSegmenter",
        "ColorConstancy",
        "ContrastEqualizer",
        "EnsembleSegmenter",
        "FrameCropper",
        "GrabCutSegmenter",
        "HairRemover",
        "IlluminationCorrector",
        "ImageResizer",
        "KMeansSegmenter",
        "ReferenceSegmenter",
        "SaliencySegmenter",
        "SuperpixelSegmenter",
        "ThresholdSegmenter",
    ]


@pytest.mark.parametrize(("estimator", "check"), CASES)
def test_estimator(estimator, check):
    check(estimator)
