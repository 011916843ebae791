"""Pipelines from images to classes: batches, grids, learners, frames, routing, persistence."""

import subprocess
import sys
import textwrap
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    StratifiedGroupKFold,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

import skinseg
from skinseg import (
    ABCDFeaturizer,
    BatchedPipeline,
    ImageResizer,
    LesionImage,
    ReferenceSegmenter,
    ThresholdSegmenter,
    make_lesion_pipeline,
)
from skinseg.base import BaseSegmenter
from skinseg.datasets import make_lesions
from skinseg.exceptions import EmptyMaskWarning, ImageBatchError


class BrightnessSegmenter(BaseSegmenter):
    """A segmenter that learns: lesion is what is darker than halfway between lesion and skin of the training set."""

    _gives_probabilities = True
    seen: list = []  # noqa: RUF012
    _parameter_constraints = {**BaseSegmenter._parameter_constraints}  # noqa: RUF012

    def __init__(self, opening=0.0, component="central", fill_holes=True, margin=0.0, smoothing=0.0, min_area=0.0,
                 memory=None, n_jobs=None, verbose=0, on_error="raise"):  # fmt: skip
        self.opening = opening
        self.component = component
        self.fill_holes = fill_holes
        self.margin = margin
        self.smoothing = smoothing
        self.min_area = min_area
        self.memory = memory
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.on_error = on_error

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = True
        return tags

    def fit(self, X, y=None):
        levels = []
        for record in self._with_references(X, y):
            loaded = record.load()
            self.seen.append(loaded.shape)
            mask = loaded.reference_mask
            assert mask.shape == loaded.image.shape[:2]
            levels.append([loaded.image[mask].mean(), loaded.image[~mask].mean()])
        self.level_ = np.mean(levels)
        return self

    def _segment(self, record):
        return 1 / (1 + np.exp((record.image.mean(axis=2) - self.level_) / 10))


@pytest.fixture(scope="module")
def files(lesion_files):
    return [lesion_files / "images" / f"a{index:02d}.png" for index in range(16)]


def small_pipeline(**kwargs):
    return make_lesion_pipeline(**{"segmenter": ThresholdSegmenter(), "max_side": 64, **kwargs})


def test_the_factory_names_its_steps(files, lesions):
    pipe = small_pipeline(sampler=SMOTE(k_neighbors=2, random_state=0), classifier=LogisticRegression(C=0.1))
    names = {"lesion__segmenter__method", "lesion__hair", "lesion__color", "lesion__resizer__max_side", "classifier__C"}
    assert names <= set(pipe.get_params())
    assert list(pipe.named_steps) == ["lesion", "imputer", "scaler", "sampler", "classifier"]
    pipe.fit(files, lesions.target)
    assert pipe.predict_proba(files).shape == (16, 2)
    assert pipe.score(files, lesions.target) > 0.6


def test_batched_and_flat_pipelines_agree(files, lesions):
    steps = [("resizer", ImageResizer(64)), ("segmenter", ThresholdSegmenter()), ("featurizer", ABCDFeaturizer())]
    tables = [
        BatchedPipeline(steps, batch_size=size, n_jobs=n).fit_transform(files) for size, n in [(1, 1), (5, 2), (99, 1)]
    ]
    flat = make_pipeline(*(clone(step) for _, step in steps)).fit_transform(files)
    for table in tables:
        np.testing.assert_array_equal(table, flat)


