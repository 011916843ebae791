"""Figures of `find_hair` and `remove_hair` on real skin with hair drawn on it.

The table has the columns crop, crop_mask and split. Crops are those of the training split with the least share of skin
(outside of the expert's outline) whose black top-hat by an ellipse of 15 pixels exceeds 10 gray values after a slight
blur, out of 400 drawn at random: hardly any hair of their own. Hair is drawn by `draw_hair` ("drawn") and as quadratic
Bezier curves of 1.5 to 5 pixels ("curves").
"""

import argparse
import time
import warnings
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from skinseg import ThresholdSegmenter
from skinseg.exceptions import EmptyMaskWarning
from skinseg.images import read_image, read_mask
from skinseg.inspection import contact_sheet
from skinseg.metrics import jaccard_score
from skinseg.preprocessing import find_hair, remove_hair
from skinseg.synthesis import draw_hair

METHODS = ("tophat", "dullrazor")
N_DRAWN = 400


def read(image, mask):
    return read_image(image), read_mask(mask)


def share_of_dark_detail(image, lesion):
    """Share of the skin that is darker than its close surroundings; NaN where there is little skin."""
    gray = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (0, 0), 1)
    hat = cv2.morphologyEx(gray, cv2.MORPH_BLACKHAT, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15)))
    near_lesion = cv2.dilate(lesion.astype(np.uint8), np.ones((31, 31), np.uint8)) > 0
    skin = (cv2.erode((gray > 60).astype(np.uint8), np.ones((21, 21), np.uint8)) > 0) & ~near_lesion
    return float(np.mean(hat[skin] > 10)) if skin.sum() > 20_000 else np.nan


def draw_lab(image, count, rng, light):
    lab, mask = draw_hair(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), count, rng, light=light)
    return np.clip(np.rint(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB) * 255), 0, 255).astype(np.uint8), mask


