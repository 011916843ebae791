"""What each group of features contributed to what a classifier says."""

from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest
import sklearn
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectFromModel, SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MinMaxScaler,
    PolynomialFeatures,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC

from skinseg import (
    ABCDRuleClassifier,
)
from skinseg.features import FEATURES
from skinseg.inspection import _shapley as shapley
from skinseg.inspection import explain_prediction, groups_of
from skinseg.rule import COLUMNS

CLINICAL = ["age_approximate", "sex", "site"]
GROUPS = ["asymmetry", "border", "color", "dimension", "structure", "texture", "tds"]


class Formula(ClassifierMixin, BaseEstimator):
    """A classifier whose probability is a known function of the table."""

    def __init__(self, function=None):
        self.function = function

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.calls_ = []
        return self

    def predict_proba(self, X):
        self.calls_.append(len(X))
        positive = self.function(np.asarray(X, dtype=float))
        return np.column_stack([1 - positive, positive])

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def formula(function):
    return Formula(function).fit([[0], [1]], [0, 1])


@pytest.fixture(scope="module")
def table():
    """A table of three groups, with six informative columns, and its classes."""
    X, y = make_classification(120, 8, n_informative=6, random_state=0)
    names = ["border_a", "border_b", "color_a", "color_b", "color_c", "embedding_0", "embedding_1", "embedding_2"]
    return pd.DataFrame(X * 3 + 1, columns=names), y


def assert_adds_up(explanation):
    total = explanation.contributions.sum(axis=1, skipna=False) + explanation.baseline
    np.testing.assert_allclose(total, explanation.output, rtol=0, atol=1e-8)
    assert np.isfinite(explanation.output).any()


# ---------------------------------------------------------------------- exact


def test_a_linear_model_by_hand():
    """Means 2 and 3, deviations 2 and 0.5; of (4, 2) the scaled values are 1 and -2."""
    X = pd.DataFrame({"border_score": [0.0, 4.0], "color_count": [2.5, 3.5]})
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, [0, 1])
    model[-1].coef_, model[-1].intercept_ = np.array([[0.5, -1.5]]), np.array([0.25])
    row = pd.DataFrame({"border_score": [4.0], "color_count": [2.0]}, index=["a"])
    explanation = explain_prediction(model, row)
    np.testing.assert_allclose(explanation.contributions, [[0.5, 3.0]])
    assert explanation.contributions.index.tolist() == ["a"]
    assert explanation.contributions.columns.tolist() == ["border", "color"]
    assert explanation.baseline == pytest.approx(0.25)
    assert explanation.output["a"] == pytest.approx(3.75)
    assert explanation.probability["a"] == pytest.approx(expit(3.75))
    assert (explanation.scale, explanation.method, explanation.pos_label) == ("log_odds", "exact", 1)
    assert (explanation.standard_error == 0).all(axis=None)
    # from another mean, (1, 3): scaled it is -0.5 and 0
    other = explain_prediction(model, row, background=pd.DataFrame({"border_score": [0, 2], "color_count": [3, 3]}))
    np.testing.assert_allclose(other.contributions, [[0.75, 3.0]])
    assert other.baseline == pytest.approx(0.0)
    against = explain_prediction(model, row, pos_label=0)
    np.testing.assert_allclose(against.contributions, [[-0.5, -3.0]])
    assert against.probability["a"] == pytest.approx(1 - expit(3.75))


