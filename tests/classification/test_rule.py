"""The ABCD rule: its published figures, its columns, what it refuses, and what it learns."""

import itertools
import pickle
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler
from sklearn.utils import get_tags

import skinseg
from skinseg import ABCDRuleClassifier
from skinseg.exceptions import SkinsegWarning, UnknownColumnsWarning
from skinseg.rule import COLUMNS, RANGES, WEIGHTS, total_dermoscopy_score, verdict_of

NAMES = list(COLUMNS.values())
# all combinations of the four parts: 3 x 9 x 6 x 5
ALL = np.array(list(itertools.product(*(range(low, high + 1) for low, high in RANGES.values()))), dtype=float)


def make_table(n=200, random_state=0, slope=2.0, cut=4.75):
    """Parts drawn evenly; melanoma more often the higher the score."""
    rng = np.random.default_rng(random_state)
    parts = ALL[rng.integers(len(ALL), size=n)]
    risk = 1 / (1 + np.exp(-slope * (total_dermoscopy_score(*parts.T) - cut)))
    return pd.DataFrame(parts, columns=NAMES), (rng.random(n) < risk).astype(int)


# ---------------------------------------------------------------------- the functions


def test_all_scores():
    scores = total_dermoscopy_score(*ALL.T)
    assert len(ALL) == 810
    # every tenth from 1.0 to 8.9, exactly: equal scores are equal numbers
    np.testing.assert_array_equal(np.unique(scores), np.arange(10, 90) / 10)
    tenths = [13 * a + b + 5 * c + 5 * d for a, b, c, d in ALL.astype(int)]
    np.testing.assert_array_equal(scores, np.array(tenths) / 10)
    # so no lesion lies at a threshold of the rule
    assert not np.isin(scores, [4.75, 5.45]).any()
    verdicts = verdict_of(scores)
    assert scores[verdicts == "benign"].max() == 4.7
    assert (scores[verdicts == "suspicious"].min(), scores[verdicts == "suspicious"].max()) == (4.8, 5.4)
    assert scores[verdicts == "highly suspicious"].min() == 5.5


@pytest.mark.parametrize(
    ("parts", "score", "verdict"),
    [
        ((0, 0, 1, 1), 1.0, "benign"),
        ((1, 4, 3, 3), 4.7, "benign"),
        ((1, 5, 3, 3), 4.8, "suspicious"),
        ((1, 6, 3, 3), 4.9, "suspicious"),
        ((2, 3, 3, 2), 5.4, "suspicious"),
        ((2, 4, 3, 2), 5.5, "highly suspicious"),
        ((2, 8, 6, 5), 8.9, "highly suspicious"),
    ],
)
def test_scores_and_verdicts_by_hand(parts, score, verdict):
    assert total_dermoscopy_score(*parts) == score
    assert verdict_of(score) == verdict
    rule = ABCDRuleClassifier().fit(ALL, np.arange(810) % 2)
    assert rule.verdict([parts]).tolist() == [verdict]
    assert rule.score_samples([parts]).tolist() == [score]
    assert rule.predict([parts]).tolist() == [int(verdict != "benign")]


def test_weights_are_those_of_the_rule():
    assert WEIGHTS == {"asymmetry": 1.3, "border": 0.1, "colors": 0.5, "structures": 0.5}
    parts = np.random.default_rng(0).uniform([0, 0, 1, 1], [2, 8, 6, 5], (50, 4))  # not whole, too
    np.testing.assert_allclose(total_dermoscopy_score(*parts.T), parts @ [1.3, 0.1, 0.5, 0.5], rtol=1e-12)


def test_verdict_at_the_thresholds():
    scores = [4.7499, 4.75, 5.45, 5.4501, np.nan]
    expected = ["benign", "suspicious", "suspicious", "highly suspicious", "not measured"]
    assert verdict_of(scores).tolist() == expected


