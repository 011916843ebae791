"""The whole path on real dermoscopic images (ISIC 2017), where they are there."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

from skinseg import ABCDFeaturizer, LesionImage, ReferenceSegmenter, ThresholdSegmenter, make_lesion_pipeline
from skinseg.datasets import load_lesion_table
from skinseg.features import FEATURES
from skinseg.metrics import jaccard_score

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def isic(data_folder):
    """Every tenth of the training images."""
    data = load_lesion_table(
        data_folder / "isic2017" / "isic2017.csv",
        mask_column="mask",
        target_column="melanoma",
        group_column="group",
        where={"split": "training"},
    )
    for key in ("images", "masks"):
        data[key] = data[key][::10]
    data.target, data.groups = data.target[::10], data.groups[::10]
    return data


def test_table(data_folder):
    data = load_lesion_table(data_folder / "isic2017" / "isic2017.csv", mask_column="mask", target_column="melanoma")
    assert len(data.images) == 2150
    assert all(path.is_file() for path in data.images + data.masks)
    assert data.target.sum() == 404
    assert data.frame["site"].isna().sum() == 538


def test_outlines(isic):
    """0.76 on all 2,000; 200 images have a standard error of 0.018."""
    scores = jaccard_score(isic.masks, ThresholdSegmenter(n_jobs=2).predict(isic.images), average=None)
    assert scores.mean() > 0.70
    assert (scores < 0.1).mean() < 0.10


def test_melanoma_against_the_rest(isic):
    """0.76 with expert masks on all 2,000; with 37 melanomas the standard error is 0.05."""
    frame = pd.DataFrame({"image": isic.images, "reference_mask": isic.masks})
    pipe = make_lesion_pipeline(ReferenceSegmenter(), n_jobs=2).set_params(classifier__C=0.01)
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    probability = cross_val_predict(pipe, frame, isic.target, groups=isic.groups, cv=folds, method="predict_proba")[
        :, 1
    ]
    assert roc_auc_score(isic.target, probability) > 0.6


def test_features_are_finite_and_in_range(isic):
    records = [LesionImage(*pair, pixel_size=0.02) for pair in zip(isic.images, isic.masks, strict=True)]
    table = ABCDFeaturizer(n_jobs=2).fit_transform(records)
    for (name, feature), column in zip(FEATURES.items(), table.T, strict=True):
        # a few lesions fill the view and have no skin to be compared with
        assert np.isnan(column).mean() <= (0.02 if "contrast" in name else 0), name
        known = column[~np.isnan(column)]
        assert (known >= feature.low - 1e-6).all(), name
        assert (known <= feature.high + 1e-6).all(), name


def test_full_size_originals(data_folder):
    """Up to 12 megapixels: outlines of the right size, lengths in pixels of the original."""
    table = pd.read_csv(data_folder / "fullres" / "fullres.csv")
    images = [data_folder / "fullres" / name for name in table["image"]]
    masks = [data_folder / "fullres" / name for name in table["mask"]]
    predicted = ThresholdSegmenter().predict(images)
    for mask, height, width in zip(predicted, table["height"], table["width"], strict=True):
        assert mask.shape == (height, width)
    assert jaccard_score(masks, predicted) > 0.5
    frame = pd.DataFrame({"image": images, "mask": masks})
    pipe = make_lesion_pipeline("passthrough")
    area = pipe["lesion"].fit_transform(frame)[:, list(FEATURES).index("dimension_area_px")]
    direct = [mask.sum() for mask in map(_read, masks)]
    np.testing.assert_allclose(area, direct, rtol=0.01)


def _read(path):
    from skinseg import read_mask

    return read_mask(path)