LINEAR = [
    make_pipeline(StandardScaler(), LogisticRegression()),
    make_pipeline(SimpleImputer(), SelectKBest(k=5), LogisticRegression(max_iter=1000)),
    make_pipeline(StandardScaler(), SelectFromModel(LogisticRegression(), max_features=4), LogisticRegression()),
    make_pipeline(StandardScaler(), PCA(4, whiten=True), StandardScaler(), SelectKBest(k=3), LogisticRegression()),
    make_pipeline(RobustScaler(), PCA(5), MinMaxScaler(), LogisticRegression()),
    make_pipeline(StandardScaler(), TruncatedSVD(4), RobustScaler(), LinearDiscriminantAnalysis()),
    make_pipeline(SimpleImputer(), MinMaxScaler(), LogisticRegression()),
    make_pipeline(PowerTransformer(), LogisticRegression()),
    make_pipeline(StandardScaler(with_mean=False), SGDClassifier(loss="log_loss", random_state=0)),
    make_imblearn_pipeline(StandardScaler(), SMOTE(random_state=0), PCA(5), LogisticRegression()),
    make_pipeline(make_pipeline(SimpleImputer(), StandardScaler()), make_pipeline("passthrough", LogisticRegression())),
]


@pytest.mark.parametrize("model", LINEAR, ids=str)
def test_linear_models_are_exact_and_agree_with_permutation(model, table):
    X, y = table
    model = sklearn.clone(model).fit(X, y)
    explanation = explain_prediction(model, X[:6])
    assert (explanation.scale, explanation.method) == ("log_odds", "exact")
    assert_adds_up(explanation)
    np.testing.assert_allclose(explanation.probability, model.predict_proba(X[:6])[:, 1])
    np.testing.assert_allclose(explanation.output, model.decision_function(X[:6]))
    exact = explain_prediction(model, X[:6], background=X[20:60], by="feature")
    drawn = explain_prediction(model, X[:6], background=X[20:60], by="feature", method="permutation")
    assert (drawn.scale, drawn.method) == ("log_odds", "permutation")
    assert exact.contributions.columns.tolist() == [*X.columns[:5], "embedding"]
    np.testing.assert_allclose(drawn.contributions, exact.contributions, atol=1e-8)
    assert drawn.baseline == pytest.approx(exact.baseline)


@pytest.mark.parametrize("model", LINEAR, ids=str)
def test_the_mean_of_the_training_data_is_what_the_model_knows_of_it(model, table):
    """Without a background the contributions are those with the training data as background."""
    X, y = table
    model = sklearn.clone(model).fit(X, y)
    known = explain_prediction(model, X[:6])
    given = explain_prediction(model, X[:6], background=X)
    np.testing.assert_allclose(known.contributions, given.contributions, atol=1e-6)


@pytest.mark.parametrize("classifier", [LinearSVC(), RidgeClassifier(), SGDClassifier(random_state=0)], ids=str)
def test_margins_are_no_log_odds(classifier, table):
    X, y = table
    model = make_pipeline(StandardScaler(), classifier).fit(X, y)
    explanation = explain_prediction(model, X[:4])
    assert (explanation.scale, explanation.method) == ("decision", "exact")
    assert explanation.probability is None
    assert_adds_up(explanation)
    np.testing.assert_allclose(explanation.output, model.decision_function(X[:4]))
    assert explanation.to_text(0).startswith("0: decision function ")
    drawn = explain_prediction(model, X[:4], method="permutation", background=X, n_background=None)
    assert drawn.scale == "decision"
    np.testing.assert_allclose(drawn.contributions, explanation.contributions, atol=1e-8)
    with pytest.raises(ValueError, match=r"gives no probabilities; leave scale out.*CalibratedClassifierCV"):
        explain_prediction(model, X[:4], background=X, scale="probability")
    with pytest.raises(ValueError, match="gives no log-odds; leave scale out"):
        explain_prediction(model, X[:4], scale="log_odds")


