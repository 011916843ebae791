"""What every estimator makes of the same images and seeds; run as a program it writes that of its process to a file."""

import sys
import warnings

import numpy as np
from imblearn.over_sampling import SMOTE
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from skinseg import (
    ABCDFeaturizer,
    ABCDRuleClassifier,
    LesionImage,
    ThresholdSegmenter,
    load_pretrained,
    make_lesion_pipeline,
)
from skinseg.datasets import make_lesions
from skinseg.evaluation import bootstrap_interval, split_by_group
from skinseg.exceptions import EmptyMaskWarning
from skinseg.networks import NetworkEstimator
from skinseg.testing import all_estimators, make_instances

TOLERANCE = 1e-5  # of networks; everything else is equal to the last bit


def instances(keras=None):
    """Estimators of images with quick settings, by name and number; those that Keras runs alone, or none of them."""
    return {
        f"{name}-{number}": instance
        for name, estimator in all_estimators()
        for number, instance in enumerate(make_instances(estimator))
        if not get_tags(instance).input_tags.two_d_array and keras in (None, isinstance(instance, NetworkEstimator))
    }


def is_network(estimator):
    """Whether results come out of a network."""
    name = type(estimator).__name__
    return isinstance(estimator, NetworkEstimator) or name.startswith(("Pretrained", "CNN"))


def draw(count=3):
    """Images as records, which carry outlines for those who read or learn them."""
    lesions = make_lesions(count, random_state=7, min_side=56, max_side=80, hair_fraction=0.3)
    pairs = zip(lesions.images, lesions.masks, strict=True)
    return [LesionImage(image, mask, reference_mask=mask) for image, mask in pairs], list(lesions.masks)


def fit(estimator, X, masks):
    kind = get_tags(estimator).estimator_type
    return estimator.fit(X, masks if kind == "segmenter" else [index % 2 for index in range(len(X))])


def run(estimator, X):
    """One array an image: probabilities of networks, for a mask may turn on the last bit of one; else the result."""
    kind = get_tags(estimator).estimator_type
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyMaskWarning)
        if kind == "classifier":
            return list(estimator.predict_proba(X))
        if kind == "segmenter":
            return list(estimator.predict_proba(X) if is_network(estimator) else estimator.predict(X))
        return [item.image if isinstance(item, LesionImage) else item for item in estimator.transform(X)]


def assert_same(first, second, estimator, what):
    assert len(first) == len(second), what
    for index, (one, other) in enumerate(zip(first, second, strict=True)):
        if is_network(estimator):
            np.testing.assert_allclose(one, other, rtol=0, atol=TOLERANCE, err_msg=f"{what}: image {index}")
        else:
            np.testing.assert_array_equal(one, other, err_msg=f"{what}: image {index}")


def others():
    """What is drawn, split and fitted with a seed; equal to the last bit."""
    lesions = make_lesions(10, random_state=3, min_side=56, max_side=80, melanoma_fraction=0.4)
    yield "drawn", np.concatenate([image.ravel() for image in lesions.images])
    train, test = split_by_group(np.arange(40) % 3 > 1, np.arange(40) // 2, test_size=0.3, random_state=4)
    yield "split", np.concatenate([train, test])
    scores = np.random.default_rng(0).random(30)
    yield "interval", np.array(bootstrap_interval(np.mean, scores, n_resamples=200, random_state=5)[:3])
    forest = RandomForestClassifier(20, random_state=6)
    pipe = make_lesion_pipeline(ThresholdSegmenter(), forest, sampler=SMOTE(random_state=6, k_neighbors=2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyMaskWarning)
        pipe.fit(lesions.images, lesions.target)
        yield "pipeline", pipe.predict_proba(lesions.images)
    records = [LesionImage(image, mask) for image, mask in zip(lesions.images, lesions.masks, strict=True)]
    table = ABCDFeaturizer(groups=("asymmetry", "border", "color", "structure")).set_output(transform="pandas")
    impute = SimpleImputer(keep_empty_features=True).set_output(transform="pandas")  # small lesions have no structures
    rule = make_pipeline(table, impute, ABCDRuleClassifier(recalibrate="weights")).fit(records, lesions.target)
    yield "rule", rule.decision_function(records)


def main(out, keras):
    X, masks = draw()
    found = dict(others()) if not keras else {}
    for name, estimator in instances(keras).items():
        found |= {f"{name}/{index}": row for index, row in enumerate(run(fit(estimator, X, masks), X))}
    if not keras:
        found["melanoma"] = load_pretrained("melanoma").predict_proba([record.image for record in X])
    np.savez(out, **found)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] == ["keras"])
