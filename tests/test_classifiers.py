"""Searches, stacks, thresholds and calibration over pipelines of lesions, and what can be wrong with their input."""

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from imblearn.over_sampling import SMOTE
from scipy.stats import binomtest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import StackingClassifier
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedGroupKFold,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
)
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

import skinseg
from skinseg import ABCDFeaturizer, BatchedPipeline, CNNFeaturizer, ThresholdSegmenter, make_lesion_pipeline
from skinseg.clinical import make_clinical_transformer
from skinseg.datasets import load_lesion_table, make_lesions
from skinseg.evaluation import threshold_at_sensitivity
from skinseg.exceptions import EmptyMaskWarning, UngroupedWarning
from skinseg.metrics import expected_calibration_error, get_classification_scorer
from skinseg.training import train_from_table

CLINICAL = ["age_approximate", "sex", "site"]
COLOR = ABCDFeaturizer(groups=["color"])


@pytest.fixture(scope="module")
def many():
    """Two images each of 300 lesions, which are not easy to tell apart, as a table."""
    data = make_lesions(600, images_per_lesion=2, random_state=3, min_side=48, max_side=64, melanoma_fraction=0.3)
    pipe = BatchedPipeline([("segmenter", ThresholdSegmenter()), ("featurizer", COLOR)])
    measured = pd.DataFrame(pipe.fit_transform(data.images), columns=pipe.get_feature_names_out())
    return pd.concat([measured, data.frame[CLINICAL]], axis=1), data.target, data.groups


@pytest.fixture
def frame(lesions):
    return lesions.frame[CLINICAL].assign(image=lesions.images)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def on_table(classifier=None):
    return make_pipeline(
        ColumnTransformer(
            [
                ("measured", make_pipeline(SimpleImputer(), StandardScaler()), list(COLOR.get_feature_names_out())),
                ("clinical", make_clinical_transformer(), CLINICAL),
            ]
        ),
        LogisticRegression(max_iter=2000, C=0.1) if classifier is None else classifier,
    )


def lesion_model(classifier=None, **kwargs):
    return make_lesion_pipeline(ThresholdSegmenter(), classifier, featurizer=COLOR, max_side=64, **kwargs)


# ---------------------------------------------------------------------- what composes


def test_grid_search_over_union_and_columns_with_two_workers(frame, lesions, tmp_path):
    union = FeatureUnion([("abcd", COLOR), ("embedding", CNNFeaturizer())])
    pipe = make_lesion_pipeline(
        ThresholdSegmenter(), LogisticRegression(max_iter=5000), sampler=SMOTE(k_neighbors=1, random_state=0),
        featurizer=union, metadata=CLINICAL, max_side=64, memory=str(tmp_path),
    )  # fmt: skip
    pipe.steps[-1:-1] = [("varying", VarianceThreshold()), ("selection", SelectKBest(k=20))]
    grid = [
        {"fusion__lesion__featurizer__embedding": ["drop", CNNFeaturizer()], "classifier__C": [0.01, 1]},
        {"sampler": ["passthrough"], "selection__k": [5, "all"]},
    ]
    found = {}
    for n_jobs in (2, None):
        search = GridSearchCV(pipe, grid, cv=StratifiedGroupKFold(2), scoring="roc_auc", n_jobs=n_jobs)
        found[n_jobs] = search.fit(frame, lesions.target, groups=np.arange(16) // 2).cv_results_
    for split in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(found[2][split], found[None][split])
        assert np.isfinite(found[2][split]).all()
    assert len(found[2]["params"]) == 6
    # half a thousand columns more or less, and other numbers of them, are other models
    assert len(np.unique(np.round(found[2]["mean_test_score"], 6))) > 1


class Recorder(StratifiedGroupKFold):
    """Keeps what lies in which part."""

    parts: list = []  # noqa: RUF012

    def split(self, X, y, groups=None):
        for learn, check in super().split(X, y, groups):
            self.parts.append((set(groups[learn]), set(groups[check])))
            yield learn, check


def stack(n_folds=2):
    def search(model):
        return GridSearchCV(model, {"C": [0.1, 1]}, cv=Recorder(2), scoring="roc_auc")

    def member(blocks):
        model = ColumnTransformer(blocks, verbose_feature_names_out=False)
        grid = {"logisticregression__C": [0.1, 1]}
        return GridSearchCV(
            make_pipeline(model, SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=2000)),
            grid, cv=Recorder(2), scoring="roc_auc",
        )  # fmt: skip

    lesion = BatchedPipeline([("segmenter", ThresholdSegmenter()), ("featurizer", COLOR)])
    members = [
        ("lesion", member([("lesion", lesion, ["image"])])),
        ("clinical", member([("clinical", make_clinical_transformer(), CLINICAL)])),
    ]
    return StackingClassifier(members, search(LogisticRegression()), cv=Recorder(n_folds), stack_method="predict_proba")