def test_imputed_values_contribute_what_the_imputer_put_in(table):
    X, y = table
    holes = X.mask(np.random.default_rng(0).random(X.shape) < 0.2)
    mean = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(holes, y)
    explanation = explain_prediction(mean, holes, by="feature")
    own = holes.columns[:5]  # the embedding is one
    missing = holes[own].isna().to_numpy()
    assert np.abs(explanation.contributions[own].to_numpy()[missing]).max() < 1e-12
    assert not np.isnan(explanation.contributions.to_numpy()).any()
    # the indicators of a column count for the column
    told = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), LogisticRegression()).fit(holes, y)
    explanation = explain_prediction(told, holes, by="feature")
    assert explanation.contributions.columns.tolist() == [*own, "embedding"]
    assert_adds_up(explanation)
    assert np.abs(explanation.contributions[own].to_numpy()[missing]).min() > 1e-6


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.filterwarnings("ignore:Skipping features")
def test_a_column_without_any_value_contributes_nothing(keep, table):
    """The imputer leaves it out, or makes it 0."""
    X, y = table
    empty = X.assign(color_a=np.nan)
    imputer = SimpleImputer(keep_empty_features=keep, add_indicator=True)
    model = make_pipeline(imputer, StandardScaler(), LogisticRegression()).fit(empty, y)
    explanation = explain_prediction(model, empty, by="feature")
    assert (explanation.contributions["color_a"].abs() < 1e-12).all()
    assert (explanation.contributions["color_b"].abs() > 1e-6).any()
    np.testing.assert_allclose(explanation.output, model.decision_function(empty))
    assert_adds_up(explanation)


def test_classes_of_every_kind(table):
    X, y = table
    words = np.where(y == 1, "melanoma", "nevus")
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, words)
    with pytest.raises(ValueError, match=r"\['melanoma', 'nevus'\].*pass pos_label, such as pos_label='nevus'"):
        explain_prediction(model, X)
    with pytest.raises(ValueError, match=r"pos_label='naevus' is none of the classes"):
        explain_prediction(model, X, pos_label="naevus")
    first = explain_prediction(model, X, pos_label="melanoma")
    second = explain_prediction(model, X, pos_label="nevus")
    np.testing.assert_allclose(first.contributions, -second.contributions)
    np.testing.assert_allclose(first.probability, model.predict_proba(X)[:, 0])
    assert first.contributions.to_numpy() @ np.ones(3) @ (y - 0.5) > 0
    fixed = FixedThresholdClassifier(FrozenEstimator(model), threshold=0.3, pos_label="melanoma").fit(X, words)
    assert explain_prediction(fixed, X).pos_label == "melanoma"
    truth = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y == 1)
    assert explain_prediction(truth, X).pos_label is True


@pytest.mark.parametrize("method", ["exact", "permutation"])
def test_more_than_two_classes(method, table):
    """The logit of a class minus the mean of the others: its probability over the geometric mean of theirs."""
    X, y = table
    y = np.array(["a", "b", "c"])[y + (X["color_a"] > 2)]
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    with pytest.raises(ValueError, match="pass pos_label"):
        explain_prediction(model, X)
    explanation = explain_prediction(model, X[:5], pos_label="b", method=method, background=X)
    assert explanation.scale == "log_odds"
    assert_adds_up(explanation)
    logarithms = np.log(model.predict_proba(X[:5]))
    np.testing.assert_allclose(explanation.output, logarithms[:, 1] - logarithms[:, [0, 2]].mean(axis=1))
    np.testing.assert_allclose(explanation.probability, model.predict_proba(X[:5])[:, 1])


