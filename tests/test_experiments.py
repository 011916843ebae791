import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from skinseg.datasets import make_lesions

pytest.importorskip("keras")

SCRIPTS = Path(__file__).parents[1] / "benchmarks" / "experiments"


@pytest.fixture(scope="module")
def recipe():
    spec = importlib.util.spec_from_file_location("isic2018_recipe", SCRIPTS / "isic2018_recipe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def challenge(tmp_path_factory):
    """Twelve lesions in the layout of ISIC 2018 Task 1, and their shares of the image."""
    folder = tmp_path_factory.mktemp("isic2018")
    images, masks = folder / "ISIC2018_Task1-2_Training_Input", folder / "ISIC2018_Task1_Training_GroundTruth"
    images.mkdir()
    masks.mkdir()
    lesions = make_lesions(12, random_state=0, min_side=48, max_side=64)
    for index, (image, mask) in enumerate(zip(lesions.images, lesions.masks, strict=True)):
        cv2.imwrite(str(images / f"ISIC_{index:07d}.jpg"), image[..., ::-1])
        cv2.imwrite(str(masks / f"ISIC_{index:07d}_segmentation.png"), mask.astype(np.uint8) * 255)
    return folder, np.array([mask.mean() for mask in lesions.masks])


def rows_of(text, first):
    """Cells of the table that begins with a heading."""
    lines = text[text.index(f"| {first} |") :].splitlines()
    ended = next(i for i, line in enumerate(lines) if not line.startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:ended]]


def run(folder, *arguments):
    return subprocess.run(
        [sys.executable, SCRIPTS / "isic2018_recipe.py", folder, "--size", "16", "--epochs", "1", "--base-filters", "2",
         *arguments],
        capture_output=True, text=True, check=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    ).stdout  # fmt: skip


def test_recipe_prints_sizes_and_scores_of_both_splits(challenge):
    folder, shares = challenge
    text = run(folder, "--networks", "unet", "bcdu3")
    parts = rows_of(text, "split")
    assert [row[:3] for row in parts] == [
        [split, part, size]
        for split in ("file order", "seed 0")
        for part, size in (("training", "8"), ("validation", "2"), ("test", "2"))
    ]
    printed = [float(row[3].rstrip(" %")) for row in parts]
    np.testing.assert_allclose(printed[:3], 100 * np.array([s.mean() for s in np.split(shares, [8, 10])]), atol=1.0)
    np.testing.assert_allclose(np.dot(printed[3:], (8, 2, 2)) / 12, 100 * shares.mean(), atol=1.0)

    rows = rows_of(text, "network")
    assert [row[:3] for row in rows] == [
        [network, split, average]
        for network in ("U-Net", "BCDU-Net (d=3)")
        for split in ("file order", "seed 0")
        for average in ("pooled", "mean")
    ]
    values = np.array([row[3:] for row in rows], float)
    assert values.shape == (8, 5)
    assert ((values >= 0) & (values <= 1)).all()
    dice, sensitivity, specificity, accuracy, jaccard = values[::2].T  # pooled
    np.testing.assert_allclose(jaccard, dice / (2 - dice), atol=2e-4)
    assert (accuracy >= np.minimum(sensitivity, specificity) - 1e-4).all()
    assert (accuracy <= np.maximum(sensitivity, specificity) + 1e-4).all()
    assert re.search(r"print accuracy under the name Jaccard \(JS\)", text)


def test_recipe_goes_on_from_its_checkpoint(challenge, tmp_path):
    arguments = "--networks", "unet", "--split", "order", "--checkpoints", tmp_path
    first = run(challenge[0], *arguments)
    assert "epoch 1/1" in first
    again = run(challenge[0], *arguments)
    assert "epoch 1/1" not in again
    assert rows_of(again, "network") == rows_of(first, "network")


def test_parts_have_the_published_sizes(recipe):
    assert [len(part) for part in recipe.split_images(2594)] == [1815, 259, 520]
    np.testing.assert_array_equal(np.concatenate(recipe.split_images(30)), np.arange(30))
    shuffled = np.concatenate(recipe.split_images(30, seed=0))
    np.testing.assert_array_equal(np.sort(shuffled), np.arange(30))
    assert (shuffled != np.arange(30)).any()
    with pytest.raises(SystemExit, match="too few"):
        recipe.split_images(2)


def test_warns_of_parts_whose_lesions_differ_in_size(recipe, capsys):
    shares = np.linspace(0.5, 0.05, 60)
    assert "differ in size" in recipe.describe("file order", recipe.split_images(60), shares)
    assert recipe.describe("seed 1", recipe.split_images(60, seed=1), shares) is None
    assert capsys.readouterr().out.count("\n") == 6


def test_images_are_squashed_and_stretched(recipe, tmp_path):
    image = np.full((40, 80, 3), 60, np.uint8)
    image[:, 40:] = 160
    cv2.imwrite(str(tmp_path / "a.png"), image)
    cv2.imwrite(str(tmp_path / "m.png"), (image[..., 0] > 100).astype(np.uint8) * 255)
    record = recipe.squash(tmp_path / "a.png", tmp_path / "m.png", 32)
    assert record.shape == (32, 32)
    assert np.unique(record.image).tolist() == [0, 255]
    np.testing.assert_array_equal(record.reference_mask, np.arange(32) >= np.full((32, 1), 16))


def test_missing_masks_are_named(recipe, tmp_path):
    with pytest.raises(SystemExit, match="there is no ISIC2018_Task1-2_Training_Input"):
        recipe.find_pairs(tmp_path)
    folder = tmp_path / "ISIC2018_Task1-2_Training_Input"
    folder.mkdir()
    (folder / "ISIC_0000001.jpg").touch()
    with pytest.raises(SystemExit, match=r"1 of 1 images have no mask: ISIC_0000001\.jpg"):
        recipe.find_pairs(tmp_path)