@pytest.mark.parametrize("part", range(4))
def test_score_is_nan_where_a_part_is(part):
    parts = np.array([[1.0, 4, 3, 3], [2, 4, 3, 3]])
    parts[0, part] = np.nan
    scores = total_dermoscopy_score(*parts.T)
    assert np.isnan(scores).tolist() == [True, False]
    rule = ABCDRuleClassifier().fit(parts, [0, 1])
    np.testing.assert_array_equal(rule.score_samples(parts), scores)
    np.testing.assert_array_equal(np.isnan(rule.decision_function(parts)), [True, False])
    assert rule.verdict(parts).tolist() == ["not measured", "highly suspicious"]
    with pytest.raises(ValueError, match=r"1 of 2 rows.*NaN: rows 0\. .*SimpleImputer"):
        rule.predict(parts)
    assert rule.predict(parts[1:]).tolist() == [1]


def test_scores_broadcast():
    assert total_dermoscopy_score([[0], [1]], 0, [1, 2, 3], 1).shape == (2, 3)
    assert total_dermoscopy_score(0, 0, 1, 1).shape == ()


# ---------------------------------------------------------------------- decisions


def test_decision_is_the_distance_from_the_threshold():
    rule = ABCDRuleClassifier().fit(ALL, np.arange(810) % 2)
    np.testing.assert_array_equal(rule.decision_function(ALL), total_dermoscopy_score(*ALL.T) - 4.75)
    np.testing.assert_array_equal(rule.predict(ALL), rule.decision_function(ALL) > 0)
    np.testing.assert_allclose(ALL @ rule.coef_ + rule.intercept_, rule.decision_function(ALL), atol=1e-12)
    assert rule.threshold_ == 4.75


def test_a_score_at_the_threshold_is_positive():
    rule = ABCDRuleClassifier(threshold=5.5).fit(ALL, np.arange(810) % 2)
    at = [[2, 4, 3, 2]]
    assert rule.decision_function(at) == 0
    assert rule.predict(at) == 1
    assert rule.predict([[2, 3, 3, 2]]) == 0


@pytest.mark.parametrize("recalibrate", [None, "threshold", "weights"])
def test_pos_label_turns_the_decision_and_not_the_score(recalibrate):
    X, y = make_table()
    rule = ABCDRuleClassifier(recalibrate=recalibrate).fit(X, y)
    named = np.where(y == 1, "melanoma", "nevus")  # melanoma comes first in the alphabet
    turned = clone(rule).set_params(pos_label="melanoma").fit(X, named)
    assert turned.classes_.tolist() == ["melanoma", "nevus"]
    assert turned.pos_label_ == "melanoma"
    np.testing.assert_allclose(turned.score_samples(X), rule.score_samples(X), rtol=1e-6)
    np.testing.assert_allclose(turned.decision_function(X), -rule.decision_function(X), atol=1e-5)
    np.testing.assert_array_equal(turned.predict(X) == "melanoma", rule.predict(X) == 1)
    assert turned.score(X, named) == rule.score(X, y) > 0.7


def test_classes():
    X, y = make_table(10)
    with pytest.raises(ValueError, match="two classes in y, got only one class: 3"):
        ABCDRuleClassifier().fit(X, np.full(10, 3))
    with pytest.raises(ValueError, match="Only binary classification is supported"):
        ABCDRuleClassifier().fit(X, np.arange(10) % 3)
    with pytest.raises(ValueError, match=r"pos_label='melanoma' is not among the classes of y, \[0, 1\]"):
        ABCDRuleClassifier(pos_label="melanoma").fit(X, y)


@pytest.mark.parametrize(
    "setting", [{"threshold": "4"}, {"threshold": np.inf}, {"recalibrate": "all"}, {"columns": "abcd"}, {"columns": 4}]
)
def test_parameters_are_checked(setting):
    with pytest.raises(ValueError, match=f"The '{next(iter(setting))}' parameter of ABCDRuleClassifier"):
        ABCDRuleClassifier(**setting).fit(*make_table(10))


def test_tags():
    tags = get_tags(ABCDRuleClassifier())
    assert tags.estimator_type == "classifier"
    assert tags.input_tags.positive_only
    assert not tags.classifier_tags.multi_class
    assert not tags.classifier_tags.poor_score


# ---------------------------------------------------------------------- columns