@pytest.mark.parametrize("pos_label", ["melanoma", "nevus"])
def test_the_rule_itself(pos_label):
    """1.3, 0.1, 0.5 and 0.5 for each point above the mean."""
    parts = pd.DataFrame(
        {"asymmetry_score": [0.0, 2], "border_score": [2.0, 4], "color_count": [1.0, 3], "structure_count": [2.0, 4]}
    )
    assert list(COLUMNS.values()) == list(parts.columns)
    X, y = parts.assign(border_noise=[0.5, 7.0]), ["melanoma", "nevus"]
    rule = ABCDRuleClassifier(pos_label=pos_label).fit(X, y)
    explanation = explain_prediction(rule, X, background=X)
    assert (explanation.scale, explanation.method, explanation.pos_label) == ("decision", "exact", pos_label)
    np.testing.assert_allclose(explanation.contributions, [[-1.3, -0.1, -0.5, -0.5], [1.3, 0.1, 0.5, 0.5]])
    assert explanation.contributions.columns.tolist() == ["asymmetry", "border", "color", "structure"]
    np.testing.assert_allclose(explanation.output, rule.score_samples(X) - 4.75)
    # what the rule does not read may be missing; a part that is leaves no score, and so no explanation
    holes = X.assign(border_noise=np.nan, color_count=[1.0, np.nan])
    explanation = explain_prediction(rule, holes, background=holes)
    assert explanation.contributions.isna().all(axis=1).tolist() == [False, True]
    assert explanation.errors == {1: "a value that the classifier needs is missing"}
    np.testing.assert_allclose(explanation.contributions.iloc[0], 0, atol=1e-12)
    imputed = make_pipeline(SimpleImputer().set_output(transform="pandas"), rule).fit(X, y)
    assert_adds_up(explain_prediction(imputed, holes))


# ---------------------------------------------------------------------- permutation


def test_shapley_values_by_hand():
    """The product of two columns against zeros: half for each, nothing for a third, whichever the other columns are."""
    model = formula(lambda rows: rows[:, 0] * rows[:, 1])
    X = pd.DataFrame({"border": [1.0, 1.0], "color": [1.0, 0.5], "tds": [9.0, 3.0]})
    explanation = explain_prediction(model, X, background=X * 0)
    np.testing.assert_allclose(explanation.contributions, [[0.5, 0.5, 0.0], [0.25, 0.25, 0.0]], atol=1e-12)
    assert (explanation.scale, explanation.method, explanation.baseline) == ("probability", "permutation", 0)
    # against zeros and ones: 0.5 * (v1 + v - v2) with v1 = v2 = 1 / 2, from a baseline of 1 / 2
    both = explain_prediction(model, X[:1], background=[[0, 0, 0], [1, 1, 5]])
    np.testing.assert_allclose(both.contributions, [[0.25, 0.25, 0.0]], atol=1e-12)
    assert both.baseline == 0.5


def rough(rows):
    """Full of interactions, between 0 and 1."""
    return expit(rows @ np.linspace(-1, 1, rows.shape[1]) + rows[:, 0] * rows[:, 1] - 2 * rows[:, 2] * rows[:, 3])


def test_drawn_orders_come_near_to_all_orders(monkeypatch):
    rng = np.random.default_rng(0)
    X, background = rng.normal(size=(5, 7)), rng.normal(size=(12, 7))
    model = formula(rough)
    all_orders = explain_prediction(model, X, background=background, by="feature")
    assert (all_orders.standard_error == 0).all(axis=None)
    monkeypatch.setattr(shapley, "_ENUMERATED", 0)
    drawn = explain_prediction(model, X, background=background, by="feature", n_repeats=200, random_state=0)
    assert_adds_up(all_orders)
    assert_adds_up(drawn)
    error = drawn.standard_error
    assert (error > 0).all(axis=None)
    assert error.max(axis=None) < 0.02
    assert (((drawn.contributions - all_orders.contributions) / error).abs() < 4.5).all(axis=None)
    few = explain_prediction(model, X, background=background, by="feature", n_repeats=8, random_state=0)
    assert few.standard_error.mean(axis=None) > 3 * error.mean(axis=None)  # as the root of 25


