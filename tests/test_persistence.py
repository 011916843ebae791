"""Model files: what goes in, what comes out, what is refused."""

import pickle
import zipfile

import joblib
import numpy as np
import pytest
import sklearn
import skops.io
from imblearn.ensemble import BalancedRandomForestClassifier
from imblearn.over_sampling import SMOTE
from sklearn.cluster import FeatureAgglomeration
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer, roc_auc_score
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

import skinseg
import skinseg.features._abcd as abcd
from skinseg.base import SkinsegEstimator
from skinseg.exceptions import ModelFileError, VersionMismatchWarning
from skinseg.features._catalog import GROUPS

CLASSIFIERS = [
    BalancedRandomForestClassifier(5, random_state=0),
    HistGradientBoostingClassifier(max_iter=3),
    KNeighborsClassifier(3),
    make_pipeline(VarianceThreshold(1e-9), SelectKBest(k=3), FeatureAgglomeration(2), LogisticRegression()),
    LogisticRegression(max_iter=1000),
    RandomForestClassifier(5, random_state=0),
    SVC(),
]


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=lambda c: type(c).__name__)
def test_usual_classifiers_survive(lesions, tmp_path, classifier):
    pipe = skinseg.make_lesion_pipeline(classifier=classifier, max_side=48).fit(lesions.images, lesions.target)
    loaded = skinseg.load(skinseg.save(pipe, tmp_path / "m.skops"))
    np.testing.assert_array_equal(loaded.predict(lesions.images), pipe.predict(lesions.images))


def test_searches_thresholds_and_frozen_parts_survive(lesions, tmp_path):
    frozen = FrozenEstimator(skinseg.ThresholdSegmenter(memory=str(tmp_path / "cache")))
    pipe = skinseg.make_lesion_pipeline(frozen, sampler=SMOTE(k_neighbors=2), max_side=48)
    search = GridSearchCV(pipe, {"classifier__C": [0.1, 1]}, cv=2).fit(lesions.images, lesions.target)
    fixed = FixedThresholdClassifier(FrozenEstimator(search.best_estimator_), threshold=0.3)
    fixed.fit(lesions.images, lesions.target)
    loaded = skinseg.load(skinseg.save(fixed, tmp_path / "m.skops"))
    np.testing.assert_array_equal(loaded.predict(lesions.images), fixed.predict(lesions.images))
    skinseg.load(skinseg.save(search, tmp_path / "s.skops")).predict(lesions.images)


def test_fitted_samplers_are_left_out(lesions, tmp_path):
    pipe = skinseg.make_lesion_pipeline(sampler=SMOTE(k_neighbors=2), max_side=48).fit(lesions.images, lesions.target)
    assert hasattr(pipe["sampler"], "nn_k_")
    loaded = skinseg.load(skinseg.save(pipe, tmp_path / "m.skops"))
    assert loaded["sampler"].k_neighbors == 2
    assert not hasattr(loaded["sampler"], "nn_k_")
    assert hasattr(pipe["sampler"], "nn_k_")  # the model itself is as it was


def test_a_file_replaces_another_or_is_not_there(tmp_path):
    path = skinseg.save(skinseg.ThresholdSegmenter("li"), tmp_path / "m.skops")
    with pytest.raises(TypeError):
        skinseg.save(skinseg.ThresholdSegmenter(value for value in ()), path)  # a generator cannot be copied
    assert skinseg.load(path).method == "li"
    assert [item.name for item in tmp_path.iterdir()] == ["m.skops"]


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist; make it first"):
        skinseg.save(skinseg.ThresholdSegmenter(), tmp_path / "no" / "m.skops")
    with pytest.raises(FileNotFoundError, match="model file does not exist"):
        skinseg.load(tmp_path / "m.skops")


