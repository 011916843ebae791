"""Score the network that comes with the package: overlap, by kind of image, its confidence, images without a lesion.

The table is that of pretrained_segmenter.py: the columns image, mask, crop, crop_mask, group and split (training,
validation), files relative to it. What it knows of melanoma, seborrheic_keratosis, lesion_touches_border,
original_width, age_approximate, sex and site is used as well. Scored are the whole fields that were held out of the
training, which chose its best epoch and between the recipes that the card names, and with --validation the validation
images.

Intervals are 95 % bootstraps over lesions; kinds of which there are fewer than ten images get none. Hair, vignette,
stickers, ink and scales are found by the functions of the package in the images as they are. The skin tone is the
individual typology angle, arctan((L* - 50) / b*), of the median color of the skin, away from lesion, hair and vignette,
in the bands of Chardon (1991) and Del Bino (2013). Dermoscopes bring their own light and cameras their own white
balance: such an angle is rough, and "not known" where the light is bluish.
"""

import argparse
import warnings
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from isic2017_networks import SCORES, split_training
from pretrained_segmenter import healthy_skin, walls
from sklearn.metrics import roc_auc_score

from skinseg import PretrainedSegmenter, ThresholdSegmenter, read_image
from skinseg.artifacts import find_foreign
from skinseg.datasets import load_lesion_table
from skinseg.evaluation import bootstrap_interval
from skinseg.exceptions import EmptyMaskWarning
from skinseg.features import estimate_pixel_size
from skinseg.field import valid_field
from skinseg.inspection import contact_sheet
from skinseg.preprocessing import find_hair
from skinseg.reading import read_mask

FAILED = 0.65  # Jaccard indices below this are failures
DOUBTFUL = 0.7  # confidences below this are worth a look
CONFIDENCES = 0, DOUBTFUL, 0.8, 0.9, 1.001
FEWEST = 10  # images that get an interval
MIN_SKIN = 200  # pixels that have a color
N_SHOWN = 24
SKIN = (
    "dark: below -30",
    "brown: -30 to 10",
    "tan: 10-28",
    "intermediate: 28-41",
    "light: 41-55",
    "very light: above 55",
)
# bands of what is measured: edges, and names from below
BANDS = {
    "lesion, share": ("lesion", (0, 0.03, 0.1, 0.3, 1.01), ("below 3 %", "3-10 %", "10-30 %", "above 30 %")),
    "hair, share": ("hair", (0, 0.001, 0.02, 1.01), ("below 0.1 %", "0.1-2 %", "above 2 %")),
    "field of view": ("field", (0, 0.97, 1.01), ("vignette or frame", "whole image")),
    "skin, angle": ("angle", (-90, -30, 10, 28, 41, 55, 90), SKIN),
    "width as published": ("original_width", (0, 1025, 3001, 1e6), ("up to 1,024", "1,025-3,000", "above 3,000")),
    "age": ("age_approximate", (0, 30, 50, 70, 200), ("below 30", "30-49", "50-69", "70 and above")),
}
FLAGS = {
    "lesion touches the frame": "lesion_touches_border",
    "sticker or ink found": "foreign",
    "millimeter scale read": "scale",
}


def typology_angle(image, skin):
    """Individual typology angle of the median color in degrees; NaN where there is no skin, or bluish light."""
    if np.count_nonzero(skin) < MIN_SKIN:
        return np.nan
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[skin]
    lightness, _, yellowness = np.median(lab, axis=0)
    return float(np.degrees(np.arctan((lightness - 50) / yellowness))) if yellowness > 0 else np.nan


def describe(path, mask):
    """Measure what an image shows, with the expert's mask."""
    image, lesion = read_image(path), read_mask(mask)
    field = valid_field(image)
    hair, foreign = find_hair(image, field=field), find_foreign(image, field=field)
    width = 1 + 2 * round(0.05 * max(image.shape))
    near = cv2.dilate(lesion.view(np.uint8), np.ones((width, width), np.uint8)) > 0
    return {
        "lesion": lesion.mean(),
        "hair": hair.mean(),
        "field": field.mean(),
        "foreign": int(foreign.any()),
        "scale": int(estimate_pixel_size(image, mask=lesion) is not None),
        "angle": typology_angle(image, field & ~near & ~hair & ~foreign),
    }


