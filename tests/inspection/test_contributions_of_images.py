"""What each group of features contributed, where the model takes images."""

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import sklearn
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, TunedThresholdClassifierCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    OneHotEncoder,
    StandardScaler,
)

from skinseg import (
    ABCDFeaturizer,
    BatchedPipeline,
    CNNFeaturizer,
    ImageResizer,
    LesionImage,
    ThresholdSegmenter,
    make_lesion_pipeline,
)
from skinseg.exceptions import EmptyMaskWarning, InvalidImagesError, SkinsegWarning
from skinseg.features import FEATURES
from skinseg.inspection import explain_prediction, groups_of

CLINICAL = ["age_approximate", "sex", "site"]
GROUPS = ["asymmetry", "border", "color", "dimension", "structure", "texture", "tds"]


class CountingSegmenter(ThresholdSegmenter):
    """Counts the images that it outlines."""

    seen: ClassVar[list] = []

    def _segment(self, record):
        self.seen.append(record.name)
        return super()._segment(record)


@pytest.fixture(scope="module")
def frame(lesions):
    clinical = lesions.frame[CLINICAL].assign(image=lesions.images)
    clinical.loc[2, "age_approximate"] = np.nan
    clinical.loc[[3, 5], "sex"] = None
    return clinical


@pytest.fixture(scope="module")
def fused(frame, lesions):
    return lesion_pipeline(metadata=CLINICAL).fit(frame, lesions.target)


def lesion_pipeline(*args, **kwargs):
    return make_lesion_pipeline(CountingSegmenter(), *args, max_side=64, **kwargs)


def assert_adds_up(explanation):
    total = explanation.contributions.sum(axis=1, skipna=False) + explanation.baseline
    np.testing.assert_allclose(total, explanation.output, rtol=0, atol=1e-8)
    assert np.isfinite(explanation.output).any()


def test_the_usual_pipeline_on_files(lesion_files, lesions):
    files = sorted((lesion_files / "images").iterdir())
    model = lesion_pipeline().fit(files, lesions.target)
    explanation = explain_prediction(model, files[:3])
    assert explanation.contributions.index.tolist() == ["a00", "a01", "a02"]
    assert explanation.contributions.columns.tolist() == GROUPS
    np.testing.assert_allclose(explanation.probability, model.predict_proba(files[:3])[:, 1])
    assert_adds_up(explanation)
    features = explain_prediction(model, files[:3], by="feature").contributions
    assert features.columns.tolist() == list(FEATURES)
    groups = features.T.groupby(groups_of(features.columns)).sum().T
    np.testing.assert_allclose(groups[GROUPS], explanation.contributions[GROUPS], atol=1e-10)
    # by hand: coefficient times scaled distance from the mean of the imputed training data
    table = model[:3].transform(files[:3])
    place = list(FEATURES).index("border_compactness")
    np.testing.assert_allclose(features["border_compactness"], table[:, place] * model[-1].coef_[0, place])


def test_clinical_columns_are_one_group_or_one_each(fused, frame):
    explanation = explain_prediction(fused, frame)
    assert explanation.contributions.columns.tolist() == [*GROUPS, "clinical"]
    assert explanation.contributions.index[0] == "X[0]"
    assert_adds_up(explanation)
    features = explain_prediction(fused, frame, by="feature").contributions
    assert features.columns.tolist() == [*FEATURES, *CLINICAL]
    np.testing.assert_allclose(features[CLINICAL].sum(axis=1), explanation.contributions["clinical"], atol=1e-10)
    # what changes when the sex does is the contribution of sex, and the image is not looked at
    other = explain_prediction(fused, frame.assign(sex="male"), by="feature").contributions
    changed = (features - other).abs().max() > 1e-10
    assert changed[changed].index.tolist() == ["sex"]
    named = explain_prediction(
        fused, frame.assign(image=[LesionImage(i, name=f"n{k}") for k, i in enumerate(frame.image)])
    )
    assert named.contributions.index[15] == "n15"


