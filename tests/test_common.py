"""Every promise of skinseg.testing, kept by every estimator that is found in the package."""

import pytest
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from skinseg.networks import NetworkEstimator
from skinseg.testing import all_estimators, image_checks, make_instances

INSTANCES = [
    (f"{name}-{number}", instance)
    for name, estimator in all_estimators()
    for number, instance in enumerate(make_instances(estimator))
]


CASES = [
    pytest.param(instance, check, id=f"{name}-{check.__name__}")
    for name, instance in INSTANCES
    if not get_tags(instance).input_tags.two_d_array
    for check in image_checks(instance)
]
ON_TABLES = [instance for _, instance in INSTANCES if get_tags(instance).input_tags.two_d_array]


def test_the_estimators_are_found():
    names = [name for name, _ in all_estimators()]
    assert names == [
        "ABCDFeaturizer",
        "ABCDRuleClassifier",
        "BCDUNetSegmenter",
        "BatchedPipeline",
        "CNNClassifier",
        "CNNFeaturizer",
        "ChanVeseSegmenter",
        "ColorConstancy",
        "ContrastEqualizer",
        "EfficientUNetSegmenter",
        "EnsembleSegmenter",
        "FrameCropper",
        "GrabCutSegmenter",
        "HairRemover",
        "IlluminationCorrector",
        "ImageResizer",
        "KMeansSegmenter",
        "PretrainedClassifier",
        "PretrainedSegmenter",
        "ReferenceSegmenter",
        "SaliencySegmenter",
        "SuperpixelSegmenter",
        "ThresholdSegmenter",
        "UNetSegmenter",
    ]


@pytest.mark.parametrize(("estimator", "check"), CASES)
def test_estimator(estimator, check):
    if isinstance(estimator, NetworkEstimator) and not check.__name__.startswith(("check_param", "check_estimator")):
        pytest.importorskip("keras")
    check(estimator)


@pytest.mark.filterwarnings("ignore::skinseg.exceptions.UnknownColumnsWarning")
@parametrize_with_checks(ON_TABLES)
def test_estimator_on_tables(estimator, check):
    """In full: no check is expected to fail, and none is made easier by a tag of poor scores."""
    tags = get_tags(estimator).classifier_tags
    assert tags is None or not tags.poor_score
    check(estimator)