def measure(images, masks, known):
    """A row an image: what the table knows, what it shows, scores and confidence; and the masks found."""
    records = PretrainedSegmenter().transform(images)
    found = [record.mask for record in records]
    plain = list(ThresholdSegmenter().predict(images))
    frame = pd.DataFrame([describe(*pair) for pair in zip(images, masks, strict=True)])
    for name, score in SCORES.items():
        frame[name] = score(masks, found, average=None)
        frame[f"threshold_{name}"] = score(masks, plain, average=None)
    frame["confidence"] = [record.confidence for record in records]
    frame["file"] = [path.name for path in images]
    known = known.drop(columns=[name for name in frame if name in known])
    return pd.concat([known.reset_index(drop=True), frame], axis=1), found


def kinds(frame):
    """Names of the kinds that each image is of: a column a property, its categories in order."""
    found = {}
    if {"melanoma", "seborrheic_keratosis"} <= set(frame):
        named = np.select(
            [frame["melanoma"] == 1, frame["seborrheic_keratosis"] == 1], ["melanoma", "seborrheic keratosis"], "nevus"
        )
        found["diagnosis"] = pd.Categorical(named, ["nevus", "seborrheic keratosis", "melanoma"])
    for title, (column, edges, names) in BANDS.items():
        if column in frame:
            found[title] = pd.cut(frame[column].astype(float), edges, right=False, labels=names)
    for title, column in FLAGS.items():
        if column in frame:
            found[title] = pd.Categorical(frame[column].map({0: "no", 1: "yes"}), ["no", "yes"])
    for title in ("sex", "site"):
        if title in frame:
            found[title] = pd.Categorical(frame[title])
    return pd.DataFrame(found, index=frame.index)


def mean(values, groups):
    """Mean with its interval, where there are enough images for one."""
    if len(values) < FEWEST:
        return f"{values.mean():.3f}" if len(values) else ""
    return str(bootstrap_interval(np.mean, values, groups=groups, random_state=0))