@pytest.mark.filterwarnings("ignore:Features .* are constant")  # with older versions of OpenCV
def test_a_column_transformer_written_by_hand(frame, lesions):
    clinical = ColumnTransformer(
        [("age", make_pipeline(SimpleImputer(), StandardScaler()), ["age_approximate"]),
         ("sex", OneHotEncoder(handle_unknown="ignore"), ["sex"])]
    )  # fmt: skip
    lesion = BatchedPipeline([("s", ThresholdSegmenter()), ("abcd", ABCDFeaturizer(groups=["border", "color"]))])
    joined = ColumnTransformer(
        [("lesion", lesion, ["image"]), ("clinical", clinical, CLINICAL[:2]), ("place", OneHotEncoder(), ["site"])]
    )
    model = make_imblearn_pipeline(
        joined, SimpleImputer(keep_empty_features=True), StandardScaler(), SMOTE(k_neighbors=2, random_state=0),
        SelectKBest(k=30), LogisticRegression(),
    ).fit(frame, lesions.target)  # fmt: skip
    explanation = explain_prediction(model, frame)
    assert explanation.method == "exact"
    assert explanation.contributions.columns.tolist() == ["border", "color", "clinical"]
    assert_adds_up(explanation)
    names = explain_prediction(model, frame, by="feature").contributions.columns
    assert names[-3:].tolist() == CLINICAL
    assert names[0].startswith("lesion__border_")


@pytest.mark.parametrize("config", [{}, {"transform_output": "pandas"}, {"enable_metadata_routing": True}], ids=str)
def test_settings_of_scikit_learn(config, frame, lesions):
    with sklearn.config_context(**config):
        model = lesion_pipeline(metadata=CLINICAL).fit(frame, lesions.target)
        exact = explain_prediction(model, frame, background=frame[:8])
        boosting = HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=2)
        model = lesion_pipeline(boosting, metadata=CLINICAL).fit(frame, lesions.target)
        drawn = explain_prediction(model, frame[:2], background=frame[:4])
    for explanation in (exact, drawn):
        assert explanation.contributions.columns.tolist() == [*GROUPS, "clinical"]
        assert_adds_up(explanation)


def test_a_cached_table_with_clinical_columns(frame, lesions):
    """The features are measured before; the ColumnTransformer tells what is clinical, whatever its name."""
    featurizer = ABCDFeaturizer(ThresholdSegmenter(), groups=["border"]).set_output(transform="pandas")
    measured = featurizer.fit_transform(lesions.images)
    border = list(measured.columns)
    age = frame["age_approximate"].reset_index(drop=True)
    measured = measured.assign(years=age.fillna(50.0), years_known=age.notna())
    joined = ColumnTransformer(
        [("abcd", "passthrough", border), ("clinical", StandardScaler(), ["years", "years_known"])]
    )
    model = make_pipeline(joined, SimpleImputer(), StandardScaler(), LogisticRegression()).fit(measured, lesions.target)
    explanation = explain_prediction(model, measured)
    assert explanation.contributions.columns.tolist() == ["border", "clinical"]
    assert explanation.contributions.index.equals(measured.index)
    names = explain_prediction(model, measured, by="feature").contributions.columns
    assert names[-2:].tolist() == ["years", "years_known"]
    assert_adds_up(explanation)


def test_embedding_beside_features(lesions):
    union = FeatureUnion([("abcd", ABCDFeaturizer(groups=["border"])), ("embedding", CNNFeaturizer())])
    model = lesion_pipeline(featurizer=union).fit(lesions.images, lesions.target)
    explanation = explain_prediction(model, lesions.images[:2])
    assert explanation.contributions.columns.tolist() == ["border", "embedding"]
    assert_adds_up(explanation)
    names = explain_prediction(model, lesions.images[:2], by="feature").contributions.columns.tolist()
    assert names[-1] == "embedding"
    assert len(names) == len(ABCDFeaturizer(groups=["border"]).get_feature_names_out()) + 1