def test_columns_by_name_wherever_they_are():
    X, y = make_table(40)
    expected = total_dermoscopy_score(*X.to_numpy().T)
    wide = X[NAMES[::-1]].assign(site="back", color_offset=-1.0, area=np.nan)
    wide = wide[["site", NAMES[2], "color_offset", NAMES[0], NAMES[3], "area", NAMES[1]]]
    for table in (X, X[NAMES[::-1]], wide):
        rule = ABCDRuleClassifier().fit(table, y)
        np.testing.assert_array_equal(rule.score_samples(table), expected)
    assert rule.columns_ == {"asymmetry": 3, "border": 6, "colors": 1, "structures": 4}
    assert rule.n_features_in_ == 7
    assert rule.feature_names_in_.tolist() == list(wide.columns)


@pytest.mark.parametrize(
    "columns",
    [
        [4, 3, 1, 0],
        (-1, 3, 1, 0),
        np.array([4, 3, 1, 0]),
        {"structures": 0, "colors": 1, "border": 3, "asymmetry": 4},
    ],
    ids=["list", "from the end", "array", "dict"],
)
def test_columns_by_position(columns):
    X, y = make_table(40)
    table = np.column_stack([X[NAMES[::-1]].to_numpy()[:, :2], np.full(40, -7.0), X[NAMES[:2][::-1]]])
    rule = ABCDRuleClassifier(columns).fit(table, y)
    np.testing.assert_array_equal(rule.score_samples(table), total_dermoscopy_score(*X.to_numpy().T))
    assert rule.columns_ == {"asymmetry": 4, "border": 3, "colors": 1, "structures": 0}
    frame = pd.DataFrame(table)  # columns numbered, not named
    np.testing.assert_array_equal(clone(rule).fit(frame, y).predict(frame), rule.predict(table))


def test_columns_by_other_names():
    X, y = make_table(40)
    expected = total_dermoscopy_score(*X.to_numpy().T)
    table = X.set_axis(["a", "b", "c", "d"], axis=1)[["d", "b", "a", "c"]].assign(e=-1.0)
    for columns in (list("abcd"), dict(zip(WEIGHTS, "abcd", strict=True)), ["a", 1, "c", 0]):
        np.testing.assert_array_equal(ABCDRuleClassifier(columns).fit(table, y).score_samples(table), expected)


def test_some_names_missing():
    X, y = make_table(20)
    with pytest.raises(ValueError, match=r"lacks the columns \['structure_count'\].*groups=.*columns="):
        ABCDRuleClassifier().fit(X.drop(columns="structure_count").assign(area=1.0), y)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (["a", "b", "c"], "must be four, of asymmetry, border, colors, structures, got 3"),
        (["asymmetry_score", "border_score", "color_count", "x"], "has no column 'x'; its columns are"),
        ([0, 1, 2, 4], "the position 4, but the table has 4 columns, 0 to 3"),
        ([0, 1, 2, -2], "must be four different ones"),
        ([0, "asymmetry_score", 2, 3], "must be four different ones"),
        ([0, 1, 2, 2.5], "must be names or positions, got 2.5"),
        ([0, 1, 2, True], "must be names or positions, got True"),
        ({"asymmetry": 0, "border": 1, "color": 2, "structures": 3}, "must have the keys"),
    ],
)
def test_columns_that_cannot_be(columns, words):
    with pytest.raises(ValueError, match=words):
        ABCDRuleClassifier(columns).fit(*make_table(20))


def test_a_name_that_stands_twice():
    X, y = make_table(20)
    table = pd.concat([X, X["border_score"]], axis=1)
    with pytest.raises(ValueError, match="border_score"):
        ABCDRuleClassifier().fit(table, y)


def test_names_for_a_table_without():
    X, y = make_table(20)
    with pytest.raises(ValueError, match=r"no column names.*set_output\(transform='pandas'\)"):
        ABCDRuleClassifier(NAMES).fit(X.to_numpy(), y)


def test_four_fitting_columns_are_taken_without_names():
    X, y = make_table(40)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for table in (X.to_numpy(), X.to_numpy().tolist(), X.set_axis(list("abcd"), axis=1)):
            rule = ABCDRuleClassifier().fit(table, y)
            assert list(rule.columns_) == list(WEIGHTS)
            np.testing.assert_array_equal(rule.score_samples(table), total_dermoscopy_score(*X.to_numpy().T))


