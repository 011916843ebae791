"""Images and clinical columns in one pipeline, and classes that are out of balance."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import sklearn
from imblearn.ensemble import BalancedRandomForestClassifier
from imblearn.over_sampling import SMOTE
from imblearn.under_sampling import RandomUnderSampler
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, cross_val_predict

import skinseg
from skinseg import LesionImage, ReferenceSegmenter, make_lesion_pipeline
from skinseg.bulk import NOT_IN_TABLE, clinical_columns, predict_files, rows_for
from skinseg.clinical import make_clinical_transformer

CLINICAL = ["age_approximate", "sex", "site"]


@pytest.fixture
def frame(lesions):
    table = lesions.frame[CLINICAL].assign(image=lesions.images)
    table.loc[2, "age_approximate"] = np.nan
    table.loc[[3, 5], "sex"] = None
    return table


def fused(**kwargs):
    return make_lesion_pipeline(metadata=CLINICAL, max_side=64, **kwargs)


def test_image_and_clinical_columns(frame, lesions):
    pipe = fused().fit(frame, lesions.target)
    assert pipe.predict_proba(frame).shape == (16, 2)
    names = list(pipe["fusion"].get_feature_names_out())
    assert names[0] == "asymmetry_shape"
    assert {"age_approximate", "missingindicator_age_approximate", "sex_female", "sex_missing"} <= set(names)
    assert clinical_columns(pipe) == CLINICAL
    # the clinical columns carry weight: other values, another probability
    other = frame.assign(age_approximate=90.0, sex="male")
    assert not np.allclose(pipe.predict_proba(other), pipe.predict_proba(frame))


def test_the_images_are_treated_as_without_clinical_columns(frame, lesions):
    fusion = fused().fit(frame, lesions.target)["fusion"]
    alone = make_lesion_pipeline(max_side=64).fit(lesions.images, lesions.target)["lesion"]
    table = alone.transform(lesions.images)
    np.testing.assert_array_equal(fusion.transform(frame)[:, : table.shape[1]], table)


def test_the_order_of_columns_and_further_columns_do_not_matter(frame, lesions):
    pipe = fused().fit(frame, lesions.target)
    shuffled = frame[["sex", "image", "site", "age_approximate"]].assign(patient="x")
    np.testing.assert_array_equal(pipe.predict_proba(shuffled), pipe.predict_proba(frame))


def test_missing_and_unknown_values_have_a_stated_fallback(frame, lesions):
    clinical = make_clinical_transformer().fit(frame[CLINICAL])
    names = list(clinical.get_feature_names_out())
    unknown = pd.DataFrame({"age_approximate": [None], "sex": ["other"], "site": [pd.NA]})
    values = dict(zip(names, clinical.transform(unknown)[0], strict=True))
    median = dict(
        zip(names, clinical.transform(frame[CLINICAL].fillna(frame[["age_approximate"]].median()))[2], strict=True)
    )
    assert values["age_approximate"] == median["age_approximate"]
    assert values["missingindicator_age_approximate"] > 0
    assert all(value == 0 for name, value in values.items() if name.startswith(("sex_", "site_")))
    assert np.isfinite(
        fused().fit(frame, lesions.target).predict_proba(unknown.assign(image=[lesions.images[0]]))
    ).all()


def test_clinical_columns_without_any_value(frame, lesions):
    empty = frame.assign(age_approximate=np.nan, sex=None, site=None)
    pipe = fused().fit(empty, lesions.target)
    assert np.isfinite(pipe.predict_proba(empty)).all()


def test_what_is_no_frame_or_lacks_a_column(frame, lesions):
    with pytest.raises(ValueError, match="Expected 2D array"):  # scikit-learn's own, of ColumnTransformer
        fused().fit(lesions.images, lesions.target)
    with pytest.raises(ValueError, match="column 'image'"):
        fused().fit(frame.rename(columns={"image": "file"}), lesions.target)
    with pytest.raises(ValueError, match=r"not columns of the dataframe: \{'sex'\}"):
        fused().fit(frame.drop(columns="sex"), lesions.target)
    with pytest.raises(ValueError, match=r"missing.*sex"):
        fused().fit(frame, lesions.target).predict(frame.drop(columns="sex"))


def test_masks_and_references_in_the_frame(frame, lesions):
    told = frame.assign(mask=lesions.masks, reference_mask=lesions.masks)
    given = make_lesion_pipeline("passthrough", metadata=CLINICAL, max_side=64).fit(told, lesions.target)
    reference = make_lesion_pipeline(ReferenceSegmenter(), metadata=CLINICAL, max_side=64).fit(told, lesions.target)
    np.testing.assert_allclose(given.predict_proba(told), reference.predict_proba(told))
    plain = fused().fit(told.drop(columns="mask"), lesions.target)
    plain.predict(frame)  # nobody has reference masks when it counts


SAMPLERS = ["passthrough", SMOTE(k_neighbors=2, random_state=0), RandomUnderSampler(random_state=0)]


def test_samplers_are_tuned_as_any_other_step(frame, lesions, tmp_path):
    pipe = fused(memory=str(tmp_path))
    grid = [
        {"sampler": SAMPLERS, "classifier__C": [0.1, 1]},
        {"sampler": ["passthrough"], "classifier": [BalancedRandomForestClassifier(5, random_state=0)]},
        {"sampler": [SAMPLERS[1]], "sampler__k_neighbors": [1, 2]},
    ]
    search = GridSearchCV(pipe, grid, cv=StratifiedGroupKFold(2), scoring="roc_auc", n_jobs=2)
    search.fit(frame, lesions.target, groups=np.arange(16) // 2)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(search.cv_results_["params"]) == 9


def test_samplers_work_in_fit_only(frame, lesions):
    seen = []

    class Spy(SMOTE):
        def fit_resample(self, X, y, **params):
            result = super().fit_resample(X, y, **params)
            seen.append((len(y), len(result[1])))
            return result

    target = np.arange(16) < 4
    pipe = fused(sampler=Spy(k_neighbors=2, random_state=0)).fit(frame, target)
    assert seen == [(16, 24)]
    assert pipe.predict(frame).shape == (16,)
    assert len(seen) == 1


def test_fewer_melanomas_than_neighbors(frame):
    with pytest.raises(ValueError, match="n_neighbors"):
        fused(sampler=SMOTE(k_neighbors=5)).fit(frame, np.arange(16) < 3)


def test_sample_weights_by_metadata_routing(frame, lesions):
    """Weights reach a classifier that asks for them, also in nested cross-validation; a sampler cannot pass them on."""
    from sklearn.linear_model import LogisticRegression

    weights = np.where(lesions.target == 1, 5.0, 1.0)
    with sklearn.config_context(enable_metadata_routing=True):
        classifier = LogisticRegression(max_iter=1000)
        classifier.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        plain = fused().fit(frame, lesions.target)
        weighted = fused(classifier=classifier).fit(frame, lesions.target, sample_weight=weights)
        assert weighted.predict_proba(frame)[:, 1].mean() > plain.predict_proba(frame)[:, 1].mean()
        groups = np.arange(16) // 2
        predicted = cross_val_predict(
            GridSearchCV(fused(classifier=classifier), {"classifier__C": [0.1, 1]}, cv=StratifiedGroupKFold(2)),
            frame,
            lesions.target,
            cv=StratifiedGroupKFold(2),
            params={"groups": groups, "sample_weight": weights},
            method="predict_proba",
        )
        assert predicted.shape == (16, 2)


def test_saved_and_loaded_in_a_new_process(frame, lesions, tmp_path, lesion_files):
    table = frame.assign(image=[str(lesion_files / "images" / f"a{index:02d}.png") for index in range(16)])
    pipe = fused(sampler=SMOTE(k_neighbors=2, random_state=0)).fit(table, lesions.target)
    skinseg.save(pipe, tmp_path / "m.skops")
    table.to_parquet(tmp_path / "t.parquet")
    code = (
        "import skinseg, sys, pandas as pd; "
        "print(skinseg.load(sys.argv[1]).predict_proba(pd.read_parquet(sys.argv[2])).tolist())"
    )
    paths = [str(tmp_path / "m.skops"), str(tmp_path / "t.parquet")]
    output = subprocess.check_output([sys.executable, "-W", "error", "-c", code, *paths], text=True)
    np.testing.assert_array_equal(eval(output), pipe.predict_proba(table))


def test_rows_are_found_by_the_name_of_the_file(tmp_path):
    images = [tmp_path / "b.jpg", tmp_path / "a.jpg", tmp_path / "z.jpg"]
    table = pd.DataFrame({"image": ["x/a.png", "b", "c.jpg"], "age": [1, 2, 3]})
    rows = rows_for(images, table)
    assert rows["age"].tolist()[:2] == [2, 1]
    assert rows["found"].tolist() == [True, True, False]
    with pytest.raises(ValueError, match=r"none of the 1 images is in the column 'image'.*called z.*rows a, b, c"):
        rows_for(images[2:], table)
    with pytest.raises(ValueError, match="several rows for a"):
        rows_for(images, pd.concat([table, table[:1]]))


def test_predictions_for_files(frame, lesions, lesion_files, broken_files):
    files = [lesion_files / "images" / f"a{index:02d}.png" for index in range(16)]
    table = frame.assign(image=[LesionImage(file) for file in files])
    pipe = fused().fit(table, lesions.target)
    asked = [files[4], broken_files / "cut.jpg", broken_files / "good.jpg", files[0]]
    known = frame.drop(columns="image").assign(image=[file.name for file in files])
    extra = known.iloc[:1].assign(image="cut.jpg")
    result = predict_files(asked, pipe, metadata=rows_for(asked, pd.concat([known, extra])))
    assert result["error"].tolist()[0] == result["error"].tolist()[3] == ""
    assert "cut short" in result["error"][1]
    assert result["error"][2] == NOT_IN_TABLE
    expected = pipe.predict_proba(table.iloc[[4, 0]])[:, 1]
    np.testing.assert_allclose(result["melanoma_probability"][[0, 3]], expected)
    assert result["melanoma_probability"][[1, 2]].isna().all()
    with pytest.raises(
        ValueError, match=r"uses the clinical columns \['age_approximate', 'sex', 'site'\]; give a table"
    ):
        predict_files(files, pipe)
    with pytest.raises(ValueError, match=r"lacks the clinical columns \['sex'\]"):
        predict_files(files, pipe, metadata=rows_for(files, known.drop(columns="sex")))