def test_image_steps_run_once(frame, lesions):
    """Once for X and once for the background, however many models share them, and not at all for a table."""
    forest = RandomForestClassifier(5, random_state=0)
    pipe = lesion_pipeline(forest, metadata=CLINICAL)
    calibrated = CalibratedClassifierCV(pipe, cv=3).fit(frame, lesions.target)
    CountingSegmenter.seen.clear()
    explanation = explain_prediction(calibrated, frame[:4], background=frame[4:10])
    assert len(CountingSegmenter.seen) == 10
    assert_adds_up(explanation)
    assert explanation.contributions.columns.tolist() == [*GROUPS, "clinical"]
    np.testing.assert_allclose(explanation.output, calibrated.predict_proba(frame[:4])[:, 1])
    assert explanation.baseline == pytest.approx(calibrated.predict_proba(frame[4:10])[:, 1].mean())
    pipe.fit(frame, lesions.target)
    CountingSegmenter.seen.clear()
    images = explain_prediction(pipe, frame[:4], background=frame[4:10])
    assert len(CountingSegmenter.seen) == 10
    measured = pipe["fusion"].transform(frame[4:10])
    named = pd.DataFrame(measured, columns=pipe["fusion"].get_feature_names_out()).iloc[:, ::-1]
    CountingSegmenter.seen.clear()
    for table in (measured, named):
        np.testing.assert_allclose(
            explain_prediction(pipe, frame[:4], background=table).contributions, images.contributions
        )
    assert len(CountingSegmenter.seen) == 8
    with pytest.raises(ValueError, match=r"the background has 5 columns and the table of the model 15\d; give images"):
        explain_prediction(pipe, frame[:4], background=measured[:, :5])


def test_several_models_over_images_and_frames(frame, lesions):
    plain = make_lesion_pipeline(CountingSegmenter(), max_side=64, metadata=["sex"])
    border = make_lesion_pipeline(
        CountingSegmenter(), max_side=64, metadata=["age_approximate"], featurizer=ABCDFeaturizer(groups=["border"])
    )
    members = [("plain", plain), ("border", border)]
    for model in (StackingClassifier(members, cv=2), VotingClassifier(members, voting="soft")):
        model.fit(frame, lesions.target)
        fitted = list(model.estimators_)
        CountingSegmenter.seen.clear()
        explanation = explain_prediction(model, frame[:3], background=frame[3:8], by="feature")
        assert len(CountingSegmenter.seen) == 2 * 8
        assert explanation.contributions.columns.tolist() == [*FEATURES, "sex", "age_approximate"]
        np.testing.assert_allclose(explanation.output, model.predict_proba(frame[:3])[:, 1])
        assert_adds_up(explanation)
        assert all(before is after for before, after in zip(fitted, model.estimators_, strict=True))
        np.testing.assert_allclose(model.predict_proba(frame[:3])[:, 1], explanation.probability)
    with pytest.raises(ValueError, match=r"no exact contributions for this model: it joins several classifiers"):
        explain_prediction(model, frame[:3], method="exact")


def test_models_in_their_wrappers(frame, lesions):
    search = GridSearchCV(lesion_pipeline(metadata=CLINICAL), {"classifier__C": [0.1, 1]}, cv=2)
    search.fit(frame, lesions.target)
    expected = explain_prediction(search.best_estimator_, frame).contributions
    wrapped = [
        search,
        FrozenEstimator(search),
        FixedThresholdClassifier(FrozenEstimator(search.best_estimator_), threshold=0.2).fit(frame, lesions.target),
        TunedThresholdClassifierCV(FrozenEstimator(search), cv="prefit", refit=False).fit(frame, lesions.target),
    ]
    for model in wrapped:
        np.testing.assert_allclose(explain_prediction(model, frame).contributions, expected)
    unfitted = GridSearchCV(lesion_pipeline(), {"classifier__C": [1]}, cv=2, refit=False).fit(
        lesions.images, lesions.target
    )
    with pytest.raises(ValueError, match=r"GridSearchCV keeps no model to explain; fit it with refit=True"):
        explain_prediction(unfitted, lesions.images)


def test_image_steps_in_a_flat_pipeline(lesions):
    model = make_pipeline(
        ImageResizer(64), ThresholdSegmenter(), ABCDFeaturizer(groups=["border"]), SimpleImputer(), StandardScaler(),
        LogisticRegression(),
    ).fit(lesions.images, lesions.target)  # fmt: skip
    explanation = explain_prediction(model, lesions.images[:3])
    assert explanation.contributions.columns.tolist() == ["border"]
    np.testing.assert_allclose(explanation.output, model.decision_function(lesions.images[:3]))
    assert_adds_up(explanation)
    with pytest.warns(EmptyMaskWarning):
        explanation = explain_prediction(model, [lesions.images[0], np.full((60, 60, 3), 150, np.uint8)])
    assert explanation.errors == {1: "no lesion found"}