@pytest.mark.parametrize("kind", ["five columns", "three columns", "four others", "other names"])
def test_a_score_is_learned_from_columns_of_another_kind(kind):
    X, y = make_table(100)
    table = {
        "five columns": np.column_stack([X, X["border_score"]]),
        "three columns": X.to_numpy()[:, :3],
        "four others": X.to_numpy() + 10,
        "other names": X.assign(area=3).add_prefix("x_"),
    }[kind]
    rule = ABCDRuleClassifier()
    with pytest.warns(UnknownColumnsWarning, match=r"not the total dermoscopy score.*columns=\[.*set_output") as caught:
        rule.fit(table, y)
    assert caught[0].filename == __file__
    assert rule.columns_ is None
    assert rule.coef_.shape == (rule.n_features_in_,)
    assert rule.score(table, y) > 0.75
    np.testing.assert_allclose(rule.score_samples(table), np.asarray(table) @ rule.coef_)
    with pytest.raises(ValueError, match="does not know the columns of the rule"):
        rule.verdict(table)
    holed = np.array(table, dtype=float)
    holed[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"contains NaN.*does not know which columns"):
        ABCDRuleClassifier().fit(holed, y)


# ---------------------------------------------------------------------- values out of range


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler(), RobustScaler()], ids=lambda s: type(s).__name__)
def test_a_scaled_table_is_refused(scaler, named):
    X, y = make_table(60)
    scaled = scaler.set_output(transform="pandas").fit_transform(X)
    if not named:
        scaled = scaled.to_numpy()
    rule = ABCDRuleClassifier() if named else ABCDRuleClassifier([0, 1, 2, 3])
    start = "Values out of range" if isinstance(scaler, MinMaxScaler) else "Negative values"
    expected = rf"^{start} in data passed to ABCDRuleClassifier.*before the scaler.*scaler='passthrough'"
    with pytest.raises(ValueError, match=expected):
        rule.fit(scaled, y)
    rule.fit(X if named else X.to_numpy(), y)
    for method in (rule.predict, rule.decision_function, rule.score_samples, rule.verdict):
        with pytest.raises(ValueError, match=expected):
            method(scaled)


@pytest.mark.parametrize("n_columns", [4, 6])
def test_a_scaled_table_without_names_is_refused(n_columns):
    X, y = make_table(60)
    scaled = StandardScaler().fit_transform(np.column_stack([X, X])[:, :n_columns])
    with pytest.raises(ValueError, match=r"^Negative values in data passed to ABCDRuleClassifier.*before the scaler"):
        ABCDRuleClassifier().fit(scaled, y)


def test_a_part_that_no_lesion_has_is_explained():
    X, y = make_table(20)
    X["structure_count"] = 0.0  # as an imputer fills a column without any value
    with pytest.raises(
        ValueError, match=r"structures go from 1 to 5 \(20 such values\)\. A column of zeros is one without"
    ):
        ABCDRuleClassifier().fit(X, y)


@pytest.mark.parametrize(("part", "low", "high"), [(part, *ends) for part, ends in RANGES.items()])
def test_what_is_out_of_range_is_named(part, low, high):
    X, y = make_table(20)
    column = COLUMNS[part]
    rule = ABCDRuleClassifier().fit(X, y)
    for value in (low - 0.5, high + 0.5):
        bad = X.astype(float)
        bad.loc[7, column] = value
        words = f"column '{column}' has {value:g} in row 7, but {part} go from {low} to {high}. "
        for call in (lambda bad=bad: clone(rule).fit(bad, y), lambda bad=bad: rule.predict(bad)):
            with pytest.raises(ValueError, match=re.escape(words)):
                call()
        with pytest.raises(ValueError, match=f"column {list(WEIGHTS).index(part)} has"):
            ABCDRuleClassifier([0, 1, 2, 3]).fit(bad.to_numpy(), y)
    for value in (low, high, low + 0.3, low - 1e-9, high + 1e-9, np.nan):
        good = X.astype(float)
        good.loc[7, column] = value
        clone(rule).fit(good, y).score_samples(good)


def test_infinite_values_are_refused():
    X, y = make_table(20)
    X = X.astype(float)
    X.loc[3, "border_score"] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        ABCDRuleClassifier().fit(X, y)


# ---------------------------------------------------------------------- recalibration