def test_grid_search_over_nested_parameters_and_steps(files, lesions, tmp_path):
    pipe = small_pipeline(memory=str(tmp_path))
    search = GridSearchCV(
        pipe,
        [
            {"lesion__segmenter__method": ["otsu", "li"], "classifier__C": [0.1, 1]},
            {"lesion__segmenter": [FrozenEstimator(ThresholdSegmenter("mean"))], "lesion__hair": ["passthrough"]},
        ],
        cv=StratifiedGroupKFold(2),
        scoring="roc_auc",
        n_jobs=2,
    )
    search.fit(files, lesions.target, groups=np.arange(16) // 2)
    assert len(search.cv_results_["params"]) == 5
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(files[:3]).shape == (3,)


def test_memory_measures_each_image_once_a_setting(files, lesions, tmp_path, monkeypatch):
    calls = []
    segment = ThresholdSegmenter._segment

    def counted(self, record):
        calls.append((self.method, record.name))
        return segment(self, record)

    monkeypatch.setattr(ThresholdSegmenter, "_segment", counted)
    grid = {"lesion__segmenter__method": ["otsu", "li"], "classifier__C": [0.01, 0.1, 1]}
    GridSearchCV(small_pipeline(memory=str(tmp_path)), grid, cv=5).fit(files, lesions.target)
    assert len(calls) == len(set(calls)) == 2 * len(files)


def test_memory_notices_a_changed_file_and_a_changed_setting(files, tmp_path, lesions):
    import os
    import shutil

    own = tmp_path / "own.png"
    shutil.copy(files[0], own)
    pipe = BatchedPipeline([("s", ThresholdSegmenter()), ("f", ABCDFeaturizer())], memory=tmp_path / "cache").fit([own])
    first = pipe.transform([own])
    shutil.copy(files[1], own)
    os.utime(own, ns=(1, 1))
    changed = pipe.transform([own])
    assert not np.array_equal(first, changed)
    np.testing.assert_array_equal(changed, BatchedPipeline(pipe.steps).fit_transform([own]))
    pipe.set_params(s__margin=0.5).fit([own])
    assert not np.array_equal(changed, pipe.transform([own]))


def test_a_damaged_cache_entry_is_computed_again(files, tmp_path):
    pipe = BatchedPipeline([("s", ThresholdSegmenter()), ("f", ABCDFeaturizer())], memory=tmp_path).fit(files)
    expected = pipe.transform(files)
    entries = list(tmp_path.rglob("output.pkl"))
    assert len(entries) == len(files)
    for path in entries[:5]:
        path.write_bytes(path.read_bytes()[:10])
    np.testing.assert_array_equal(pipe.transform(files), expected)  # joblib logs what it could not load
    np.testing.assert_array_equal(pipe.transform(files), expected)


def test_each_file_is_decoded_once(files, monkeypatch):
    from skinseg import reading

    calls = []
    decode = reading._decode
    monkeypatch.setattr(reading, "_decode", lambda path, *args: calls.append(path) or decode(path, *args))
    for steps in (
        [("r", ImageResizer(64)), ("s", ThresholdSegmenter()), ("f", ABCDFeaturizer())],
        [("s", ThresholdSegmenter()), ("f", ABCDFeaturizer())],
        [("f", ABCDFeaturizer(ThresholdSegmenter()))],
        [("s", ThresholdSegmenter()), ("f", FeatureUnion([("a", ABCDFeaturizer()), ("b", ABCDFeaturizer())]))],
    ):
        calls.clear()
        BatchedPipeline(steps).fit_transform(files)
        assert sorted(calls) == sorted(files)


def test_frozen_segmenters_and_feature_unions(files):
    union = FeatureUnion([("a", ABCDFeaturizer(groups=["border"])), ("b", ABCDFeaturizer(groups=["color"]))])
    pipe = BatchedPipeline([("segmenter", FrozenEstimator(ThresholdSegmenter())), ("features", union)])
    table = pipe.fit_transform(files)
    plain = BatchedPipeline([("s", ThresholdSegmenter()), ("f", ABCDFeaturizer(groups=["border", "color"]))])
    np.testing.assert_array_equal(table, plain.fit_transform(files))
    assert pipe.get_feature_names_out()[0] == "a__border_score"
    assert list(pipe.set_output(transform="pandas").transform(files[:2]).columns) == list(pipe.get_feature_names_out())


def test_global_pandas_output(files):
    with sklearn.config_context(transform_output="pandas"):
        flat = make_pipeline(
            ImageResizer(64), ThresholdSegmenter(), ABCDFeaturizer(), SimpleImputer(keep_empty_features=True)
        )
        table = flat.fit_transform(files[:3])
        assert list(table.columns) == list(ABCDFeaturizer().get_feature_names_out())
        batched = BatchedPipeline([("s", ThresholdSegmenter()), ("f", ABCDFeaturizer())]).fit_transform(files[:3])
        assert isinstance(batched, pd.DataFrame)
    assert flat[:-1].get_feature_names_out()[0] == "asymmetry_shape"


def test_a_learning_segmenter_takes_masks_as_y():
    lesions = make_lesions(16, random_state=1, min_side=64, max_side=96, difficulty="easy", tone=0.1)
    segmenter = BrightnessSegmenter().fit(lesions.images, lesions.masks)
    assert segmenter.score(lesions.images, lesions.masks) > 0.5
    probabilities = segmenter.predict_proba(lesions.images)
    assert probabilities[0].dtype == np.float32
    assert probabilities[0].shape == lesions.masks[0].shape
    pipe = make_pipeline(ImageResizer(48), BrightnessSegmenter())
    scores = cross_val_score(pipe, lesions.images, lesions.masks, cv=4)  # masks of full size, working size of 48
    assert scores.mean() > 0.5
    predicted = cross_val_predict(pipe, lesions.images, lesions.masks, cv=4)
    assert [mask.shape for mask in predicted] == [mask.shape for mask in lesions.masks]


def test_a_learning_segmenter_inside_a_classification_pipeline(lesions):
    frame = pd.DataFrame({"image": lesions.images, "reference_mask": lesions.masks})
    BrightnessSegmenter.seen.clear()
    pipe = small_pipeline(segmenter=BrightnessSegmenter()).fit(frame, lesions.target)
    assert len(BrightnessSegmenter.seen) == 16  # streamed through the resizer, one after the other
    assert all(max(shape) == 64 for shape in BrightnessSegmenter.seen)
    assert pipe.predict(lesions.images).shape == (16,)
    with pytest.raises(ValueError, match=r"reference mask for every image, 16 of 16.*FrozenEstimator"):
        small_pipeline(segmenter=BrightnessSegmenter()).fit(lesions.images, lesions.target)
    frozen = FrozenEstimator(BrightnessSegmenter().fit(lesions.images, lesions.masks))
    assert small_pipeline(segmenter=frozen).fit(lesions.images, lesions.target).predict(lesions.images).shape == (16,)


def test_a_batched_pipeline_that_segments(lesions):
    pipe = BatchedPipeline([("r", ImageResizer(64)), ("s", BrightnessSegmenter())], batch_size=4)
    pipe.fit(lesions.images, lesions.masks)
    flat = make_pipeline(ImageResizer(64), BrightnessSegmenter()).fit(lesions.images, lesions.masks)
    for first, second in zip(pipe.predict(lesions.images), flat.predict(lesions.images), strict=True):
        np.testing.assert_array_equal(first, second)
    for first, second in zip(pipe.predict_proba(lesions.images), flat.predict_proba(lesions.images), strict=True):
        np.testing.assert_array_equal(first, second)
    assert pipe.score(lesions.images, lesions.masks) == flat.score(lesions.images, lesions.masks)
    assert not hasattr(BatchedPipeline([("f", ABCDFeaturizer())]), "predict")
    assert not hasattr(BatchedPipeline([("s", ThresholdSegmenter())]), "predict_proba")


def test_expert_outlines_as_the_upper_bound(lesions):
    frame = pd.DataFrame({"image": lesions.images, "reference_mask": lesions.masks})
    pipe = small_pipeline(segmenter=ReferenceSegmenter()).fit(frame, lesions.target)
    area = pipe["lesion"].transform(frame)[:, list(ABCDFeaturizer().get_feature_names_out()).index("dimension_area_px")]
    np.testing.assert_allclose(area, [mask.sum() for mask in lesions.masks], rtol=0.05)


def test_frame_with_masks_and_clinical_columns(lesions):
    frame = pd.DataFrame({"image": lesions.images, "mask": lesions.masks}).join(
        lesions.frame[["age_approximate", "sex"]]
    )
    frame.loc[2, "age_approximate"] = np.nan
    clinical = ColumnTransformer(
        [("age", make_pipeline(SimpleImputer(), StandardScaler()), ["age_approximate"]),
         ("sex", OneHotEncoder(handle_unknown="ignore"), ["sex"])]
    )  # fmt: skip
    fused = ColumnTransformer(
        [("lesion", BatchedPipeline([("abcd", ABCDFeaturizer())]), ["image", "mask"]),
         ("clinical", clinical, ["age_approximate", "sex"])]
    )  # fmt: skip
    model = make_imblearn_pipeline(
        fused,
        SimpleImputer(keep_empty_features=True),
        SMOTE(k_neighbors=2, random_state=0),
        LogisticRegression(max_iter=5000),
    )
    model.fit(frame, lesions.target)
    assert model.predict_proba(frame).shape == (16, 2)
    names = model[0].get_feature_names_out()
    assert "lesion__asymmetry_shape" in names
    assert "clinical__sex__sex_male" in names
    area = model[0].transform(frame)[:, list(names).index("lesion__dimension_area_px")]
    np.testing.assert_array_equal(area, [mask.sum() for mask in lesions.masks])
    assert np.isfinite(cross_val_score(model, frame, lesions.target, cv=2)).all()


def test_groups_through_nested_cross_validation(files, lesions):
    groups = np.arange(16) // 2
    with sklearn.config_context(enable_metadata_routing=True):
        inner = GridSearchCV(small_pipeline(), {"classifier__C": [0.1, 1]}, cv=GroupKFold(2))
        outer = cross_validate(inner, files, lesions.target, cv=GroupKFold(2), params={"groups": groups})
        assert np.isfinite(outer["test_score"]).all()
        calibrated = CalibratedClassifierCV(small_pipeline(), cv=GroupKFold(2)).fit(
            files, lesions.target, groups=groups
        )
        assert calibrated.predict_proba(files).shape == (16, 2)
        tuned = TunedThresholdClassifierCV(small_pipeline(), cv=GroupKFold(2)).fit(files, lesions.target, groups=groups)
        assert tuned.predict(files).shape == (16,)


def test_metadata_reach_a_step_that_asks(lesions):
    class Weighted(BrightnessSegmenter):
        def fit(self, X, y=None, sample_weight=None):
            self.weight_ = sample_weight
            return super().fit(X, y)

    frame = pd.DataFrame({"image": lesions.images, "reference_mask": lesions.masks})
    with sklearn.config_context(enable_metadata_routing=True):
        asks = Weighted().set_fit_request(sample_weight=True)
        pipe = BatchedPipeline([("s", asks), ("f", ABCDFeaturizer())]).fit(
            frame, lesions.target, sample_weight=np.ones(16)
        )
        assert pipe.named_steps_["s"].weight_.sum() == 16
        inside = ABCDFeaturizer(asks).fit(frame, lesions.target, sample_weight=np.ones(16))
        assert inside.segmenter_.weight_.sum() == 16
    with pytest.raises(ValueError, match="enable_metadata_routing"):
        BatchedPipeline([("s", Weighted())]).fit(frame, lesions.target, sample_weight=np.ones(16))


def test_bad_images_in_a_batch(files, lesions, broken_files):
    X = [*files[:3], broken_files / "cut.jpg", *files[3:6]]
    y = [*lesions.target[:3], 0, *lesions.target[3:6]]
    pipe = small_pipeline(batch_size=2)
    with pytest.raises(ImageBatchError, match=r"X\[3\] \(.*cut\.jpg\): .*cut short"):
        pipe.fit(X, y)
    pipe.set_params(lesion__on_error="nan").fit(X, y)
    table = pipe["lesion"].transform(X)
    assert np.isnan(table[3]).all()
    np.testing.assert_array_equal(np.delete(table, 3, axis=0), pipe["lesion"].transform(files[:6]))
    pipe["lesion"].transform(X)
    assert list(pipe["lesion"].errors_) == [3]
    alone = pipe["lesion"].transform([broken_files / "cut.jpg"])
    assert alone.shape == (1, len(ABCDFeaturizer().get_feature_names_out()))


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_an_error_in_a_worker_leaves_everything_as_it_was(files, broken_files, backend):
    import cv2

    before, filters = cv2.getNumThreads(), list(warnings.filters)
    X = [broken_files / "cut.jpg", *files, *files]
    steps = [("s", ThresholdSegmenter()), ("f", ABCDFeaturizer())]
    with joblib.parallel_config(backend=backend, n_jobs=2):
        pipe = BatchedPipeline(steps, batch_size=2, n_jobs=2).fit(X)
        with pytest.raises(ImageBatchError, match="cut short"):
            pipe.transform(X)  # joblib's warning of cancelled tasks would be an error here
        table = pipe.set_params(on_error="nan").transform(X)
    np.testing.assert_array_equal(table[1:17], BatchedPipeline(steps).fit_transform(files))
    assert cv2.getNumThreads() == before
    assert warnings.filters == filters


def test_a_foreign_step_that_fails_on_one_image(files):
    def strict(records):
        if any(record.name == "a02" for record in records):
            raise RuntimeError("I do not like it")
        return records

    steps = [("mine", FunctionTransformer(strict)), ("s", ThresholdSegmenter()), ("f", ABCDFeaturizer())]
    pipe = BatchedPipeline(steps, on_error="nan").fit(files)
    table = pipe.transform(files)
    assert np.isnan(table).all(axis=1).tolist() == [index == 2 for index in range(16)]
    assert pipe.errors_ == {2: "RuntimeError: I do not like it"}


def test_no_lesion_is_nan_a_warning_and_imputed(files, lesions):
    wall = LesionImage(np.full((60, 60, 3), 150, np.uint8), name="wall")
    X, y = [*files, wall], [*lesions.target, 0]
    with pytest.warns(EmptyMaskWarning, match=r"1 of 17 images \(wall\); their features are NaN"):
        pipe = small_pipeline(sampler=SMOTE(k_neighbors=2, random_state=0)).fit(X, y)
    with pytest.warns(EmptyMaskWarning):
        assert np.isfinite(pipe.predict_proba(X)).all()
    pipe.set_params(lesion__on_error="nan")
    with pytest.warns(EmptyMaskWarning):
        pipe["lesion"].transform(X)
    assert pipe["lesion"].empty_ == [16]


def test_one_class_is_refused_by_the_classifier(files):
    with pytest.raises(ValueError, match="one class"):
        small_pipeline().fit(files, np.zeros(16, int))


@pytest.mark.parametrize(
    ("steps", "error", "words"),
    [
        ([], ValueError, "at least one"),
        ([("a", ThresholdSegmenter), ("b", ABCDFeaturizer())], TypeError, "'a'.*must be an estimator"),
        ([("a", 5)], TypeError, "'a'"),
        ([ThresholdSegmenter()], ValueError, r"\(name, step\) pairs"),
        ([("a", ThresholdSegmenter()), ("a", ABCDFeaturizer())], ValueError, "not unique"),
        ([("f", ABCDFeaturizer(ThresholdSegmenter())), ("s", ThresholdSegmenter())], TypeError, "must be the last"),
        ([("f", ABCDFeaturizer())], ImageBatchError, "no mask to measure; put a segmenter before"),
    ],
)
def test_steps_that_make_no_sense(files, steps, error, words):
    with pytest.raises(error, match=words):
        BatchedPipeline(steps).fit(files).transform(files)


def test_joblib_and_skops_in_a_new_process(files, lesions, tmp_path):
    pipe = small_pipeline(sampler=SMOTE(k_neighbors=2, random_state=0), memory=tmp_path / "cache").fit(
        files, lesions.target
    )
    expected = pipe.predict_proba(files)
    joblib.dump(pipe, tmp_path / "model.joblib")
    skinseg.save(pipe, tmp_path / "model.skops")
    code = f"""
        import joblib, skinseg, numpy as np
        files = {[str(file) for file in files]!r}
        first = joblib.load({str(tmp_path / "model.joblib")!r}).predict_proba(files)
        second = skinseg.load({str(tmp_path / "model.skops")!r}).predict_proba(files)
        print(repr(first.tolist())); print(repr(second.tolist()))
    """
    output = subprocess.check_output([sys.executable, "-W", "error", "-c", textwrap.dedent(code)], text=True)
    for line in output.splitlines():
        np.testing.assert_array_equal(eval(line), expected)
    assert pipe["lesion"].memory == tmp_path / "cache"  # saving left the model as it was


def test_pipeline_in_notebooks_and_reprs(files):
    pipe = small_pipeline()
    assert "BatchedPipeline" in pipe._repr_html_()
    assert "ThresholdSegmenter" in repr(pipe)
    assert BatchedPipeline([("r", "passthrough")]).fit_transform(files)[0].shape == LesionImage(files[0]).shape


def test_replaced_steps_and_parameters():
    pipe = small_pipeline()
    pipe.set_params(lesion__segmenter=ThresholdSegmenter("li"), lesion__segmenter__margin=0.2)
    assert pipe.get_params()["lesion__segmenter"].method == "li"
    assert pipe.get_params()["lesion__segmenter__margin"] == 0.2
    with pytest.raises(ValueError, match="Invalid parameter"):
        pipe.set_params(lesion__segmenter__nonsense=1)