def draw_curves(image, count, rng, light, fine=4):
    """Draw quadratic Bezier curves from black to brown, or from gray to blond, each of its own opacity."""
    height, width = image.shape[:2]
    scene, mask = image.astype(np.float32), np.zeros((height, width), bool)
    first, last = ((200, 190, 165), (245, 235, 225)) if light else ((10, 8, 8), (85, 53, 38))
    t = np.linspace(0, 1, 40)[:, None]
    for _ in range(count):
        ends = rng.uniform(-0.1, 1.1, (2, 2)) * (width, height)
        middle = ends.mean(axis=0) + rng.normal(0, 0.15, 2) * width
        points = (1 - t) ** 2 * ends[0] + 2 * t * (1 - t) * middle + t**2 * ends[1]
        cover = np.zeros((height * fine, width * fine), np.uint8)
        thickness = round(rng.uniform(1.5, 5) * fine)
        cv2.polylines(cover, [np.rint(points * fine * 8).astype(np.int32)], False, 255, thickness, cv2.LINE_AA, shift=3)
        cover = cv2.resize(cover, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        color = np.array(first) + rng.uniform() * np.subtract(last, first)
        scene += (rng.uniform(0.6, 1) * cover)[..., None] * (color.astype(np.float32) - scene)
        mask |= cover > 0.5
    return np.clip(np.rint(scene), 0, 255).astype(np.uint8), mask


def rows_of_found_hair(originals, hairy, masks, method):
    hairs = [find_hair(image, method=method) for image in hairy]
    common = np.array([np.sum(mask & hair) for mask, hair in zip(masks, hairs, strict=True)])
    found, drawn = np.array([hair.sum() for hair in hairs]), np.array([mask.sum() for mask in masks])
    f1 = 2 * common / np.maximum(found + drawn, 1)
    cleaned = [remove_hair(image, method=method)[0] for image in hairy]

    def quality(images):
        pairs = list(zip(originals, images, strict=True))
        psnr = np.mean([peak_signal_noise_ratio(a, b) for a, b in pairs])
        return psnr, np.mean([structural_similarity(a, b, channel_axis=2) for a, b in pairs])

    pooled = 2 * common.sum() / (found.sum() + drawn.sum()), common.sum() / found.sum(), common.sum() / drawn.sum()
    return (*pooled, f1.mean(), np.quantile(f1, 0.1)), quality(hairy), quality(cleaned), cleaned


def lesion_share(hair, lesion):
    return hair[lesion].mean()


def milliseconds(function, items, repeat=5):
    times = []
    for item in [item for item in items for _ in range(repeat)]:
        start = time.perf_counter()
        function(item)
        times.append(time.perf_counter() - start)
    return 1000 * np.median(times)


def print_speed(paths, samples):
    decode = milliseconds(cv2.imread, paths)
    print(f"\nmedian time of remove_hair on crops of 512 x 512, one core; D = cv2.imread of them, {decode:.2f} ms")
    for method in METHODS:
        for name, images in samples.items():
            taken = milliseconds(lambda image: remove_hair(image, method=method), images)  # noqa: B023
            print(f"{method:10} {name:16} {taken:6.2f} ms = {taken / decode:4.1f} D")


def print_jaccard(name, images, masks):
    scores = jaccard_score(masks, ThresholdSegmenter().predict(images), average=None)
    print(f"    Jaccard of ThresholdSegmenter(), {name:9} {np.mean(scores):.3f}")


def save_sheet(path, data, order):
    """Real images with most dark detail, found hair in green, cleaned by either method."""
    tiles = []
    for index in order:
        image = read_image(data[index][0])
        marked = image.copy()
        marked[find_hair(image)] = (0, 255, 0)
        tiles += [image, marked, *(remove_hair(image, method=method)[0] for method in METHODS)]
    cv2.imwrite(str(path), contact_sheet(tiles, columns=8)[..., ::-1])
    print(f"contact sheet in {path}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="isic2017.csv")
    parser.add_argument("--images", type=int, default=60, help="number of crops (default 60)")
    parser.add_argument("--save-sheet", type=Path, metavar="FILE", help="contact sheet of the hairiest real crops")
    options = parser.parse_args()
    warnings.simplefilter("ignore", EmptyMaskWarning)
    cv2.setNumThreads(1)
    table = pd.read_csv(options.table)
    table = table[(table["split"] == "training") & table["crop"].notna()]
    folder = options.table.parent
    data = [(folder / row.crop, folder / row.crop_mask) for row in table.itertuples()]
    drawn = np.random.default_rng(0).permutation(len(data))[:N_DRAWN]
    shares = np.array([share_of_dark_detail(*read(*data[index])) for index in drawn])
    drawn, shares = drawn[np.isfinite(shares)], shares[np.isfinite(shares)]
    order = drawn[np.argsort(shares, kind="stable")]
    originals, lesions = map(list, zip(*(read(*data[index]) for index in order[: options.images]), strict=True))
    print(f"{len(originals)} crops of {N_DRAWN}, share of dark detail up to {np.sort(shares)[len(originals) - 1]:.5f}")
    print("\nshare of pixels taken for hair where none was drawn, %: mean, median, maximum; the same of the lesion")
    for method in METHODS:
        hairs = [find_hair(image, method=method) for image in originals]
        taken = 100 * np.array([[hair.mean() for hair in hairs], list(map(lesion_share, hairs, lesions))])
        print(f"{method:10}", "; ".join(f"{np.mean(row):.2f} {np.median(row):.2f} {np.max(row):.2f}" for row in taken))
    print_jaccard("original", originals, lesions)
    samples = {"no hair": originals[:20]}
    print("\nhair, method: pooled F1 (precision, recall), mean F1 (lowest tenth); PSNR and SSIM, hairy > cleaned")
    for drawer in (draw_lab, draw_curves):
        for light in (False, True):
            for count in (5, 25):
                name = f"{('dark', 'light')[light]} {('drawn', 'curves')[drawer is draw_curves]} {count}"
                pairs = [drawer(image, count, np.random.default_rng(k), light) for k, image in enumerate(originals)]
                hairy, masks = map(list, zip(*pairs, strict=True))
                samples[name] = hairy[:20]
                print(name)
                print_jaccard("hairy", hairy, lesions)
                for method in METHODS:
                    (f1, precision, recall, mean, low), before, after, cleaned = rows_of_found_hair(
                        originals, hairy, masks, method
                    )
                    print(
                        f"  {method:10} {f1:.3f} ({precision:.3f}, {recall:.3f}) {mean:.3f} ({low:.3f}); "
                        f"{before[0]:.2f} > {after[0]:.2f} dB, {before[1]:.4f} > {after[1]:.4f}"
                    )
                    print_jaccard("cleaned", cleaned, lesions)
    print_speed([str(data[index][0]) for index in order[:20]], samples)
    if options.save_sheet is not None:
        save_sheet(options.save_sheet, data, order[::-1][:24])


if __name__ == "__main__":
    main()