@pytest.mark.parametrize("cut", [3.5, 6.0])
def test_threshold_is_found(cut):
    X, y = make_table(3000, slope=3.0, cut=cut)
    rule = ABCDRuleClassifier(recalibrate="threshold").fit(X, y)
    assert rule.threshold_ == pytest.approx(cut, abs=0.1)
    assert rule.coef_.tolist() == list(WEIGHTS.values())
    assert rule.intercept_ == -rule.threshold_
    np.testing.assert_array_equal(rule.score_samples(X), total_dermoscopy_score(*X.to_numpy().T))


def test_weights_are_found():
    X, y = make_table(20000, slope=2.0)
    rule = ABCDRuleClassifier(recalibrate="weights").fit(X, y)
    np.testing.assert_allclose(rule.coef_, 2 * np.array(list(WEIGHTS.values())), atol=0.1)
    assert rule.threshold_ == pytest.approx(2 * 4.75, abs=0.4)
    np.testing.assert_allclose(rule.decision_function(X), X.to_numpy() @ rule.coef_ + rule.intercept_, atol=1e-9)
    assert rule.score_samples(X).max() > 8.9  # a scale of its own
    np.testing.assert_array_equal(rule.verdict(X), verdict_of(total_dermoscopy_score(*X.to_numpy().T)))  # the rule's


@pytest.mark.parametrize("recalibrate", ["threshold", "weights"])
def test_class_weight_moves_what_is_learned(recalibrate):
    X, y = make_table(600, cut=6.0)
    shares = []
    for class_weight in ({0: 5, 1: 1}, None, "balanced", {0: 1, 1: 20}):
        rule = ABCDRuleClassifier(recalibrate=recalibrate, class_weight=class_weight).fit(X, y)
        shares.append(rule.predict(X).mean())
        if recalibrate == "threshold" and class_weight is None:
            plain = rule.threshold_
        elif recalibrate == "threshold" and class_weight == "balanced":
            assert rule.threshold_ < plain - 0.1  # melanoma is the rarer one
    assert shares == sorted(shares)
    assert len(set(shares)) == 4


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("recalibrate", ["threshold", "weights"])
def test_sample_weight_is_repetition(recalibrate, class_weight):
    X, y = make_table(80)
    weight = np.random.default_rng(1).integers(0, 4, 80)
    rule = ABCDRuleClassifier(recalibrate=recalibrate, class_weight=class_weight)
    weighted = clone(rule).fit(X, y, sample_weight=weight)
    repeated = clone(rule).fit(X.loc[np.repeat(X.index, weight)], np.repeat(y, weight))
    np.testing.assert_allclose(weighted.threshold_, repeated.threshold_, rtol=1e-7)
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-7)
    assert abs(weighted.threshold_ - clone(rule).fit(X, y).threshold_) > 1e-3


@pytest.mark.parametrize("recalibrate", ["threshold", "weights"])
def test_rows_with_nan_are_left_out(recalibrate):
    X, y = make_table(80)
    holed = X.astype(float)
    holed.iloc[5:15, 2] = np.nan
    rule = ABCDRuleClassifier(recalibrate=recalibrate).fit(holed, y)
    fewer = clone(rule).fit(X.drop(index=range(5, 15)), np.delete(y, range(5, 15)))
    assert rule.threshold_ == pytest.approx(fewer.threshold_)
    assert np.isnan(rule.score_samples(holed)).sum() == 10
    holed.loc[y == 1, "border_score"] = np.nan
    with pytest.raises(ValueError, match=r"only one class to learn from.*NaN"):
        clone(rule).fit(holed, y)
    holed["color_count"] = np.nan
    with pytest.raises(ValueError, match="neither class to learn from"):
        clone(rule).fit(holed, y)
    with pytest.raises(ValueError, match=r"only one class to learn from.*weight zero"):
        clone(rule).fit(X, y, sample_weight=y)


def test_classes_apart_have_a_threshold_between_them():
    X = pd.DataFrame(ALL, columns=NAMES)
    score = total_dermoscopy_score(*ALL.T)
    apart = (score < 4) | (score > 6)
    rule = ABCDRuleClassifier(recalibrate="threshold").fit(X[apart], score[apart] > 5)
    assert 4.5 < rule.threshold_ < 5.5