def show(title, *rows):
    """Print one table."""
    print(f"\n| {' | '.join(title)} |\n|{'---|' * len(title)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)


def show_scores(parts):
    rows = []
    for name, frame in parts.items():
        ours, plain = frame[list(SCORES)], frame[[f"threshold_{key}" for key in SCORES]].set_axis(list(SCORES), axis=1)
        for what, values in {
            "PretrainedSegmenter": ours,
            "ThresholdSegmenter": plain,
            "difference": ours - plain,
        }.items():
            rows.append([f"{name}, {len(frame)}", what, *(mean(values[key], frame["group"]) for key in SCORES)])
    show(["images", "segmenter", *SCORES], *rows)


def show_settings(frame, images, masks):
    """What other settings change, on the images held out."""
    rows = []
    for settings in ({"threshold": 0.5}, {"component": "largest"}, {"test_time_augmentation": True}):
        found = list(PretrainedSegmenter(**settings).predict(images))
        change = SCORES["jaccard"](masks, found, average=None) - frame["jaccard"]
        rows.append([", ".join(f"{key}={value!r}" for key, value in settings.items()), mean(change, frame["group"])])
    show(["setting", "change of the Jaccard index, held out"], *rows)


def show_kinds(parts):
    tables = {name: kinds(frame) for name, frame in parts.items()}
    columns = [f"{name}: {what}" for name in parts for what in ("n", "Jaccard", "confidence")]
    rows = []
    for title in next(iter(tables.values())):
        found = {name: tables[name][title] for name in parts}
        names = dict.fromkeys(kind for column in found.values() for kind in column.cat.categories)
        for kind in [*names, *["not known"] * any(column.isna().any() for column in found.values())]:
            row = [title, kind]
            for name, frame in parts.items():
                column = found[name]
                chosen = frame[column.isna() if kind == "not known" else column == kind]
                confidence = f"{chosen['confidence'].mean():.3f}" if len(chosen) else ""
                row += [len(chosen), mean(chosen["jaccard"], chosen["group"]), confidence]
            rows.append(row)
    show(["property", "kind", *columns], *rows)


def doubts(frame):
    """How well the confidence tells the failures: a text a question."""
    failed, confidence = frame["jaccard"] < FAILED, frame["confidence"]
    tenth = np.argsort(confidence.to_numpy(), kind="stable")[: max(1, round(len(frame) / 10))]
    low = confidence < DOUBTFUL
    auc = "not defined"
    if 0 < failed.sum() < len(frame):
        auc = bootstrap_interval(roc_auc_score, failed, 1 - confidence, groups=frame["group"], random_state=0)
    return {
        f"failures: Jaccard index below {FAILED}": f"{failed.sum()} of {len(frame)}",
        "ROC AUC of 1 - confidence for a failure": auc,
        "failures in the tenth with the lowest confidence": f"{failed.iloc[tenth].sum()} of {len(tenth)}",
        f"failures where the confidence is below {DOUBTFUL}": f"{failed[low].sum()} of {low.sum()}",
        "failures elsewhere": f"{failed[~low].sum()} of {(~low).sum()}",
    }


def show_confidence(parts):
    answers = {name: doubts(frame) for name, frame in parts.items()}
    questions = next(iter(answers.values()))
    show(["confidence", *parts], *([key, *(answers[name][key] for name in parts)] for key in questions))
    columns = [f"{name}: {what}" for name in parts for what in ("n", "mean confidence", "mean Jaccard")]
    rows = []
    for low, high in pairwise(CONFIDENCES):
        row = [f"{low} to {min(high, 1)}"]
        for frame in parts.values():
            chosen = frame[(frame["confidence"] >= low) & (frame["confidence"] < high)]
            means = [chosen[key].mean() for key in ("confidence", "jaccard")]
            row += [len(chosen), *(f"{value:.3f}" if len(chosen) else "" for value in means)]
        rows.append(row)
    show(["confidence", *columns], *rows)


def show_empty(held, masks):
    """What it makes of images without a lesion, which are others than those of the training."""
    skin = healthy_skin(held, masks, len(held), seed=1)
    drawn = walls(80, seed=1)
    sources = {
        "healthy skin, held out": skin,
        "of these the most even quarter": skin[: max(1, len(skin) // 4)],
        "one color": drawn[::4],
        "noise": drawn[1::4],
        "shades": drawn[2::4] + drawn[3::4],
    }
    rows = []
    for name, images in sources.items():
        if not images:  # every square has a lesion in it
            continue
        records = PretrainedSegmenter().transform(images)
        empty = np.array([not record.mask.any() for record in records])
        low = np.array([record.confidence < DOUBTFUL for record in records])
        shares = [f"{100 * found.mean():.0f} %" for found in (empty, low & ~empty, ~empty & ~low)]
        rows.append([name, len(images), *shares])
    wanted = f"outline, confidence below {DOUBTFUL}", f"outline, confidence {DOUBTFUL} and above"
    show(["images without a lesion", "n", "empty mask", *wanted], *rows)


def save_sheet(path, frame, images, masks, found):
    """Put the worst images on one sheet: green what was found, vermilion the expert's outline."""
    order = np.argsort(frame["jaccard"].to_numpy(), kind="stable")[:N_SHOWN]
    sheet = contact_sheet(
        [images[i] for i in order], [found[i] for i in order], references=[masks[i] for i in order], columns=6
    )
    if not cv2.imwrite(str(path), sheet[..., ::-1]):
        raise SystemExit(f"{path} cannot be written")
    print(f"\nworst of those held out, in {path} (Jaccard index, confidence):")
    for i in order:
        print(f"    {frame['file'][i]} {frame['jaccard'][i]:.2f} {frame['confidence'][i]:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--validation", action="store_true", help="score the validation images as well")
    parser.add_argument("--masks", type=Path, help="folder for the masks of the validation images, for other scorers")
    parser.add_argument("--sheet", type=Path, help=f"contact sheet of the worst {N_SHOWN} of the images held out")
    parser.add_argument("--out", type=Path, help="table of all images scored, .csv")
    options = parser.parse_args()
    if options.masks and not options.validation:
        parser.error("--masks writes the masks of the validation images, which needs --validation")
    warnings.simplefilter("ignore", EmptyMaskWarning)
    names = {"mask_column": "mask", "group_column": "group"}
    data = load_lesion_table(options.table, where={"split": "training"}, **names)
    row_of = {path: index for index, path in enumerate(data.images)}
    *_, held, held_masks = split_training(options.table)
    known = data.frame.iloc[[row_of[path] for path in held]].assign(group=[data.groups[row_of[path]] for path in held])
    frame, found = measure(held, held_masks, known)
    parts = {"held out": frame}
    if options.validation:
        data = load_lesion_table(options.table, where={"split": "validation"}, **names)
        parts["validation"], masks = measure(data.images, data.masks, data.frame.assign(group=data.groups))
        if options.masks:
            options.masks.mkdir(parents=True, exist_ok=True)
            for path, mask in zip(data.images, masks, strict=True):
                cv2.imwrite(str(options.masks / f"{path.stem}_segmentation.png"), mask.view(np.uint8) * np.uint8(255))
    show_scores(parts)
    show_settings(frame, held, held_masks)
    show_kinds(parts)
    show_confidence(parts)
    show_empty(held, held_masks)
    if options.sheet:
        save_sheet(options.sheet, frame, held, held_masks, found)
    if options.out:
        pd.concat([part.assign(images=name) for name, part in parts.items()]).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
