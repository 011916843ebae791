"""Synthetic lesions and tables of files."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from skinseg import ABCDFeaturizer, LesionImage, ThresholdSegmenter
from skinseg.datasets import lesion_stream, load_lesion_table, make_lesions
from skinseg.exceptions import EmptyMaskWarning
from skinseg.features import FEATURES


def small(n, **kwargs):
    return make_lesions(n, **{"random_state": 0, "min_side": 64, "max_side": 96, **kwargs})


def test_the_same_seed_gives_the_same_bytes():
    first, second, third = small(6, random_state=5), small(6, random_state=5), small(6, random_state=6)
    for a, b in zip(first.images + first.masks, second.images + second.masks, strict=True):
        assert a.tobytes() == b.tobytes()
    pd.testing.assert_frame_equal(first.frame, second.frame)
    assert any(a.tobytes() != b.tobytes() for a, b in zip(first.images, third.images, strict=True))


def test_the_global_random_state_is_left():
    before = np.random.get_state()[1].copy()
    small(2)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_what_is_in_the_bunch():
    data = small(20)
    assert len(data.images) == len(data.masks) == len(data.target) == len(data.groups) == len(data.frame) == 20
    assert len({image.shape for image in data.images}) > 5
    for image, mask in zip(data.images, data.masks, strict=True):
        assert image.dtype == np.uint8
        assert mask.dtype == bool
        assert image.shape == (*mask.shape, 3)
        assert 64 <= max(mask.shape) <= 96
        assert mask.any()
        assert not mask.all()
    assert set(data.frame) >= {
        "risk",
        "diameter_px",
        "pixel_size",
        "border_irregularity",
        "age_approximate",
        "sex",
        "site",
    }
    shares = data.frame.filter(regex="^color_.*_share$")
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert ((shares > 0).sum(axis=1) == data.frame["n_colors"]).all()
    assert (data.frame.filter(regex="^structure_").sum(axis=1) == data.frame["n_structures"]).all()
    assert (data.frame.filter(regex="^abrupt_octant_").sum(axis=1) == data.frame["n_abrupt_octants"]).all()
    assert "nothing about patients" in data.DESCR


def test_the_stream_gives_the_same_one_by_one():
    data = small(5, images_per_lesion=2)
    stream = lesion_stream(5, random_state=0, min_side=64, max_side=96, images_per_lesion=2)
    for index, sample in enumerate(stream):
        np.testing.assert_array_equal(sample.image, data.images[index])
        np.testing.assert_array_equal(sample.mask, data.masks[index])
        assert (sample.target, sample.group) == (data.target[index], data.groups[index])
        assert sample.properties["risk"] == data.frame["risk"][index]
    assert index == 4


def test_bad_calls_of_the_stream_are_refused_at_the_call():
    with pytest.raises(ValueError, match="n_samples"):
        lesion_stream(0)
    with pytest.raises(TypeError, match="no property roundness; it can dial border_irregularity"):
        lesion_stream(2, roundness=1)


def test_fractions_and_classes():
    assert small(50).target.sum() == 15
    assert small(3, melanoma_fraction=0.01).target.sum() == 1
    assert small(3, melanoma_fraction=0).target.sum() == 0
    assert (small(9, hair_fraction=0).frame["n_hairs"] == 0).all()
    assert (small(9, hair_fraction=1).frame["n_hairs"] > 0).all()
    assert (small(9, difficulty="easy").frame[["ruler", "ink", "sticker", "bubbles", "vignette"]] == 0).all(axis=None)


@pytest.mark.parametrize(("class_sep", "expected"), [(0, 0.5), (1, 0.921), (2, 0.998)])
def test_the_overlap_of_the_classes_is_as_stated(class_sep, expected):
    data = small(400, class_sep=class_sep, min_side=32, max_side=36, melanoma_fraction=0.5, difficulty="easy")
    assert roc_auc_score(data.target, data.frame["risk"]) == pytest.approx(expected, abs=0.05)
    older = (
        data.frame["age_approximate"][data.target == 1].mean() - data.frame["age_approximate"][data.target == 0].mean()
    )
    assert (older > 4) == (class_sep > 0)


def test_several_images_of_one_lesion():
    data = small(6, images_per_lesion=3, difficulty="easy")
    assert data.groups.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.target[0] == data.target[1] == data.target[2]
    for name in ("risk", "age_approximate", "sex", "site", "tone", "diameter_mm"):
        assert data.frame.groupby(data.groups)[name].nunique().eq(1).all()
    areas = [mask.sum() for mask in data.masks]
    assert np.ptp(areas[:3]) < 0.06 * areas[0]
    assert not np.array_equal(data.images[0], data.images[1])
    # turned by a quarter of a circle each, the octants with it
    flags = data.frame.filter(regex="^abrupt_octant_").to_numpy()
    np.testing.assert_array_equal(np.roll(flags[0], 2), flags[1])
    aligned = [np.rot90(mask, turn) for turn, mask in enumerate(data.masks[:2])]
    cut = [mask[np.ix_(mask.any(axis=1), mask.any(axis=0))] for mask in aligned]
    size = np.minimum(cut[0].shape, cut[1].shape)
    first, second = (mask[: size[0], : size[1]] for mask in cut)
    assert (first & second).sum() / (first | second).sum() > 0.9


DIALS = {
    "asymmetry_shape": ("asymmetry_shape", np.linspace(0, 1, 12)),
    "asymmetry_color": ("asymmetry_color", np.linspace(0, 1, 12)),
    "border_irregularity": ("border_compactness", np.linspace(0, 1, 12)),
    "diameter_mm": ("dimension_equivalent_diameter_mm", np.linspace(2, 12, 12)),
    "diameter_fraction": ("dimension_equivalent_diameter_px", np.linspace(0.2, 0.7, 12)),
}


@pytest.mark.parametrize("dial", DIALS)
def test_measured_values_rise_with_the_dial(dial):
    """The mean over eight lesions for each of twelve settings; true outlines, nothing else dialed away."""
    feature, settings = DIALS[dial]
    column = list(FEATURES).index(feature)
    still = {
        "asymmetry_shape": 0,
        "asymmetry_color": 0,
        "border_irregularity": 0,
        "diameter_fraction": 0.5,
        "n_colors": 2,
    }
    if dial == "diameter_mm":
        still.pop("diameter_fraction")
    if dial == "asymmetry_color":  # how much sorting shows depends on which colors there are
        still = {**still, "colors": ["light_brown", "black"]}
        still.pop("n_colors")
    data = make_lesions(
        96, random_state=0, difficulty="easy", min_side=128, max_side=128, **{**still, dial: np.repeat(settings, 8)}
    )
    rows = zip(data.images, data.masks, data.frame["pixel_size"], strict=True)
    records = [LesionImage(image, mask, pixel_size=size) for image, mask, size in rows]
    means = ABCDFeaturizer().transform(records)[:, column].reshape(12, 8).mean(axis=1)
    assert spearmanr(settings, means).statistic > 0.9
    assert data.frame[dial].tolist() == np.repeat(settings, 8).tolist()


def test_diameter_and_pixel_size_agree_with_the_mask():
    data = small(12, diameter_mm=6, asymmetry_shape=0, border_irregularity=0)
    for mask, size in zip(data.masks, data.frame["pixel_size"], strict=True):
        assert np.sqrt(4 * mask.sum() / np.pi) * size == pytest.approx(6, rel=0.06)


def test_abrupt_octants_are_sharper():
    """Lightness a little inside minus a little outside of the outline, abrupt against gradual borders."""
    from scipy.ndimage import distance_transform_edt

    def edge(n_abrupt):
        data = small(
            10,
            difficulty="easy",
            n_abrupt_octants=n_abrupt,
            colors=["dark_brown"],
            structures=[],
            min_side=128,
            max_side=128,
        )
        steps = []
        for image, mask in zip(data.images, data.masks, strict=True):
            gray = image.mean(axis=2)
            outside, inside = distance_transform_edt(~mask), distance_transform_edt(mask)
            steps.append(gray[(outside > 1) & (outside < 4)].mean() - gray[(inside > 1) & (inside < 4)].mean())
        return np.mean(steps)

    assert edge(8) > 1.5 * edge(0)


def test_chosen_colors_and_structures():
    data = small(3, colors=["red", "black"], structures=["dots"])
    assert (data.frame[["color_red_share", "color_black_share"]] > 0.05).all(axis=None)
    assert (data.frame["n_colors"] == 2).all()
    assert (data.frame["structure_dots"] & ~data.frame["structure_network"]).all()
    assert (small(2, structures=[]).frame["n_structures"] == 0).all()


def test_tones_go_from_light_to_dark():
    light, dark = (small(4, tone=tone, difficulty="easy") for tone in (0, 1))
    means = [np.mean([i[~m].mean() for i, m in zip(d.images, d.masks, strict=True)]) for d in (light, dark)]
    assert means[0] > 1.5 * means[1]


def test_difficulty_tells_segmenters_apart():
    scores = []
    for difficulty in ("easy", "medium", "hard"):
        data = make_lesions(40, random_state=1, difficulty=difficulty)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EmptyMaskWarning)
            scores.append(ThresholdSegmenter().score(data.images, data.masks))
    assert 0.55 < scores[2] < scores[1] < scores[0] < 0.93


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"n_samples": 0}, "n_samples"),
        ({"min_side": 5}, "min_side"),
        ({"min_side": 300, "max_side": 200}, "min_side must not be above max_side"),
        ({"melanoma_fraction": 2}, "melanoma_fraction"),
        ({"class_sep": -1}, "class_sep"),
        ({"difficulty": "absurd"}, "difficulty"),
        ({"asymmetry_shape": 2}, "asymmetry_shape must hold numbers from 0 to 1, got 2"),
        ({"asymmetry_color": [0.1, np.nan]}, "asymmetry_color must hold numbers from 0 to 1"),
        ({"n_colors": 7}, "n_colors must hold whole numbers from 1 to 6, got 7"),
        ({"n_colors": 2.5}, "whole numbers"),
        ({"diameter_mm": -3}, "diameter_mm must hold numbers from 1.5 to 14, got -3"),
        ({"border_irregularity": [0.1, 0.2, 0.3]}, r"one for each of the 2 lesions, got the shape \(3,\)"),
        ({"colors": ["green"]}, "colors must be different ones of"),
        ({"colors": []}, "colors must be different ones of"),
        ({"structures": ["dots", "dots"]}, "structures must be different ones of"),
    ],
)
def test_impossible_requests(bad, words):
    with pytest.raises(ValueError, match=words):
        make_lesions(**{"n_samples": 2, "random_state": 0, **bad})


def test_table(lesion_files, lesions):
    data = load_lesion_table(
        lesion_files / "lesions.csv", mask_column="mask", target_column="target", group_column="lesion"
    )
    assert data.images[0] == lesion_files / "images" / "a00.png"
    assert data.masks[1].is_file()
    np.testing.assert_array_equal(data.target, lesions.target)
    assert len(set(data.groups)) == 8
    assert data.frame["sex"].isna().tolist() == [index == 3 for index in range(16)]
    parquet = lesion_files / "lesions.parquet"
    pd.read_csv(lesion_files / "lesions.csv").to_parquet(parquet)
    assert load_lesion_table(parquet).frame["sex"].isna().sum() == 1


def test_table_rows_and_missing_cells(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("image,mask,y,group,split\na.jpg,a.png,1,g,train\nb.jpg,,0,,train\nc.jpg,,1,,test\n")
    data = load_lesion_table(
        path, mask_column="mask", target_column="y", group_column="group", where={"split": "train"}
    )
    assert data.masks == [tmp_path / "a.png", None]
    assert data.target.tolist() == [1, 0]
    assert data.groups.tolist() == ["g", "image 1"]
    assert load_lesion_table(path).masks is None
    assert load_lesion_table(path, folder="/elsewhere").images[0].parent.name == "elsewhere"
    assert len(load_lesion_table(path, where={"y": 1}).images) == 2


def test_table_with_semicolons(tmp_path):
    """As Excel writes it where the comma is the decimal sign."""
    text = "image;group;melanoma;age\r\na.jpg;007;1;45,5\r\nb.jpg;007;0;unknown\r\n"
    (tmp_path / "lesions.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    data = load_lesion_table(tmp_path / "lesions.csv", target_column="melanoma", group_column="group")
    assert data.images == [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    assert (data.target.tolist(), data.groups.tolist()) == ([1, 0], ["007", "007"])
    np.testing.assert_array_equal(data.frame["age"], [45.5, np.nan])


def test_ids_keep_their_zeros_and_numbers_are_found(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("image,group,m\n0024306,007,1\n0024310,,0\n0024311,008,\n")
    data = load_lesion_table(path, group_column="group", where={"m": "1"})
    assert [image.name for image in data.images] == ["0024306"]
    assert data.groups.tolist() == ["007"]


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        (
            {"image_column": "file"},
            r"no column 'file'; its columns are \['image', 'y'\]; name yours with --image-column",
        ),
        (
            {"target_column": "label", "mask_column": "m"},
            r"'m', 'label'; its columns .* --mask-column \(.*\), --target-column",
        ),
        ({"where": {"split": "a"}}, r"no column 'split'; its columns are \['image', 'y'\]$"),
        ({"where": {"y": 7}}, "no row with"),
        ({"target_column": "y"}, r"no target \(column 'y'\) in line\(s\) \[3\]"),
    ],
)
def test_bad_tables(tmp_path, kwargs, words):
    (tmp_path / "t.csv").write_text("image,y\na.jpg,1\nb.jpg,\n")
    with pytest.raises(ValueError, match=words):
        load_lesion_table(tmp_path / "t.csv", **kwargs)


def test_files_that_are_no_tables(tmp_path):
    with pytest.raises(FileNotFoundError, match="the table does not exist"):
        load_lesion_table(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_bytes(b"")
    with pytest.raises(ValueError, match="cannot be read"):
        load_lesion_table(tmp_path / "t.csv")
    (tmp_path / "t.parquet").write_bytes(b"hello")
    with pytest.raises(ValueError, match="cannot be read"):
        load_lesion_table(tmp_path / "t.parquet")