@pytest.mark.parametrize("enumerated", [0, 2**16])
def test_players_that_do_the_same_or_nothing(enumerated, monkeypatch):
    """Symmetry and dummy, of orders that are drawn as of all: pairs of an order and its reverse share out equally."""
    monkeypatch.setattr(shapley, "_ENUMERATED", enumerated)
    model = formula(lambda rows: expit(rows[:, 0] * rows[:, 1] + rows[:, 2]))
    rng = np.random.default_rng(0)
    background = rng.normal(size=(9, 4))
    background[:, 1] = background[:, 0]
    X = np.array([[0.7, 0.7, 1.0, 5.0], [-1.0, -1.0, 0.0, 2.0]])
    values = explain_prediction(model, X, background=background, by="feature", random_state=0).contributions
    np.testing.assert_allclose(values["x3"], 0, atol=1e-12)
    np.testing.assert_allclose(values["x0"], values["x1"], atol=1e-12 if enumerated else 0.05)
    assert (values[["x0", "x2"]].abs() > 0.01).any(axis=None)


def test_an_order_and_its_reverse_share_pairs_out_equally(monkeypatch):
    """So that two orders are as good as all where no more than two groups act on each other."""
    model = formula(lambda rows: rows[:, 0] * rows[:, 1] - rows[:, 2] * rows[:, 4] + rows[:, 3] ** 2)
    rng = np.random.default_rng(0)
    X, background = rng.normal(size=(3, 5)), rng.normal(size=(6, 5))
    all_orders = explain_prediction(model, X, background=background, by="feature")
    monkeypatch.setattr(shapley, "_ENUMERATED", 0)
    drawn = explain_prediction(model, X, background=background, by="feature", n_repeats=2, random_state=0)
    np.testing.assert_allclose(drawn.contributions, all_orders.contributions, atol=1e-12)
    assert drawn.standard_error.max(axis=None) < 1e-12


def test_the_seed_decides_and_no_image_depends_on_the_others(monkeypatch):
    monkeypatch.setattr(shapley, "_ENUMERATED", 0)
    rng = np.random.default_rng(0)
    X, background = rng.normal(size=(4, 6)), rng.normal(size=(30, 6))
    state = np.random.get_state()[1].copy()

    def explained(rows, seed, **kwargs):
        settings = {"background": background, "by": "feature", "n_repeats": 4, "n_background": 10} | kwargs
        return explain_prediction(formula(rough), rows, random_state=seed, **settings)

    first, again, other = explained(X, 1), explained(X, 1), explained(X, 2)
    np.testing.assert_array_equal(first.contributions, again.contributions)
    assert first.baseline == again.baseline
    assert not np.allclose(first.contributions, other.contributions)
    np.testing.assert_allclose(explained(X[2:3], 1).contributions.to_numpy()[0], first.contributions.to_numpy()[2])
    whole = explained(X, 1, n_background=None)
    assert whole.baseline == pytest.approx(rough(background).mean())
    assert first.baseline != pytest.approx(whole.baseline)
    assert explained(X, np.random.RandomState(1)).baseline == first.baseline
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_predictions_are_made_many_at_once(monkeypatch):
    """The number of calls does not grow with images, groups or background, as long as the cells fit into one."""
    names = [f"{group}_{number}" for group in ("border", "color", "asymmetry", "embedding") for number in range(300)]
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 1200)), columns=names)
    model = formula(lambda rows: expit(rows[:, :900:7].mean(axis=1)))
    assert_adds_up(explain_prediction(model, X[:3], background=X[:20]))
    assert len(model.calls_) < 6
    # 5 * 14 coalitions of 20 rows
    assert max(model.calls_) == 3 * 14 * 20
    model.calls_.clear()
    monkeypatch.setattr(shapley, "_CELLS", 24_000 * 14)  # one image a call
    chunked = explain_prediction(model, X[:3], background=X[:20])
    assert_adds_up(chunked)
    assert max(model.calls_) == 14 * 20
    assert len(model.calls_) < 9
    model.calls_.clear()
    features = explain_prediction(model, X[:1], background=X[:5], by="feature", n_repeats=2)
    assert features.contributions.shape == (1, 901)
    assert_adds_up(features)
    assert sum(model.calls_) < 4 * 900 * 5 + 100