def test_what_is_no_model_file(tmp_path):
    contents = {"text": b"hello", "empty": b"", "pickle": pickle.dumps({"a": 1})}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    with zipfile.ZipFile(tmp_path / "zip", "w") as file:
        file.writestr("a.txt", "hello")
    joblib.dump(skinseg.ThresholdSegmenter(), tmp_path / "joblib")
    for name in [*contents, "zip", "joblib"]:
        with pytest.raises(ModelFileError, match=r"not a model saved by skinseg\.save"):
            skinseg.load(tmp_path / name)
    data = skinseg.save(skinseg.ThresholdSegmenter(), tmp_path / "cut").read_bytes()
    (tmp_path / "cut").write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelFileError, match="damaged"):
        skinseg.load(tmp_path / "cut")


class Stranger(SkinsegEstimator):
    made = 0

    def __init__(self, command="x"):
        type(self).made += 1
        self.command = command


def test_strange_classes_are_refused_by_name_and_not_made(tmp_path):
    skops.io.dump(Stranger(), tmp_path / "m.skops")
    made = Stranger.made
    with pytest.raises(ModelFileError, match=r"Stranger.*trusted=\["):
        skinseg.load(tmp_path / "m.skops")
    assert Stranger.made == made
    name = f"{Stranger.__module__}.Stranger"
    assert isinstance(skinseg.load(tmp_path / "m.skops", trusted=[name]), Stranger)


def test_a_payload_is_not_run(tmp_path):
    class Payload:
        def __reduce__(self):
            return exec, (f"open({str(tmp_path / 'pwned')!r}, 'w')",)

    segmenter = skinseg.ThresholdSegmenter()
    segmenter.note_ = Payload()
    try:
        skops.io.dump(segmenter, tmp_path / "m.skops")
    except Exception:
        pytest.fail("the payload could not even be written; find another one")
    with pytest.raises(ModelFileError, match="not trusted"):
        skinseg.load(tmp_path / "m.skops")
    assert not (tmp_path / "pwned").exists()


def test_version_of_a_file_is_compared(tmp_path, monkeypatch):
    path = skinseg.save(skinseg.ThresholdSegmenter(), tmp_path / "m.skops")
    joblib.dump(skinseg.ThresholdSegmenter(), tmp_path / "m.joblib")
    monkeypatch.setattr("skinseg.base.__version__", "99.0")
    with pytest.warns(VersionMismatchWarning, match=r"saved by skinseg 0\..* loaded by 99\.0.*pip|install"):
        skinseg.load(path)
    with pytest.warns(VersionMismatchWarning):
        joblib.load(tmp_path / "m.joblib")


def test_columns_that_a_group_has_got_since_are_not_given_to_an_older_model(lesions, tmp_path, monkeypatch):
    pipe = skinseg.make_lesion_pipeline(max_side=48).fit(lesions.images, lesions.target)
    expected = pipe.predict_proba(lesions.images)
    path = skinseg.save(pipe, tmp_path / "m.skops")
    given = abcd.columns_of
    monkeypatch.setattr(abcd, "columns_of", lambda groups: ["border_compactness", *given(groups)[::-1]])
    with pytest.warns(VersionMismatchWarning, match=rf"saved with {len(given(GROUPS))} columns.*keeps those"):
        loaded = skinseg.load(path)
    np.testing.assert_array_equal(loaded.predict_proba(lesions.images), expected)


def test_columns_that_are_not_known_any_more_are_named(lesions, tmp_path, monkeypatch):
    featurizer = skinseg.ABCDFeaturizer(features=["border_score", "color_count"])
    path = skinseg.save(featurizer, tmp_path / "m.skops")
    skinseg.load(path)  # no warning: they are the same
    groups = skinseg.save(skinseg.ABCDFeaturizer(groups=["color"]), tmp_path / "g.skops")
    given = abcd.columns_of(["color"])
    monkeypatch.setattr(abcd, "columns_of", lambda groups: [name for name in given if name != "color_count"])
    monkeypatch.setattr(abcd, "FEATURES", {name: 0 for name in abcd.FEATURES if name != "color_count"})
    with pytest.warns(VersionMismatchWarning, match=r"does not know 1 of them \(color_count\): it cannot measure"):
        loaded = skinseg.load(groups)
    records = [skinseg.LesionImage(image, mask) for image, mask in zip(lesions.images, lesions.masks, strict=True)]
    with pytest.raises(ValueError, match=r"the names in skinseg\.features\.FEATURES.*color_count"):
        loaded.transform(records)


