"""A part of the ISIC 2017 training images in the layout of the IMA205 challenge of 2019, for the script that solves it.

Writes train.csv, test.csv and, beside them, truth.csv with the classes of the test images, and links images and masks
into the folder im. Lesions that are shown by several images are on one side only. The table has the columns image_id,
image, mask, melanoma, group and split.
"""

import argparse
from pathlib import Path

import numpy as np

from skinseg.datasets import load_lesion_table


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("folder", type=Path, help="made, or empty")
    parser.add_argument("--sizes", type=int, nargs=2, default=(700, 300), help="training and test images (700 300)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data = load_lesion_table(
        options.table, mask_column="mask", target_column="melanoma", group_column="group", where={"split": "training"}
    )
    n_train, n_test = options.sizes
    groups = np.random.default_rng(options.seed).permutation(np.unique(data.groups))
    rank = {group: place for place, group in enumerate(groups)}
    order = np.argsort([rank[group] for group in data.groups], kind="stable")
    test, rest = order[:n_test], order[n_test:]
    train = rest[~np.isin(data.groups[rest], data.groups[test])][:n_train]
    if len(train) < n_train or len(test) < n_test:
        raise SystemExit(f"{options.table} has {len(data.images)} training images, too few for {n_train} and {n_test}")
    names = data.frame["image_id"].astype(str).to_numpy()
    table = data.frame.assign(ImageId=names, Malignant=data.target, lesion_id=data.groups)
    folder = options.folder / "im"
    folder.mkdir(parents=True)
    table.iloc[train][["ImageId", "Malignant", "lesion_id"]].to_csv(options.folder / "train.csv", index=False)
    table.iloc[test][["ImageId"]].to_csv(options.folder / "test.csv", index=False)
    table.iloc[test][["ImageId", "Malignant", "lesion_id"]].to_csv(options.folder / "truth.csv", index=False)
    for index in (*train, *test):
        image, mask = data.images[index], data.masks[index]
        (folder / f"{names[index]}{image.suffix}").symlink_to(image)
        (folder / f"{names[index]}_segmentation{mask.suffix}").symlink_to(mask)
    for name, part in (("training", train), ("test", test)):
        print(f"{name}: {len(part)} images, {int(data.target[part].sum())} melanomas")


if __name__ == "__main__":
    main()