def test_scales_of_a_classifier_that_is_not_linear(table):
    X, y = table
    boosting = HistGradientBoostingClassifier(max_iter=20, random_state=0).fit(X, y)
    plain = explain_prediction(boosting, X[:5], background=X)
    assert (plain.scale, plain.method) == ("probability", "permutation")
    np.testing.assert_allclose(plain.output, plain.probability)
    whole = explain_prediction(boosting, X[:5], background=X, n_background=None)
    assert whole.baseline == pytest.approx(boosting.predict_proba(X)[:, 1].mean())
    odds = explain_prediction(boosting, X[:5], background=X, scale="log_odds")
    assert odds.scale == "log_odds"
    np.testing.assert_allclose(odds.output, boosting.decision_function(X[:5]))
    forest = RandomForestClassifier(20, random_state=0).fit(X, y)  # probabilities of 0 and 1 among them
    odds = explain_prediction(forest, X[:5], background=X, scale="log_odds")
    assert np.isfinite(odds.contributions.to_numpy()).all()
    for explanation in (plain, odds):
        assert_adds_up(explanation)
    linear = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    shares = explain_prediction(linear, X[:5], background=X, scale="probability")
    assert (shares.scale, shares.method) == ("probability", "permutation")
    np.testing.assert_allclose(shares.output, linear.predict_proba(X[:5])[:, 1])


_SCALED = StandardScaler()
_ISOTONIC = CalibratedClassifierCV(LinearSVC(), cv=2, ensemble=False, method="isotonic")


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (make_pipeline(_SCALED, PolynomialFeatures(2), LogisticRegression(max_iter=1000)), "PolynomialFeatures"),
        (make_pipeline(KNNImputer(), _SCALED, LogisticRegression()), "its step KNNImputer is not linear"),
        (make_pipeline(_SCALED, CalibratedClassifierCV(LogisticRegression(), cv=2)), "CalibratedClassifierCV is no"),
        (make_pipeline(_SCALED, _ISOTONIC), "CalibratedClassifierCV is no linear classifier"),
        (make_pipeline(_SCALED, PCA(3), MinMaxScaler(clip=True), LogisticRegression()), "MinMaxScaler is not linear"),
        (make_pipeline(_SCALED, SVC()), "SVC is no linear classifier"),
        (VotingClassifier([("a", LogisticRegression()), ("b", RandomForestClassifier(5))], voting="soft"), "Voting"),
        (StackingClassifier([("a", LogisticRegression(max_iter=1000))], cv=2), "StackingClassifier is no linear"),
    ],
    ids=str,
)
def test_all_others_are_found_out_by_permutation(model, reason, table):
    X, y = table
    model = sklearn.clone(model).fit(X, y)
    with pytest.raises(ValueError, match=r"against a background, and there is none: give some, background=images"):
        explain_prediction(model, X[:2])
    with pytest.raises(ValueError, match=f"no exact contributions for this model: .*{reason}.*method='permutation'"):
        explain_prediction(model, X[:2], method="exact", background=X)
    explanation = explain_prediction(model, X[:2], background=X[:20])
    assert explanation.method == "permutation"
    assert_adds_up(explanation)
    assert (explanation.contributions.abs() > 1e-3).any(axis=None)


def test_one_sigmoid_keeps_a_linear_model_linear(table):
    """Several of them, or an isotonic calibration, do not."""
    X, y = table
    for inner in (make_pipeline(StandardScaler(), LinearSVC()), make_pipeline(StandardScaler(), LogisticRegression())):
        model = CalibratedClassifierCV(inner, ensemble=False, cv=3).fit(X, y)
        explanation = explain_prediction(model, X[:5])
        assert (explanation.scale, explanation.method) == ("log_odds", "exact")
        probability = model.predict_proba(X[:5])[:, 1]
        np.testing.assert_allclose(explanation.output, np.log(probability / (1 - probability)))
        assert_adds_up(explanation)
        against = explain_prediction(model, X[:5], pos_label=0)
        np.testing.assert_allclose(against.contributions, -explanation.contributions)
        assert against.baseline == pytest.approx(-explanation.baseline)


