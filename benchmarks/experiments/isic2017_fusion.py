"""Melanoma on the ISIC 2017 training images: ABCD features alone and with age, sex and site, with and without SMOTE.

5-fold, stratified, grouped by lesion; the strength of the regularization is chosen inside of the folds. Outlines are
those of ThresholdSegmenter; with --expert also those of the experts, as an upper bound. The table has the columns
image, mask, melanoma, group, split, age_approximate, sex and site.
"""

import argparse
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
from imblearn.over_sampling import SMOTE
from imblearn.under_sampling import RandomUnderSampler
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, cross_val_predict

from skinseg import ReferenceSegmenter, ThresholdSegmenter, make_lesion_pipeline
from skinseg.datasets import load_lesion_table
from skinseg.evaluation import bootstrap_interval
from skinseg.exceptions import EmptyMaskWarning

METADATA = ["age_approximate", "sex", "site"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--expert", action="store_true", help="also on the experts' outlines")
    options = parser.parse_args()
    warnings.simplefilter("ignore", EmptyMaskWarning)
    data = load_lesion_table(
        options.table, mask_column="mask", target_column="melanoma", group_column="group", where={"split": "training"}
    )
    frame = data.frame[METADATA].assign(image=data.images, reference_mask=data.masks)
    segmenters = {"threshold": ThresholdSegmenter()} | ({"expert": ReferenceSegmenter()} if options.expert else {})
    samplers = {"none": None, "SMOTE": SMOTE(random_state=0), "under-sampling": RandomUnderSampler(random_state=0)}
    weights = {"none": None, "balanced": "balanced"}
    rows = []
    with tempfile.TemporaryDirectory() as cache, sklearn.config_context(enable_metadata_routing=True):
        for outlines, segmenter in segmenters.items():
            for columns in (None, METADATA):
                for sampler, class_weight in (
                    ("none", "none"),
                    ("SMOTE", "none"),
                    ("under-sampling", "none"),
                    ("none", "balanced"),
                ):
                    pipe = make_lesion_pipeline(
                        segmenter, LogisticRegression(max_iter=2000, class_weight=weights[class_weight]),
                        sampler=samplers[sampler], metadata=columns, memory=cache,
                    )  # fmt: skip
                    search = GridSearchCV(
                        pipe, {"classifier__C": [0.01, 0.1, 1]}, scoring="roc_auc", cv=StratifiedGroupKFold(3)
                    )
                    probability = cross_val_predict(
                        search, frame, data.target, cv=StratifiedGroupKFold(5, shuffle=True, random_state=0),
                        params={"groups": data.groups}, method="predict_proba", n_jobs=2,
                    )[:, 1]  # fmt: skip
                    intervals = [
                        str(bootstrap_interval(score, data.target, probability, groups=data.groups, random_state=0))
                        for score in (roc_auc_score, average_precision_score)
                    ]
                    mean = f"{np.mean(probability):.3f}"
                    rows.append(
                        [
                            outlines,
                            "ABCD" if columns is None else "ABCD + clinical",
                            sampler,
                            class_weight,
                            *intervals,
                            mean,
                        ]
                    )
                    print("  ".join(rows[-1]), flush=True)
    names = ["outlines", "columns", "sampler", "class weight", "ROC AUC", "average precision", "mean probability"]
    print(pd.DataFrame(rows, columns=names).to_string(index=False))


if __name__ == "__main__":
    main()
