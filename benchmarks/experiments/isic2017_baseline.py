"""The figures of the README on ISIC 2017: outlines by threshold, melanoma by the ABCD features on them.

The table has the columns image, mask, melanoma, group and split (training, validation); the files are relative to it.
Nothing is chosen here: the classifier has its defaults, the validation images are used for their figures only.
"""

import argparse
import tempfile
import warnings
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from skinseg import ThresholdSegmenter
from skinseg.bulk import predict_files
from skinseg.datasets import load_lesion_table
from skinseg.evaluation import bootstrap_interval
from skinseg.exceptions import EmptyMaskWarning
from skinseg.metrics import dice_score, jaccard_score, thresholded_jaccard_score
from skinseg.outlining import segment_files
from skinseg.training import train_from_table


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--jobs", type=int, default=None)
    options = parser.parse_args()
    warnings.simplefilter("ignore", EmptyMaskWarning)
    columns = {"mask_column": "mask", "target_column": "melanoma", "group_column": "group"}
    with tempfile.TemporaryDirectory() as folder:
        for split in ("training", "validation"):
            data = load_lesion_table(options.table, where={"split": split}, **columns)
            segment_files(data.images, folder, ThresholdSegmenter(), n_jobs=options.jobs)
            masks = [Path(folder) / f"{path.stem}_segmentation.png" for path in data.images]
            print(f"{split}: {len(masks)} images, outlines by ThresholdSegmenter()")
            for name, score in (
                ("Jaccard", jaccard_score), ("thresholded Jaccard", thresholded_jaccard_score), ("Dice", dice_score),
            ):  # fmt: skip
                values = score(data.masks, masks, average=None)
                print(f"  {name}: {bootstrap_interval(np.mean, values, groups=data.groups, random_state=0)}")
            failures = (jaccard_score(data.masks, masks, average=None) < 0.1).mean()
            print(f"  Jaccard below 0.1: {failures:.3f}")
        print("training, melanoma:")
        model = train_from_table(
            options.table, Path(folder) / "m.skops", segmenter=ThresholdSegmenter(), target_column="melanoma",
            group_column="group", where={"split": "training"}, jobs=options.jobs, quiet=True,
        )  # fmt: skip
        predicted = predict_files(data.images, model, n_jobs=options.jobs)["melanoma_probability"].to_numpy()
        known = ~np.isnan(predicted)
        auc = bootstrap_interval(
            roc_auc_score, data.target[known], predicted[known], groups=data.groups[known], random_state=0
        )
        print(f"validation, melanoma: ROC AUC {auc} ({known.sum()} of {len(known)} images)")


if __name__ == "__main__":
    main()