def test_images_that_fail_or_show_no_lesion(lesion_files, lesions, broken_files):
    files = sorted((lesion_files / "images").iterdir())
    wall = LesionImage(np.full((60, 60, 3), 150, np.uint8), name="wall")
    X = [files[0], broken_files / "cut.jpg", wall, files[1]]
    linear = lesion_pipeline().fit(files, lesions.target)
    forest = lesion_pipeline(RandomForestClassifier(5, random_state=0)).fit(files, lesions.target)
    for model, background in ((linear, None), (forest, files)):
        with pytest.warns(EmptyMaskWarning, match="wall"):
            explanation = explain_prediction(model, X, background=background)
        assert explanation.contributions.index.tolist() == ["a00", "cut", "wall", "a01"]
        assert explanation.contributions.isna().all(axis=1).tolist() == [False, True, True, False]
        assert explanation.output.isna().tolist() == [False, True, True, False]
        assert explanation.probability.isna().tolist() == [False, True, True, False]
        assert list(explanation.errors) == [1, 2]
        assert "cut short" in explanation.errors[1]
        assert explanation.to_text("wall").startswith("wall: not explained, no lesion found\n")
        assert "2 of 4 images explained" in explanation.summary()
        alone = explain_prediction(model, [files[0], files[1]], background=background)
        np.testing.assert_allclose(explanation.contributions.dropna(), alone.contributions)
        with pytest.warns(EmptyMaskWarning):
            nothing = explain_prediction(model, [wall], background=background)
        assert nothing.contributions.isna().all(axis=None)
        assert nothing.method == alone.method
        assert nothing.scale == alone.scale
        assert "0 of 1 images explained" in nothing.summary()
    assert model["lesion"].on_error == "raise"
    assert not hasattr(model["lesion"], "errors_")
    with pytest.warns(SkinsegWarning) as warned:
        explanation = explain_prediction(forest, files[:2], background=[*files, wall])
    assert any("1 of 17 background rows were not measured and are left out" in str(entry.message) for entry in warned)
    same = explain_prediction(forest, files[:2], background=files)
    np.testing.assert_allclose(explanation.contributions, same.contributions)
    with (
        pytest.warns(EmptyMaskWarning),
        pytest.raises(ValueError, match=r"none of the 1 background rows was measured: no lesion found; give some"),
    ):
        explain_prediction(forest, files[:2], background=[wall])
    with pytest.raises(InvalidImagesError, match="absent"):
        explain_prediction(forest, [lesion_files / "absent.png"], background=files)


# ---------------------------------------------------------------------- models that explain themselves


class Own(ClassifierMixin, BaseEstimator):
    """A model that is asked itself."""

    def fit(self, X, y):
        self.classes_ = np.array(["melanoma", "nevus"])
        self.pos_label_ = "melanoma"
        return self

    def predict(self, X):
        return np.repeat("nevus", len(X))

    def _contributions(self, X):
        parts = pd.DataFrame({"border": [1.0, np.nan], "clinical": [-0.5, 0.0]})
        return parts, 0.25, np.array([0.75, np.nan])


def test_a_model_that_explains_itself(lesions):
    X = lesions.images[:2]
    model = Own().fit(X, None)
    for given in (model, FrozenEstimator(model)):
        explanation = explain_prediction(given, X)
        assert (explanation.pos_label, explanation.scale, explanation.method) == ("melanoma", "log_odds", "exact")
        np.testing.assert_array_equal(explanation.contributions, [[1.0, -0.5], [np.nan, np.nan]])
        assert explanation.probability.iloc[0] == pytest.approx(expit(0.75))
        assert explanation.errors == {1: "nothing was measured"}
        assert_adds_up(explanation)
    against = explain_prediction(model, X, pos_label="nevus", method="exact", scale="log_odds")
    np.testing.assert_array_equal(against.contributions.iloc[0], [-1.0, 0.5])
    assert against.baseline == -0.25
    assert against.probability.iloc[0] == pytest.approx(1 - expit(0.75))
    with pytest.raises(ValueError, match=r"Own explains itself.*leave out background, by, method"):
        explain_prediction(model, X, background=X, by="feature", method="permutation")