def test_a_decision_that_is_not_its_coefficients_is_not_called_exact(table):
    class Bent(LogisticRegression):
        def decision_function(self, X):
            return super().decision_function(X) ** 2

    X, y = table
    model = make_pipeline(StandardScaler(), Bent()).fit(X, y)
    with pytest.raises(ValueError, match=r"decision of Bent is not the sum.*method='permutation'"):
        explain_prediction(model, X)


# ---------------------------------------------------------------------- groups


def test_groups_by_name():
    groups = groups_of(FEATURES)
    assert list(groups) == list(FEATURES)
    for name, group in groups.items():
        parts = ("structure_glcm_", "structure_lbp_", "structure_detail_")
        assert group == ("texture" if name.startswith(parts) else FEATURES[name].group)
    assert set(groups.values()) == set(GROUPS)
    names = {
        "lesion__abcd__structure_lbp_3": "texture",
        "abcd__tds": "tds",
        "union__embedding_image_0001": "embedding",
        "embedding__pca0": "embedding",
        "missingindicator_age_approximate": "clinical",
        "clinical__sex__sex_male": "clinical",
        "clinical__anything": "clinical",
        "AGE": "clinical",
        "sextant": "other",
        "x0": "other",
    }
    assert groups_of(names) == names
    assert groups_of(
        ["color_of_hair_red", "color_count", "missingindicator_weight"], clinical=["color_of_hair", "weight"]
    ) == {
        "color_of_hair_red": "clinical",
        "color_count": "color",
        "missingindicator_weight": "clinical",
    }


def test_groups_of_ones_own(table):
    X, y = table
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    plain = explain_prediction(model, X).contributions
    own = explain_prediction(model, X, by={"border_a": "mine", "color_a": "mine"}).contributions
    assert own.columns.tolist() == ["border", "color", "embedding", "mine"]
    np.testing.assert_allclose(own.sum(axis=1), plain.sum(axis=1))
    np.testing.assert_allclose(own["embedding"], plain["embedding"])
    with pytest.raises(ValueError, match=r"columns that the table of the model does not have: \['border_z'\]"):
        explain_prediction(model, X, by={"border_z": "mine"})


# ---------------------------------------------------------------------- words and refusals


def test_an_explanation_in_words(table):
    X = pd.DataFrame({"border_score": [0.0, 4.0], "color_count": [2.5, 3.5], "tds": [1.0, 2.0]})
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, [0, 1])
    model[-1].coef_, model[-1].intercept_ = np.array([[0.5, -1.5, 0.0]]), np.array([0.25])
    row = pd.DataFrame({"border_score": [4.0, 2.0], "color_count": [2.0, 3.0], "tds": [7.0, 1.0]}, index=["a", "b"])
    explanation = explain_prediction(model, row)
    lines = explanation.to_text("a").splitlines()
    assert lines[:4] == [
        "a: probability of 1 0.98; log-odds +3.75 = +0.25 (baseline) and",
        "color +3.00 (raises)",
        "border +0.50 (raises)",
        "tds +0.00 (no change)",
    ]
    assert lines[-1].startswith("Research software, no medical device: this explains the model, not the lesion")
    assert explanation.to_text(0) == explanation.to_text(-2) == explanation.to_text("a")
    assert explanation.to_text("a", top=1).splitlines()[2] == "2 others +0.50 (raises)"
    assert explain_prediction(model, row, pos_label=0).to_text("a").splitlines()[1] == "color -3.00 (lowers)"
    summary = explanation.summary(top=1).splitlines()
    assert summary[0].startswith("2 of 2 images explained (exact)")
    assert summary[1:3] == ["color 1.50", "and 2 more"]
    assert summary[-1] == lines[-1]
    with pytest.raises(IndexError, match="there are 2 images, at 0 to 1; got 2"):
        explanation.to_text(2)
    with pytest.raises(KeyError, match="no image named 'c'; give the position"):
        explanation.to_text("c")
    twice = explain_prediction(model, row.set_axis(["a", "a"]))
    with pytest.raises(KeyError, match=r"2 images, at \[0, 1\] named 'a'"):
        twice.to_text("a")
    for words in (explanation.to_text, explanation.summary):
        with pytest.raises(ValueError, match="top must be at least 1"):
            words(top=0)
    with pytest.raises(FrozenInstanceError):
        explanation.baseline = 1.0


