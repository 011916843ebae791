"""A classifier of images as the last step of a BatchedPipeline."""

import cv2
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.utils.validation import check_is_fitted

from skinseg import BatchedPipeline, ImageResizer, ThresholdSegmenter
from skinseg.datasets import make_lesions
from skinseg.exceptions import EmptyMaskWarning, ImageBatchError


class DarknessClassifier(ClassifierMixin, BaseEstimator):
    """Calls dark what is darker than the mean of the images it has learnt from; needs no network."""

    def __init__(self, slope=0.1):
        self.slope = slope

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.level_ = float(np.mean([record.image.mean() for record in X]))
        return self

    def predict_proba(self, X):
        check_is_fitted(self)
        dark = 1 / (1 + np.exp(-self.slope * (self.level_ - np.array([record.image.mean() for record in X]))))
        return np.column_stack([1 - dark, dark])

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    levels = [60, 180, 70, 170, 80, 160, 75, 165]
    return [np.clip(rng.normal(level, 3, (40, 50, 3)), 0, 255).astype(np.uint8) for level in levels]


LABELS = ["melanoma", "benign"] * 4  # the first class, benign, is the light one


def pipeline(**settings):
    return BatchedPipeline([("resizer", ImageResizer(32)), ("classifier", DarknessClassifier())], **settings)


def test_it_is_a_classifier(images):
    assert is_classifier(pipeline())
    assert not hasattr(pipeline(), "classes_")
    pipe = pipeline(batch_size=3).fit(images, LABELS)
    assert pipe.classes_.tolist() == ["benign", "melanoma"]
    predicted = pipe.predict(images)
    assert predicted.dtype == pipe.classes_.dtype
    assert predicted.tolist() == LABELS
    table = pipe.predict_proba(images)
    assert table.shape == (8, 2)
    assert table.dtype == float
    assert (table.argmax(axis=1) == [1, 0] * 4).all()
    assert pipe.score(images, LABELS) == 1
    assert pipe.score(images, ["benign"] * 8) == 0.5
    with pytest.raises(ValueError, match="needs the true classes as y"):
        pipe.score(images)


def test_what_scikit_learn_does_with_classifiers(images):
    scores = cross_val_score(pipeline(), images, LABELS, cv=StratifiedKFold(2), scoring="roc_auc")
    assert scores.tolist() == [1, 1]
    search = GridSearchCV(pipeline(), {"classifier__slope": [-0.1, 0.1]}, cv=2).fit(images, LABELS)
    assert search.best_params_ == {"classifier__slope": 0.1}
    assert search.best_score_ == 1
    calibrated = CalibratedClassifierCV(pipeline(), cv=2).fit(images, LABELS)
    assert calibrated.predict(images).tolist() == LABELS


def test_images_that_fail_have_no_class(images, tmp_path):
    content = cv2.imencode(".jpg", cv2.resize(images[0], (200, 200)))[1].tobytes()
    wrong = tmp_path / "cut.jpg"
    wrong.write_bytes(content[: len(content) // 2])
    pipe = pipeline(on_error="nan").fit(images, LABELS)
    table = pipe.predict_proba([images[0], wrong, images[1]])
    assert np.isnan(table[1]).all()
    assert list(pipe.errors_) == [1]
    assert table[[0, 2]].argmax(axis=1).tolist() == [1, 0]
    with pytest.raises(ValueError, match=r"BatchedPipeline cannot classify 1 of 2 images, which failed \(.*cut\.jpg\)"):
        pipe.predict([images[0], wrong])
    with pytest.raises(ImageBatchError, match=r"X\[1\] \(.*cut\.jpg\)"):
        pipe.set_params(on_error="raise").predict_proba([images[0], wrong])


def test_images_without_a_lesion_are_told(images):
    lesion = make_lesions(1, random_state=0).images[0]
    steps = [("segmenter", ThresholdSegmenter()), ("classifier", DarknessClassifier())]
    pipe = BatchedPipeline(steps).fit([lesion, lesion], [0, 1])
    with pytest.warns(EmptyMaskWarning, match=r"1 of 2 images \(X\[0\]\); the classifier gets them as they are"):
        table = pipe.predict_proba([np.full((30, 30, 3), 190, np.uint8), lesion])
    assert np.isfinite(table).all()