def test_stack_over_a_frame_keeps_lesions_together_and_is_saved(routing, frame, lesions, tmp_path):
    Recorder.parts.clear()
    groups = np.arange(16) // 2
    model = stack().fit(frame, lesions.target, groups=groups)
    # per member: two splits of its search on all, two of the stack, and two in each fold of the stack; two at the end
    assert len(Recorder.parts) == 2 * (2 + 2 + 2 * 2) + 2
    assert not any(learn & check for learn, check in Recorder.parts)
    assert model.final_estimator_.best_estimator_.coef_.shape == (1, 2)
    said = model.predict_proba(frame)
    assert said.shape == (16, 2)

    joblib.dump(model, tmp_path / "m.joblib")
    np.testing.assert_array_equal(joblib.load(tmp_path / "m.joblib").predict_proba(frame), said)


def test_stack_goes_through_a_model_file(frame, lesions, tmp_path):
    members = [("image", lesion_model(metadata=["sex"])), ("clinical", lesion_model(metadata=CLINICAL))]
    model = StackingClassifier(members, LogisticRegression(), cv=2).fit(frame, lesions.target)
    skinseg.save(model, tmp_path / "m.skops")
    np.testing.assert_array_equal(skinseg.load(tmp_path / "m.skops").predict_proba(frame), model.predict_proba(frame))


def at_sensitivity(y_true, y_pred, wanted, pos_label):
    called, ill = y_pred == pos_label, y_true == pos_label
    return 0.001 * np.mean(~called[~ill]) - abs(np.mean(called[ill]) - wanted)


def test_tuned_threshold_keeps_the_sensitivity(routing, many):
    """Chosen on two thirds, held on the last third within the binomial interval; and not by calling all melanoma."""
    table, target, groups = many
    diagnosis = np.where(target == 1, "melanoma", "nevus")
    scorer = make_scorer(at_sensitivity, wanted=0.9, pos_label="melanoma")
    called = np.empty(len(table), object)
    for learn, check in StratifiedGroupKFold(3, shuffle=True, random_state=0).split(table, target, groups):
        tuned = TunedThresholdClassifierCV(
            on_table(), scoring=scorer, cv=StratifiedGroupKFold(5), thresholds=np.linspace(0, 1, 201)
        )
        tuned.fit(table.iloc[learn], diagnosis[learn], groups=groups[learn])
        called[check] = tuned.predict(table.iloc[check])
    found = called[target == 1] == "melanoma"
    interval = binomtest(int(found.sum()), len(found)).proportion_ci()
    assert interval.low <= 0.9 <= interval.high
    assert np.mean(called[target == 0] == "nevus") > 0.3