def test_what_cannot_be_learned():
    X, y = make_table(80)
    with pytest.raises(ValueError, match=r"not higher in the class 1 than in the other; .*pos_label"):
        ABCDRuleClassifier(recalibrate="threshold").fit(X, 1 - y)
    for recalibrate in ("threshold", "weights"):
        with pytest.raises(ValueError, match="all rows are the same"):
            ABCDRuleClassifier(recalibrate=recalibrate).fit(X.iloc[[0] * 80], y)


def test_weights_without_recalibration():
    X, y = make_table(40)
    with pytest.warns(SkinsegWarning, match=r"class_weight of ABCDRuleClassifier has no effect.*recalibrate="):
        rule = ABCDRuleClassifier(class_weight="balanced").fit(X, y, sample_weight=np.arange(40))
    assert rule.threshold_ == 4.75
    with pytest.raises(ValueError, match="sample_weight"):
        ABCDRuleClassifier().fit(X, y, sample_weight=np.ones(3))


# ---------------------------------------------------------------------- among others


@pytest.mark.parametrize("recalibrate", [None, "threshold", "weights"])
@pytest.mark.parametrize("named", [True, False])
def test_saved_and_pickled(tmp_path, recalibrate, named):
    X, y = make_table(60)
    y = np.where(y == 1, "melanoma", "nevus")
    table = X.assign(area=1.0) if named else X.assign(area=1.0).to_numpy()
    rule = ABCDRuleClassifier(
        None if named else {"asymmetry": 0, "border": 1, "colors": 2, "structures": 3},
        recalibrate=recalibrate,
        class_weight=None if recalibrate is None else {"melanoma": 2.0, "nevus": 1.0},
        pos_label="melanoma",
    ).fit(table, y)
    for again in (pickle.loads(pickle.dumps(rule)), skinseg.load(skinseg.save(rule, tmp_path / "rule.skops"))):
        np.testing.assert_array_equal(again.decision_function(table), rule.decision_function(table))
        np.testing.assert_array_equal(again.predict(table), rule.predict(table))
        assert again.get_params() == rule.get_params()
        assert again.columns_ == rule.columns_


def test_in_a_pipeline_with_a_search(tmp_path):
    X, y = make_table(200, cut=3.5)
    holed = X.astype(float).assign(area=np.arange(200.0) - 100)
    holed.iloc[::7, 1] = np.nan
    holed.iloc[::11, 2] = np.nan
    pipe = make_pipeline(SimpleImputer(strategy="median"), ABCDRuleClassifier()).set_output(transform="pandas")
    search = GridSearchCV(
        pipe, {"abcdruleclassifier__recalibrate": [None, "threshold", "weights"]}, cv=3, error_score="raise"
    ).fit(holed, y)
    assert search.best_params_["abcdruleclassifier__recalibrate"] is not None  # the cut was drawn elsewhere
    auc = cross_val_score(pipe, holed, y, scoring="roc_auc", cv=3)
    assert auc.min() > 0.7
    loaded = skinseg.load(skinseg.save(search, tmp_path / "search.skops"))
    np.testing.assert_array_equal(loaded.predict(holed), search.predict(holed))
    names = ColumnTransformer([("parts", "passthrough", NAMES)], verbose_feature_names_out=False)
    made = make_pipeline(names, SimpleImputer(), ABCDRuleClassifier()).set_output(transform="pandas").fit(holed, y)
    assert made[-1].feature_names_in_.tolist() == NAMES


def test_weights_are_routed():
    X, y = make_table(100)
    weight = np.where(y == 1, 9.0, 1.0)
    with sklearn.config_context(enable_metadata_routing=True):
        rule = ABCDRuleClassifier(recalibrate="threshold").set_fit_request(sample_weight=True)
        pipe = make_pipeline(SimpleImputer(), rule).set_output(transform="pandas").fit(X, y, sample_weight=weight)
    assert pipe[-1].threshold_ == clone(rule).fit(X, y, weight).threshold_ < clone(rule).fit(X, y).threshold_


def test_fit_changes_nothing_that_was_given():
    X, y = make_table(40)
    columns = dict(zip(WEIGHTS, NAMES, strict=True))
    rule = ABCDRuleClassifier(columns, recalibrate="weights")
    before, names = X.copy(), dict(columns)
    rule.fit(X, y).predict(X)
    pd.testing.assert_frame_equal(X, before)
    assert rule.columns is columns
    assert columns == names