def test_what_cannot_be_explained(table, lesions):
    X, y = table
    model = make_pipeline(StandardScaler(), LogisticRegression())
    with pytest.raises(NotFittedError):
        explain_prediction(model, X)
    model.fit(X, y)
    with pytest.raises(TypeError, match="explains fitted classifiers, got LinearRegression"):
        explain_prediction(LinearRegression().fit(X, y), X)
    with pytest.raises(TypeError, match="explains fitted classifiers, got StandardScaler"):
        explain_prediction(StandardScaler().fit(X), X)
    for wrong in ({"by": "column"}, {"method": "shap"}, {"scale": "odds"}, {"n_repeats": 1}, {"n_background": 0}):
        with pytest.raises(ValueError, match=f"The '{next(iter(wrong))}' parameter of explain_prediction must be"):
            explain_prediction(model, X, **wrong)
    with pytest.raises(ValueError, match=r"exact contributions are to log-odds"):
        explain_prediction(model, X, method="exact", scale="probability")
    bare = LogisticRegression(max_iter=1000)
    for steps in ([], [SimpleImputer(strategy="median")], [SimpleImputer(add_indicator=True)], [RobustScaler()]):
        model = make_pipeline(*steps, bare).fit(X, y)
        with pytest.raises(ValueError, match=r"nothing in the model tells the mean.*StandardScaler.*background=images"):
            explain_prediction(model, X)
        assert_adds_up(explain_prediction(model, X, background=X))
    with pytest.raises(ValueError, match=r"background must be in the form of X, a table of numbers, got list"):
        explain_prediction(model, X, background=lesions.images)
    ends_with_images = Formula(lambda rows: np.zeros(len(rows))).fit(lesions.images, lesions.target)
    with pytest.raises(ValueError, match=r"no table of features in Formula.*make_lesion_pipeline"):
        explain_prediction(ends_with_images, lesions.images, background=lesions.images)


def test_rows_in_which_nothing_was_measured():
    """All that every lesion has is missing; an embedding or a clinical column alone explains no lesion."""
    X = pd.DataFrame(
        {"border_compactness": [1.0, np.nan, 2.0, np.nan], "tds": [3.0, np.nan, np.nan, 5.0],
         "embedding_image_0000": [1.0, 2.0, 3.0, 1.0], "age": [30.0, 40.0, 50.0, 60.0]}
    )  # fmt: skip
    model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(X, [0, 1, 0, 1])
    explanation = explain_prediction(model, X)
    assert explanation.contributions.isna().all(axis=1).tolist() == [False, True, False, True]
    assert explanation.errors == {1: "no lesion found", 3: "no lesion found"}
    part = ["embedding_image_0000", "age"]
    model.fit(X[part], [0, 1, 0, 1])
    assert not explain_prediction(model, X[part]).errors


def test_rows_as_lists_and_arrays(table):
    X, y = table
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X.to_numpy(), y)
    array = explain_prediction(model, X.to_numpy()[:3], by="feature")
    listed = explain_prediction(model, X.to_numpy()[:3].tolist(), by="feature")
    np.testing.assert_array_equal(array.contributions, listed.contributions)
    assert array.contributions.columns.tolist() == [f"x{number}" for number in range(8)]
    assert array.contributions.index.tolist() == [0, 1, 2]
    assert explain_prediction(model, X.to_numpy()[:3]).contributions.columns.tolist() == ["other"]
