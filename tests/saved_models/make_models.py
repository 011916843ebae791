"""Save the models of a release, with what they say of a few drawn lesions: python tests/saved_models/make_models.py

Run once for a release, before its tag is set. What is written into tests/saved_models/<version> is never changed after
the release: tests/test_saved_models.py opens it with every later version. Without the extra "deep" the network is left
out, and a release needs it.
"""

import json
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from imblearn.ensemble import BalancedRandomForestClassifier
from imblearn.over_sampling import SMOTE
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

import skinseg
from skinseg.datasets import make_lesions

HERE = Path(__file__).parent
PACKAGES = ("imbalanced-learn", "joblib", "numpy", "opencv-python-headless", "scikit-image", "scikit-learn", "skops")


def classifying(images, target):
    """Pipelines from images to classes, fitted."""
    few = skinseg.ABCDFeaturizer(groups=["asymmetry", "color", "dimension"])
    small = {"segmenter": skinseg.ThresholdSegmenter(), "max_side": 64, "featurizer": few}
    classifiers = {
        "logistic": LogisticRegression(max_iter=1000, class_weight="balanced"),
        "forest": RandomForestClassifier(5, max_depth=3, random_state=0),
        "balanced_forest": BalancedRandomForestClassifier(
            5, max_depth=3, random_state=0, sampling_strategy="all", replacement=True, bootstrap=False
        ),
        "boosting": HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=3, random_state=0),
        "neighbors": KNeighborsClassifier(3, algorithm="kd_tree"),
        "vectors": SVC(),
    }
    for name, classifier in classifiers.items():
        yield name, skinseg.make_lesion_pipeline(classifier=classifier, **small).fit(images, target)
    pipe = skinseg.make_lesion_pipeline(sampler=SMOTE(k_neighbors=2, random_state=0), **small)
    search = GridSearchCV(pipe, {"classifier__C": [0.1, 1.0]}, cv=2).fit(images, target)
    yield "search", search
    fixed = FixedThresholdClassifier(FrozenEstimator(search.best_estimator_), threshold=0.3)
    yield "threshold", fixed.fit(images, target)
    best = skinseg.make_lesion_pipeline(**small)
    best.steps.insert(2, ("select", SelectKBest(k=5)))
    yield "select", best.fit(images, target)


def measuring(images, masks):
    """Segmenters and featurizers, fitted."""
    yield "chan_vese", skinseg.ChanVeseSegmenter().fit(images)
    yield "otsu", skinseg.ThresholdSegmenter().fit(images)
    yield (
        "superpixels",
        skinseg.SuperpixelSegmenter(max_iter=10, regions_per_image=100, random_state=0).fit(images, masks),
    )
    yield "pretrained", skinseg.PretrainedSegmenter().fit(images)
    yield "features", skinseg.ABCDFeaturizer(skinseg.PretrainedSegmenter()).fit(images)
    yield "cnn_features", skinseg.CNNFeaturizer(view="image").fit(images)
    steps = [
        ("resizer", skinseg.ImageResizer(64)),
        ("color", skinseg.ColorConstancy()),
        ("hair", skinseg.HairRemover()),
        ("segmenter", skinseg.ThresholdSegmenter("li")),
        ("featurizer", skinseg.ABCDFeaturizer(features=["border_score", "color_count", "dimension_elongation"])),
    ]
    yield "batched", skinseg.BatchedPipeline(steps).fit(images)
    yield "melanoma", skinseg.PretrainedClassifier().fit(images)


def answer(model, images):
    """What a model says of images, as one array."""
    methods = ["predict_proba", "decision_function"] if hasattr(model, "classes_") else ["predict", "transform"]
    said = getattr(model, next(method for method in methods if hasattr(model, method)))(images)
    return np.stack([np.asarray(item, np.uint8 if np.asarray(item).dtype == bool else np.float64) for item in said])


def main(folder):
    """Write the models, and the answers of those that this Python can open again."""
    drawn = make_lesions(24, random_state=3, min_side=96, max_side=96, melanoma_fraction=0.5)
    images, masks = ([np.ascontiguousarray(item[:64, :64]) for item in kind] for kind in (drawn.images, drawn.masks))
    target = np.asarray(drawn.target)
    asked = images[:4]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    answers = {}
    models = {**dict(classifying(images, target)), **dict(measuring(images, masks))}
    try:
        network = skinseg.UNetSegmenter(32, depth=2, base_filters=4, epochs=1, random_state=0)
        models["unet"] = network.fit(images[:8], masks[:8])
    except ImportError:
        print("the network is left out: it needs the extra deep")
    for name, model in models.items():
        skinseg.save(model, folder / f"{name}.skops")
        answers[name] = answer(model, asked)
    joblib.dump(models["batched"], folder / "batched.joblib", compress=3)
    np.savez_compressed(folder / "images.npz", *asked)
    np.savez_compressed(folder / "answers.npz", **answers)
    clinical = pd.DataFrame({"age": [30, 50, 70, 40] * 6, "sex": ["male", "female", None] * 8})
    frame = pd.DataFrame({"image": images}).join(clinical)
    fused = skinseg.make_lesion_pipeline(
        skinseg.ThresholdSegmenter(), max_side=64, metadata=["age", "sex"],
        featurizer=skinseg.ABCDFeaturizer(groups=["asymmetry"]),
    ).fit(frame, target)  # fmt: skip
    skinseg.save(fused, folder / "fused.skops")
    said = {"clinical": clinical[:4].to_dict("list"), "fused": fused.predict_proba(frame[:4]).tolist()}
    said["versions"] = {"python": sys.version.split()[0], **{name: version(name) for name in PACKAGES}}
    (folder / "about.json").write_text(json.dumps(said, indent=1) + "\n")
    print(f"{folder}: {len(models) + 1} models, {sum(f.stat().st_size for f in folder.iterdir()) / 1e3:.0f} kB")


if __name__ == "__main__":
    main(HERE / skinseg.__version__)