def test_estimators_of_wrong_parameters_are_copied(tmp_path):
    """They are looked at in fit, not before."""
    for wrong in ("shape", 3):
        loaded = skinseg.load(skinseg.save(skinseg.ABCDFeaturizer(groups=wrong), tmp_path / "m.skops"))
        assert loaded.groups == wrong
    assert skinseg.load(skinseg.save(skinseg.CNNFeaturizer("none"), tmp_path / "m.skops")).network == "none"


def test_another_packaged_network_is_told(tmp_path, monkeypatch):
    path = skinseg.save(skinseg.CNNFeaturizer("melanoma"), tmp_path / "m.skops")
    skinseg.load(path)
    found = skinseg.CNNFeaturizer._packaged
    monkeypatch.setattr(skinseg.CNNFeaturizer, "_packaged", lambda self: found(self)._replace(sha256="f" * 64))
    with pytest.warns(VersionMismatchWarning, match="'melanoma' of SHA-256 .* this skinseg has f{12}"):
        skinseg.load(path)


def test_a_packaged_model_is_a_name_and_no_path(tmp_path):
    (tmp_path / "evil.json").write_text("{}")
    model = skinseg.PretrainedClassifier()
    skinseg.load(skinseg.save(model, tmp_path / "m.skops"))
    state = model.__getstate__() | {"model": str(tmp_path / "evil")}
    with pytest.raises(ModelFileError, match=r"there is no packaged model .*evil', but melanoma"):
        model.__setstate__(state)


def test_what_is_of_this_machine_or_of_fitting_only_is_not_saved(tmp_path):
    """Folders as Path, and callbacks, would be classes that are not trusted."""
    inner = skinseg.UNetSegmenter(
        32, cache=tmp_path / "c", checkpoint_dir=tmp_path / "d", memory=tmp_path / "m", callbacks=[print]
    )
    steps = [("segmenter", FrozenEstimator(inner)), ("featurizer", skinseg.ABCDFeaturizer())]
    pipe = skinseg.BatchedPipeline(steps, memory=tmp_path)
    loaded = skinseg.load(skinseg.save(pipe, tmp_path / "pipe.skops"))
    segmenter = loaded.steps[0][1].estimator
    assert loaded.memory is None
    assert [getattr(segmenter, name) for name in ("cache", "checkpoint_dir", "memory", "callbacks")] == [None] * 4
    assert inner.cache == tmp_path / "c"  # the estimator at hand keeps its own


def test_estimators_that_ask_for_metadata_are_saved(tmp_path):
    with sklearn.config_context(enable_metadata_routing=True):
        model = LogisticRegression().set_fit_request(sample_weight=True)
        scoring = make_scorer(roc_auc_score, response_method="predict_proba").set_score_request(sample_weight=True)
        search = GridSearchCV(model, {"C": [0.1, 1]}, scoring=scoring, cv=2)
        loaded = skinseg.load(skinseg.save(search, tmp_path / "search.skops"))
        assert loaded.estimator.get_metadata_routing().fit.requests == {"sample_weight": True}
        X, y = [[0], [1], [2], [3]], [0, 1, 0, 1]
        fitted = loaded.fit(X, y, sample_weight=[1, 1, 1, 1])
        assert fitted.score(X, y) == search.fit(X, y, sample_weight=[1, 1, 1, 1]).score(X, y)