def test_calibration_takes_back_what_class_weights_do(routing, lesions):
    """Weights raise the probabilities of a lesion pipeline above the share of melanomas."""
    data = make_lesions(
        120, images_per_lesion=2, random_state=0, min_side=48, max_side=64, melanoma_fraction=0.2, class_sep=0.5
    )
    weighted = lesion_model(LogisticRegression(C=0.01, class_weight="balanced"))
    said = {}
    for name, model in (
        ("weighted", weighted),
        ("calibrated", CalibratedClassifierCV(weighted, cv=StratifiedGroupKFold(3))),
    ):
        said[name] = cross_val_predict(
            model, data.images, data.target, cv=StratifiedGroupKFold(3), params={"groups": data.groups},
            method="predict_proba",
        )[:, 1]  # fmt: skip
    errors = {name: expected_calibration_error(data.target, score, n_bins=5) for name, score in said.items()}
    assert said["weighted"].mean() > data.target.mean() + 0.1
    assert said["calibrated"].mean() == pytest.approx(data.target.mean(), abs=0.05)
    assert errors["calibrated"] < errors["weighted"] / 2


# ---------------------------------------------------------------------- bad input


def test_one_class_in_a_fold(many):
    table, target, _ = many
    table, target = table[target.argsort() >= 0].iloc[:60], np.repeat([0, 1], [40, 20])
    with pytest.raises(ValueError, match=r"y_true holds one class only, 0, .* StratifiedGroupKFold"):
        cross_val_score(
            on_table(), table, target, cv=KFold(3), scoring=get_classification_scorer("partial_auc"),
            error_score="raise",
        )  # fmt: skip
    with pytest.raises(ValueError, match="only one class"):  # scikit-learn's own
        on_table().fit(table[:40], target[:40])


def test_a_class_that_is_absent_from_what_is_predicted(many):
    """The columns are those of the classes that were learnt; a score of an absent class is refused."""
    table, target, _ = many
    kinds = np.where(target == 1, "melanoma", np.where(np.arange(len(target)) % 3 == 0, "keratosis", "nevus"))
    model = on_table().fit(table, kinds)
    nevi = table[kinds == "nevus"]
    said = model.predict_proba(nevi)
    assert said.shape == (len(nevi), 3)
    assert model.classes_.tolist() == ["keratosis", "melanoma", "nevus"]
    with pytest.raises(ValueError, match="pos_label='melanoma' is none of the classes of y_true, 'keratosis', 'nevus'"):
        expected_calibration_error(kinds[kinds != "melanoma"], np.zeros(sum(kinds != "melanoma")), pos_label="melanoma")


def test_labels_without_a_positive_class(many):
    table, target, _ = many
    diagnosis = np.where(target == 1, "melanoma", "nevus")
    search = GridSearchCV(
        on_table(), {"logisticregression__C": [1]}, scoring=get_classification_scorer("specificity_at_sensitivity"),
        error_score="raise",
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"pass pos_label, such as pos_label='nevus'"):
        search.fit(table, diagnosis)
    with pytest.raises(ValueError, match=r"pos_label=1 is not a valid label: .*'melanoma'"):  # scikit-learn's own
        TunedThresholdClassifierCV(on_table(), scoring="f1").fit(table, diagnosis)
    with pytest.raises(ValueError, match="pos_label is not specified"):  # scikit-learn's own
        threshold_at_sensitivity(diagnosis, np.linspace(0, 1, len(diagnosis)), 0.9)


def test_sites_and_sexes_that_were_not_seen(many):
    table, target, _ = many
    model = on_table().fit(table, target)
    one = table.iloc[:1]
    new = [model.predict_proba(one.assign(site=site, sex="other"))[0, 1] for site in ("moon", "tongue")]
    assert np.isfinite(new).all()
    assert new[0] == new[1] != model.predict_proba(one)[0, 1]


def test_rows_of_nan_from_empty_masks(lesions):
    wall = np.full((64, 64, 3), (200, 180, 170), np.uint8)
    images = [*lesions.images, wall, wall]
    target = np.r_[lesions.target, 0, 1]
    smote = SMOTE(k_neighbors=1, random_state=0)  # which takes no NaN
    with pytest.warns(EmptyMaskWarning, match=r"2 of 18 .*their features are NaN"):
        model = lesion_model(sampler=smote).fit(images, target)
    with pytest.warns(EmptyMaskWarning, match=r"1 of 2 "):
        said = model.predict_proba([wall, lesions.images[0]])
    assert np.isfinite(said).all()
    with (
        pytest.warns(EmptyMaskWarning),
        pytest.raises(ValueError, match=r"(?s)Input X contains NaN.*imputer"),  # scikit-learn's own
    ):
        lesion_model(sampler=smote).set_params(imputer="passthrough").fit(images, target)


# ---------------------------------------------------------------------- the command's part


def table_with(lesion_files, tmp_path, **columns):
    table = pd.read_csv(lesion_files / "lesions.csv").drop(columns="lesion").assign(**columns)
    table["image"] = [str(lesion_files / name) for name in table["image"]]
    table.to_csv(tmp_path / "t.csv", index=False)
    return tmp_path / "t.csv"


def train(path, tmp_path, **kwargs):
    said = []
    options = {"target_column": "kind", "folds": 2, "quiet": True, "echo": said.append} | kwargs
    train_from_table(path, tmp_path / "m.skops", segmenter=ThresholdSegmenter(), **options)
    return said


KINDS = ["melanoma"] * 4 + ["nevus"] * 12


def test_training_with_fewer_melanomas_than_neighbors(lesion_files, tmp_path):
    path = table_with(lesion_files, tmp_path, kind=KINDS)
    with pytest.raises(ValueError, match=r"its 5 nearest, and of the class 'melanoma' of 'kind' there are only 2 .*"
                                         r"--sampler under"):  # fmt: skip
        train(path, tmp_path, pos_label="melanoma", sampler="smote")
    assert not list(tmp_path.glob("*.skops"))
    train(path, tmp_path, pos_label="melanoma", sampler="under")
    assert list(tmp_path.glob("*.skops"))


def test_smote_is_not_asked_for_images_of_classes_that_are_as_many(lesion_files, tmp_path):
    path = table_with(lesion_files, tmp_path, kind=[0, 1] * 4 + [0, 1] * 4)
    assert any("ROC AUC" in line for line in train(path, tmp_path, sampler="smote"))


def test_training_where_a_fold_lacks_a_class(lesion_files, tmp_path):
    groups = ["a"] * 4 + [f"b{index}" for index in range(12)]
    path = table_with(lesion_files, tmp_path, kind=KINDS, lesion=groups)
    with pytest.raises(ValueError, match=r"all images of the class 'melanoma' of 'kind' fall into fold [12] of 2, for "
                                         r"they belong to 1 group\(s\)"):  # fmt: skip
        train(path, tmp_path, group_column="lesion", pos_label="melanoma")
    path = table_with(lesion_files, tmp_path, kind=[0, 1] * 8, lesion=["a", "b", "c", "c"] * 4)
    with pytest.raises(ValueError, match=r"belong to 3 group\(s\), fewer than the 4 folds"):
        train(path, tmp_path, group_column="lesion", folds=4)


def test_ids_that_repeat_while_no_groups_are_given(lesion_files, tmp_path):
    twice = [f"P{index // 2}" for index in range(16)]
    path = table_with(lesion_files, tmp_path, kind=[0, 1] * 8, Patient_ID=twice, lesion_id=range(16))
    words = r"ids in the column 'Patient_ID' repeat \(16 of 16 .*group_column='Patient_ID'"
    with pytest.warns(UngroupedWarning, match=words):
        assert len(set(load_lesion_table(path, target_column="kind").groups)) == 16
    said = train(path, tmp_path)
    assert [line for line in said if line.startswith("warning: ids in the column 'Patient_ID'")]
    assert "16 groups" in " ".join(said)
    # none where groups are given, where there is nothing to learn, and where ids do not repeat
    said = train(path, tmp_path, group_column="Patient_ID")
    assert not [line for line in said if "warning" in line]
    load_lesion_table(path, group_column="lesion_id", target_column="kind")
    load_lesion_table(path)
    once = [f"P{index}" if index % 2 else None for index in range(16)]
    load_lesion_table(table_with(lesion_files, tmp_path, kind=[0, 1] * 8, patient=once), target_column="kind")
