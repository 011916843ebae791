"""Published data sets in the layouts as they are downloaded."""

import pickle
import re
import runpy
import shutil
from pathlib import Path

import layouts
import numpy as np
import pandas as pd
import pytest

from skinseg import ABCDFeaturizer, ThresholdSegmenter, datasets, make_lesion_pipeline
from skinseg.clinical import clinical_table
from skinseg.datasets import (
    CATALOG,
    load_ham10000,
    load_ima205,
    load_isic2016,
    load_isic2017,
    load_isic2018,
    load_isic2019,
    load_isic2020,
    load_lesion_table,
    load_ph2,
)
from skinseg.exceptions import MissingFilesError, MissingFilesWarning, UngroupedWarning

LOADERS = {name: getattr(datasets, f"load_{name}") for name in CATALOG}
WRITERS = {
    **{name: getattr(layouts, f"write_{name}") for name in CATALOG if name != "ima205"},
    "ima205": lambda folder: layouts.write_ima205(folder, "2024"),
}


@pytest.fixture
def folder(request, tmp_path):
    """The layout of the data set named by the parameter."""
    WRITERS[request.param](tmp_path)
    return tmp_path


def names(paths):
    return [path.name for path in paths]


@pytest.mark.parametrize("name", CATALOG)
def test_every_set_of_the_catalog_is_loaded_and_described(name, tmp_path):
    WRITERS[name](tmp_path)
    data = LOADERS[name](str(tmp_path), verify=True)
    assert set(data) >= {"images", "masks", "target", "target_names", "groups", "frame", "missing", "DESCR"}
    assert len(data.images) == len(data.groups) == len(data.frame) > 3
    assert all(path.is_absolute() and path.is_file() for path in data.images)
    assert data.frame["image"].tolist() == data.images
    assert data.missing.empty
    assert list(data.missing) == ["item", "kind", "file", "problem"]
    entry = CATALOG[name]
    assert entry.name == name
    for part in (entry.title, entry.license, entry.citation, entry.home):
        assert part in data.DESCR
    assert ("no commercial use" in data.DESCR) == entry.non_commercial


def test_isic2016(tmp_path):
    layouts.write_isic2016(tmp_path)
    data = load_isic2016(tmp_path)
    assert names(data.images) == [f"ISIC_000000{i}.jpg" for i in range(6)]
    assert names(data.masks) == [f"ISIC_000000{i}_Segmentation.png" for i in range(6)]
    assert {path.parent.name for path in data.images} == {"ISBI2016_ISIC_Part1_Training_Data"}
    assert data.target.tolist() == [1, 0, 0, 1, 0, 0]
    assert data.target_names.tolist() == ["benign", "malignant"]
    data = load_isic2016(tmp_path, task="classification", subset="all")
    assert {path.parent.name for path in data.images[:6]} == {"ISBI2016_ISIC_Part3_Training_Data"}
    assert data.target.tolist() == [1, 0, 0, 1, 0, 0, 1, 0, 0, 1]
    assert data.frame["subset"].tolist() == ["training"] * 6 + ["test"] * 4
    assert "training: 6 images of 900 published\ntest: 4 images of 379 published" in data.DESCR


def test_isic2017(tmp_path):
    layouts.write_isic2017(tmp_path)
    data = load_isic2017(tmp_path, subset="all")
    assert data.target.tolist() == [1, 0, 0] * 4
    assert names(data.superpixels[-2:]) == ["ISIC_0002001_superpixels.png", "ISIC_0002002_superpixels.png"]
    assert names(data.masks[-1:]) == ["ISIC_0002002_segmentation.png"]
    np.testing.assert_array_equal(data.frame["age_approximate"][:3], [20, np.nan, 30])
    assert data.frame["sex"].tolist()[:3] == ["female", "male", None]
    assert data.groups.tolist() == data.frame["image_id"].tolist()
    data = load_isic2017(tmp_path, task="classification", subset="validation", target="diagnosis")
    assert data.target.tolist() == ["melanoma", "seborrheic_keratosis", "nevus"]
    assert load_isic2017(tmp_path, target="seborrheic_keratosis").target.tolist() == [0, 1, 0, 0, 1, 0]
    # without the table of classes, and without superpixels and metadata
    for path in [*tmp_path.rglob("*.csv"), *tmp_path.rglob("*_superpixels.png")]:
        path.unlink()
    data = load_isic2017(tmp_path, subset="test")
    assert data.target is None
    assert data.superpixels is None
    assert len(data.images) == len(data.masks) == 3
    with pytest.raises(
        FileNotFoundError, match=r"ISIC-2017_Test_v2_Part3_GroundTruth\.csv, and ISIC-2017_Test_v2_Data"
    ):
        load_isic2017(tmp_path, task="classification", subset="test")


def test_isic2018(tmp_path):
    layouts.write_isic2018(tmp_path)
    data = load_isic2018(tmp_path, subset="validation")
    assert names(data.masks) == [f"ISIC_000100{i}_segmentation.png" for i in range(4)]
    assert data.attributes == {}
    data = load_isic2018(tmp_path, task="attributes")
    assert list(data.attributes) == list(layouts.ATTRIBUTES)
    assert names(data.attributes["globules"]) == [f"ISIC_000000{i}_attribute_globules.png" for i in range(4)]
    assert data.frame["attribute_streaks"].tolist() == data.attributes["streaks"]
    data = load_isic2018(tmp_path, task="classification", subset="all")
    assert data.target.tolist() == ["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC", "MEL"] * 3
    assert data.masks is None
    assert data.groups[:4].tolist() == ["HAM_0000000", "HAM_0000000", "HAM_0000001", "HAM_0000001"]
    assert data.groups[8] == "ISIC_0034321"
    assert "image_id" in data.frame
    melanoma = load_isic2018(tmp_path, task="classification", target="melanoma").target
    assert melanoma.tolist() == [1, 0, 0, 0, 0, 0, 0, 1]


def test_isic2019(tmp_path):
    layouts.write_isic2019(tmp_path)
    data = load_isic2019(tmp_path)
    assert data.images[2].name == "ISIC_0000002_downsampled.jpg"
    assert data.target_names.tolist() == ["MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC"]
    assert data.target[[3, 7, 8]].tolist() == ["AK", "SCC", "MEL"]
    assert data.groups[:4].tolist() == ["BCN_0000000", "BCN_0000000", "BCN_0000001", "ISIC_0000003"]
    assert data.frame["site"].tolist()[:3] == ["anterior torso", "head/neck", None]
    both = load_isic2019(tmp_path, subset="all")
    assert both.target[9:].tolist() == ["UNK", "MEL", "NV", "SCC"]
    assert both.target_names[-1] == "UNK"
    (tmp_path / "ISIC_2019_Test_GroundTruth.csv").unlink()
    test = load_isic2019(tmp_path, subset="test")
    assert test.target is None
    assert test.frame["age_approximate"].tolist() == [50.0] * 4


@pytest.mark.parametrize(
    ("name", "table", "options"),
    [
        ("isic2018", "ISIC2018_Task3_Training_LesionGroupings.csv", {"task": "classification"}),
        ("isic2019", "ISIC_2019_Training_Metadata.csv", {}),
    ],
)
def test_without_the_table_of_lesions_there_is_a_warning(name, table, options, tmp_path):
    WRITERS[name](tmp_path)
    (tmp_path / table).unlink()
    with pytest.warns(UngroupedWarning, match=f"{table} is not there") as caught:
        data = LOADERS[name](tmp_path, **options)
    assert caught[0].filename == __file__
    assert data.groups.tolist() == data.frame["image_id"].tolist()
    assert len(LOADERS[name](tmp_path, subset="test", **options).images) > 3  # has no lesions as published


def test_isic2020(tmp_path):
    layouts.write_isic2020(tmp_path)
    data = load_isic2020(tmp_path)
    assert data.target.tolist() == [1, 0, 0, 1, 0, 0]
    assert data.frame["duplicate_of"].dropna().to_dict() == {4: "ISIC_2637011"}
    assert data.groups.tolist() == ["IP_0", "IP_0", "IP_1", "IP_1", "IP_0", "IP_0"]  # IP_2 shares an image with IP_0
    dropped = load_isic2020(tmp_path, duplicates="drop", target="diagnosis")
    assert dropped.target.tolist() == ["melanoma", "unknown", "nevus", "melanoma", "nevus"]
    both = load_isic2020(tmp_path, subset="all")
    np.testing.assert_array_equal(both.target, [1, 0, 0, 1, 0, 0, np.nan, np.nan, np.nan])
    assert both.groups[-1] == "IP_9"
    (tmp_path / "ISIC_2020_Training_Duplicates.csv").unlink()
    assert load_isic2020(tmp_path).groups[4] == "IP_2"
    with pytest.raises(FileNotFoundError, match=r"ISIC_2020_Training_Duplicates\.csv, which names the duplicates"):
        load_isic2020(tmp_path, duplicates="drop")


def test_isic2020_as_on_kaggle(tmp_path):
    layouts.write_isic2020(tmp_path, kaggle=True)
    data = load_isic2020(tmp_path, subset="all")
    assert [path.parent.name for path in data.images] == ["train"] * 6 + ["test"] * 3
    assert data.groups[[0, 5, 6]].tolist() == ["IP_0", "IP_2", "IP_9"]


@pytest.mark.parametrize(("metadata", "separator"), [("HAM10000_metadata.csv", ","), ("ham10000_metadata.tab", "\t")])
def test_ham10000(tmp_path, metadata, separator):
    layouts.write_ham10000(tmp_path, metadata=metadata, separator=separator)
    data = load_ham10000(tmp_path)
    assert data.target.tolist() == ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc", "akiec"]
    assert data.groups[:3].tolist() == ["HAM_0000000", "HAM_0000000", "HAM_0000001"]
    assert data.frame["site"].tolist()[:5] == ["posterior torso", None, "oral/genital", "palms/soles", "trunk"]
    assert names(data.masks[:1]) == ["ISIC_0024306_segmentation.png"]
    assert "dx_type leaks" in data.DESCR
    assert load_ham10000(tmp_path, target="melanoma").target.tolist() == [0, 0, 0, 0, 1, 0, 0, 0]
    shutil.rmtree(tmp_path / "HAM10000_segmentations_lesion_tschandl")
    assert load_ham10000(tmp_path).masks is None


def test_ph2(tmp_path):
    layouts.write_ph2(tmp_path)
    data = load_ph2(tmp_path)
    assert data.target.tolist() == [0, 0, 1, 0]
    assert names(data.masks) == [f"IMD{n}_lesion.bmp" for n in ("002", "003", "058", "061")]
    frame = data.frame.set_index("image_id")
    assert frame["histological_diagnosis"].tolist() == [None, None, "Melanoma", "Compound Nevus"]
    assert frame.loc["IMD058", ["asymmetry", "pigment_network", "streaks", "n_colors"]].tolist() == [2, "AT", "P", 4]
    colors = frame.filter(regex="^color_").astype(int)
    order = ["white", "red", "light_brown", "dark_brown", "blue_gray", "black"]
    assert list(colors) == [f"color_{name}" for name in order]
    assert colors.loc["IMD002"].tolist() == [0, 0, 1, 1, 0, 0]
    assert {color: names(paths) for color, paths in data.color_masks[0].items()} == {
        "light_brown": ["IMD002_R1_Label3.bmp"],
        "dark_brown": ["IMD002_R2_Label4.bmp"],
    }
    assert load_ph2(tmp_path, target="diagnosis").target[:2].tolist() == ["atypical nevus", "common nevus"]


def test_ph2_by_its_excel_file(tmp_path, monkeypatch):
    layouts.write_ph2(tmp_path)
    expected = load_ph2(tmp_path)
    (tmp_path / "PH2Dataset" / "PH2_dataset.txt").unlink()
    (tmp_path / "PH2Dataset" / "PH2_dataset.xlsx").write_bytes(b"")
    head = [
        "Image Name", "Histological Diagnosis", "Common Nevus", "Atypical Nevus", "Melanoma", "Asymmetry\n(0/1/2)",
        "Pigment Network\n(AT/T)", "Dots/Globules\n(A/AT/T)", "Streaks\n(A/P)", "Regression Areas\n(A/P)",
        "Blue-Whitish Veil\n(A/P)", "White", "Red", "Light-Brown", "Dark-Brown", "Blue-Gray", "Black",
    ]  # fmt: skip
    rows = [["Legends", "Colors"] + [None] * 15, head]
    for name, histology, clinical, asymmetry, *criteria, colors in layouts.PH2_ROWS:
        classes = ["X" if clinical == code else None for code in (0, 1, 2)]
        marks = ["X" if code in colors else None for code in range(1, 7)]
        rows.append([name, histology or None, *classes, float(asymmetry), *criteria, *marks])
    monkeypatch.setattr(pd, "read_excel", lambda *args, **kwargs: pd.DataFrame(rows, dtype=object))
    frame = load_ph2(tmp_path).frame
    pd.testing.assert_frame_equal(frame[expected.frame.columns], expected.frame, check_dtype=False)

    def without_openpyxl(*args, **kwargs):
        raise ImportError("openpyxl")

    monkeypatch.setattr(pd, "read_excel", without_openpyxl)
    with pytest.raises(ImportError, match=r"pip install openpyxl\); PH2_dataset\.txt needs nothing"):
        load_ph2(tmp_path)


def test_ima205(tmp_path):
    layouts.write_ima205(tmp_path / "a", "2019")
    data = load_ima205(tmp_path / "a", subset="all")
    assert data.edition == "2019"
    np.testing.assert_array_equal(data.target, [0, 1, 0, 1, 0, 1, *[np.nan] * 4])
    assert data.masks[0].name == "IM_000000_segmentation.jpg"
    layouts.write_ima205(tmp_path / "b", "2024")
    data = load_ima205(tmp_path / "b")
    assert data.target.tolist() == [1, 2, 3, 4, 5, 6]
    assert data.target_names[1] == "melanocytic nevus"
    assert [mask is None for mask in data.masks] == [False, True] * 3
    assert load_ima205(tmp_path / "b", target="melanoma").target.tolist() == [1, 0, 0, 0, 0, 0]
    assert load_ima205(tmp_path / "b", subset="test").target is None
    with pytest.raises(ValueError, match=r"several editions; choose one of edition=\['2019', '2024'\]"):
        load_ima205(tmp_path)
    assert load_ima205(tmp_path, edition="2024").edition == "2024"
    with pytest.raises(FileNotFoundError, match=r"ImageId and Malignant \(2019\)\. There is: Test"):
        load_ima205(tmp_path / "b", edition="2019")


def test_ima205_with_one_table_of_both_parts(tmp_path):
    layouts.write_ima205(tmp_path, "2019")
    table = pd.read_csv(tmp_path / "data" / "train.csv")
    both = pd.concat([table, pd.DataFrame({"ImageId": ["IM_000006.jpg", "IM_000007.jpg"]})])
    both.to_csv(tmp_path / "data" / "train.csv", index=False)
    with pytest.raises(ValueError, match=r"Malignant of IM_000006 is nan, not one of \(0, 1\) \(2 rows\)"):
        load_ima205(tmp_path)
    (tmp_path / "data" / "test.csv").unlink()
    assert load_ima205(tmp_path).target.tolist() == [0, 1, 0, 1, 0, 1]
    test = load_ima205(tmp_path, subset="test")
    assert names(test.images) == ["IM_000006.jpg", "IM_000007.jpg"]
    assert test.target is None
    table.to_csv(tmp_path / "data" / "train.csv", index=False)
    with pytest.raises(FileNotFoundError, match=r"test\.csv with the column ImageId"):
        load_ima205(tmp_path, subset="test")


def test_clinical_columns_are_for_the_pipeline_and_the_models(tmp_path):
    for name in ("isic2017", "isic2019", "isic2020", "ham10000", "ima205"):
        WRITERS[name](tmp_path / name)
        frame = LOADERS[name](tmp_path / name).frame
        columns = [column for column in ("age_approximate", "sex", "site") if column in frame]
        assert len(columns) == (2 if name == "isic2017" else 3)
        assert frame["age_approximate"].dtype == float
        _, known = clinical_table(frame, {"categories": {"sex": ["female", "male"]}})
        assert known.sum() == (frame[["age_approximate", "sex"]].notna().any(axis=1)).sum() > 0
    data = load_ham10000(tmp_path / "ham10000", target="melanoma")
    steps = {"segmenter": "passthrough", "featurizer": ABCDFeaturizer(groups=("dimension",))}
    pipe = make_lesion_pipeline(**steps, metadata=["age_approximate", "sex", "site"])
    model = pipe.fit(data.frame, np.arange(8) % 2)
    assert model.predict_proba(data.frame).shape == (8, 2)
    assert "site_palms/soles" in [name.split("__")[-1] for name in model[0].get_feature_names_out()]


@pytest.mark.parametrize("verify", [False, True])
def test_five_percent_missing_and_one_percent_cut_short(tmp_path, verify):
    """All are listed, the rest is loaded: of 200 images and masks, 10 + 10 missing, 2 empty, 2 + 2 cut short."""
    layouts.write_isic2017(tmp_path, n=200)
    data, truth = tmp_path / "ISIC-2017_Training_Data", tmp_path / "ISIC-2017_Training_Part1_GroundTruth"
    ids = layouts.ids_of(200)
    for index in range(10):
        (data / f"{ids[20 * index]}.jpg").unlink()
        (truth / f"{ids[20 * index + 3]}_segmentation.png").unlink()
    (data / f"{ids[5]}.jpg").write_bytes(b"")
    (truth / f"{ids[6]}_segmentation.png").write_bytes(b"")
    for index in (7, 47):
        layouts.cut(data / f"{ids[index]}.jpg")
        layouts.cut(truth / f"{ids[index + 1]}_segmentation.png")
    with pytest.warns(MissingFilesWarning) as caught:
        found = load_isic2017(tmp_path, verify=verify, n_jobs=2)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    (text,) = (str(warning.message) for warning in caught)
    bad_images = {ids[20 * index] for index in range(10)} | {ids[5]} | ({ids[7], ids[47]} if verify else set())
    bad_masks = {ids[20 * index + 3] for index in range(10)} | {ids[6]} | ({ids[8], ids[48]} if verify else set())
    n = len(bad_images)
    assert text.startswith(f"isic2017: {n} of 200 image files, {n} of 200 mask files cannot be used")
    assert "ISIC_0000000.jpg: missing; ISIC_0000003_segmentation.png: missing; ISIC_0000005.jpg: empty" in text
    assert text.endswith("load with on_missing='ignore'")
    assert set(found.missing["item"][found.missing["kind"] == "image"]) == bad_images
    assert set(found.missing["item"][found.missing["kind"] == "mask"]) == bad_masks
    assert len(found.missing) == 2 * n
    assert found.missing["problem"].str.contains("cut short|damaged").sum() == (4 if verify else 0)
    assert len(found.images) == 200 - n
    assert not bad_images & set(found.frame["image_id"])
    assert {key for key, mask in zip(found.frame["image_id"], found.masks, strict=True) if mask is None} == bad_masks
    with pytest.raises(MissingFilesError, match=f"{n} of 200 image files") as error:
        load_isic2017(tmp_path, verify=verify, on_missing="raise")
    assert len(error.value.missing) == 2 * n
    assert len(pickle.loads(pickle.dumps(error.value)).missing) == 2 * n
    silent = load_isic2017(tmp_path, verify=verify, on_missing="ignore")
    assert len(silent.missing) == 2 * n
    assert silent.images == found.images


def test_masks_of_another_size_and_images_that_are_none_are_found(tmp_path):
    layouts.write_isic2016(tmp_path)
    (tmp_path / "ISBI2016_ISIC_Part1_Training_Data" / "ISIC_0000001.jpg").write_text("not found" * 40)
    mask = tmp_path / "ISBI2016_ISIC_Part1_Training_GroundTruth" / "ISIC_0000002_Segmentation.png"
    mask.write_bytes(layouts.cv2.imencode(".png", layouts.DISC[:20])[1].tobytes())
    data = load_isic2016(tmp_path, verify=True, on_missing="ignore")
    assert data.missing["item"].tolist() == ["ISIC_0000001", "ISIC_0000002"]
    assert data.missing["problem"][0].startswith("this is not an image")
    assert data.missing["problem"][1] == "is 32 x 20 pixels, its image 32 x 24"
    assert load_isic2016(tmp_path).missing.empty


def test_links_to_nothing_and_images_of_which_only_the_mask_is_there(tmp_path):
    layouts.write_isic2016(tmp_path)
    data = tmp_path / "ISBI2016_ISIC_Part1_Training_Data"
    shutil.rmtree(tmp_path / "ISBI2016_ISIC_Part3_Training_Data")
    (tmp_path / "ISBI2016_ISIC_Part3_Training_GroundTruth.csv").unlink()
    (data / "ISIC_0000000.jpg").unlink()
    (data / "ISIC_0000001.jpg").unlink()
    (data / "ISIC_0000001.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (data / "loop").symlink_to(tmp_path)
    found = load_isic2016(tmp_path, on_missing="ignore")
    assert found.missing[["file", "problem"]].to_numpy().tolist() == [
        ["ISIC_0000000.jpg", "missing"],
        [str(data / "ISIC_0000001.jpg"), "missing (a link to nothing)"],
    ]
    assert len(found.images) == 4


def test_no_image_at_all_is_an_error_in_any_case(tmp_path):
    layouts.write_isic2019(tmp_path)
    shutil.rmtree(tmp_path / "ISIC_2019_Training_Input")
    with pytest.raises(MissingFilesError, match=r"has no image that can be used\. isic2019: 9 of 9 image") as error:
        load_isic2019(tmp_path, on_missing="ignore")
    assert str(error.value).endswith("missing). Download or unpack those files again")  # to ignore them is no way out


@pytest.mark.parametrize("name", CATALOG)
def test_a_wrong_folder(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"the folder of {name} does not exist"):
        LOADERS[name](tmp_path / "none")
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "beach.jpg").write_bytes(b"sand")
    (tmp_path / "data.zip").write_bytes(b"PK")
    with pytest.raises(FileNotFoundError, match="Looked for, in it and below") as error:
        LOADERS[name](tmp_path)
    text = str(error.value)
    assert f"does not hold {name}" in text
    assert "There is: data.zip, holiday/ (1 files); unpack data.zip first" in text
    assert CATALOG[name].home in text
    assert text.endswith("with load_lesion_table")


@pytest.mark.parametrize("name", CATALOG)
def test_one_folder_more_upper_case_and_strange_files_do_no_harm(name, tmp_path):
    WRITERS[name](tmp_path / "plain")
    expected = LOADERS[name](tmp_path / "plain")
    inner = tmp_path / "other" / "download" / "unpacked"
    shutil.copytree(tmp_path / "plain", inner)
    for path in sorted(inner.rglob("*")):
        if path.is_file() and path.suffix in (".jpg", ".bmp"):
            path.rename(path.with_suffix(path.suffix.upper()))
    for path in (inner, next(path.parent for path in inner.rglob("*.*") if path.suffix in (".JPG", ".BMP"))):
        (path / "._ISIC_0000000.jpg").write_text("of a Mac")
        (path / "Thumbs.db").write_text("of Windows")
        (path / "preview.png").write_text("of nobody")
    data = LOADERS[name](tmp_path / "other", verify=True)
    assert [path.stem for path in data.images] == [path.stem for path in expected.images]
    assert data.missing.empty
    if expected.target is not None:
        assert data.target.tolist() == expected.target.tolist()


def test_sets_side_by_side_are_kept_apart(tmp_path):
    for name in ("isic2016", "isic2017", "isic2018"):
        WRITERS[name](tmp_path / name)
    for name in ("isic2016", "isic2017", "isic2018"):
        data = LOADERS[name](tmp_path)
        assert {path.relative_to(tmp_path).parts[0] for path in data.images + data.masks} == {name}


def test_folders_in_the_home_folder(tmp_path, monkeypatch):
    layouts.write_ph2(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert len(load_ph2("~/PH2Dataset").images) == 4


def test_a_published_folder_itself(tmp_path):
    layouts.write_isic2017(tmp_path)
    with pytest.warns(MissingFilesWarning, match="6 of 6 mask files"):
        data = load_isic2017(tmp_path / "ISIC-2017_Training_Data")
    assert len(data.images) == 6
    with pytest.raises(FileNotFoundError, match="does not hold isic2017"):
        load_isic2017(tmp_path / "ISIC-2017_Training_Data", subset="test")


def test_a_flat_folder_gives_only_what_its_tables_name(tmp_path):
    """Folders that do not tell the subset are used for images of the table, and never taken for test images."""
    layouts.write_isic2017(tmp_path / "all")
    for number, part in enumerate(sorted((tmp_path / "all").glob("*Training*"))):
        if part.is_dir():
            shutil.copytree(part, tmp_path / "mine" / f"pictures{number}")
        else:
            shutil.copy(part, tmp_path / "mine")
    data = load_isic2017(tmp_path / "mine")
    assert len(data.images) == len(data.masks) == 6
    for subset in ("test", "validation"):
        with pytest.raises(FileNotFoundError, match="does not hold isic2017"):
            load_isic2017(tmp_path / "mine", subset=subset)


@pytest.mark.parametrize(
    ("name", "table", "old", "new", "words"),
    [
        ("isic2016", "ISBI2016_ISIC_Part3_Training_GroundTruth.csv", "benign", "fine", "ISIC_0000001 is 'fine', not"),
        ("isic2017", "ISIC-2017_Training_Part3_GroundTruth.csv", "0.0,0.0", "1.0,1.0", "ISIC_0000002 is not of exact"),
        (
            "isic2017",
            "ISIC-2017_Training_Part3_GroundTruth.csv",
            "melanoma",
            "m",
            "has no column melanoma; its columns",
        ),
        ("isic2019", "ISIC_2019_Training_GroundTruth.csv", "0.0,1.0", "1.0,1.0", "7 row(s) have not exactly one 1"),
        ("isic2020", "ISIC_2020_Training_GroundTruth_v2.csv", "benign,0", "benign,7", "target of ISIC_2637012 is"),
        ("ham10000", "HAM10000_metadata", ",bkl,", ",wart,", "dx of ISIC_0024308 is 'wart', not one of akiec, bcc"),
        ("ham10000", "HAM10000_metadata", "ISIC_0024307", "ISIC_0024306", "1 id(s) are there twice (ISIC_0024306)"),
        ("ph2", "PH2Dataset/PH2_dataset.txt", " AT |", " Z |", "pigment_network of IMD058 is 'Z', not one of AT, T"),
        (
            "ph2",
            "PH2Dataset/PH2_dataset.txt",
            f"|| IMD003 || {'':>22} ",
            "|| IMD003 ",
            "the row of IMD003 has not 10 cells",
        ),
        ("ph2", "PH2Dataset/PH2_dataset.txt", "Streaks", "Stripes", "a table with the columns name, histological"),
        ("ima205", "metadataTrain.csv", ",3,", ",9,", "CLASS of ISIC_0000002 is 9, not one of"),
    ],
)
def test_damaged_tables(name, table, old, new, words, tmp_path):
    WRITERS[name](tmp_path)
    path = tmp_path / table
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=re.escape(words)) as error:
        LOADERS[name](tmp_path)
    assert str(error.value).startswith(f"{path}")


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("isic2016", "ISBI2016_ISIC_Part3_Training_GroundTruth.csv"),
        ("isic2017", "ISIC-2017_Training_Part3_GroundTruth.csv"),
        ("isic2017", "ISIC-2017_Training_Data/ISIC-2017_Training_Data_metadata.csv"),
        ("ham10000", "HAM10000_metadata"),
        ("ima205", "metadataTrain.csv"),
    ],
)
def test_tables_that_went_through_excel(name, table, tmp_path):
    """Semicolons, a comma in the numbers, a byte-order mark and line ends of Windows."""
    WRITERS[name](tmp_path)
    expected = LOADERS[name](tmp_path)
    text = re.sub(r"(?<=\d)\.(?=\d)", ",", (tmp_path / table).read_text().replace(",", ";"))
    (tmp_path / table).write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    data = LOADERS[name](tmp_path)
    np.testing.assert_array_equal(data.target, expected.target)
    pd.testing.assert_frame_equal(data.frame, expected.frame)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the table cannot be read (it is empty, 0 bytes)"),
        (b"ISIC_0000000,b\xe9nin", "the table cannot be read (line 1 holds bytes that are no UTF-8"),
        (b"<html>Access denied</html>", "lines such as ISIC_0000000,benign were expected"),
        (b"ISIC_0000000,benign\nISIC_0000000,malignant\n", "1 id(s) are there twice (ISIC_0000000)"),
    ],
)
def test_tables_of_2016_that_are_none(content, words, tmp_path):
    layouts.write_isic2016(tmp_path)
    path = tmp_path / "ISBI2016_ISIC_Part3_Training_GroundTruth.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(f"{path}: {words}")):
        load_isic2016(tmp_path)


def test_links_do_not_hide_the_names_of_folders(tmp_path):
    """A link is listed after the folder itself, whose name tells that these are test images."""
    layouts.write_isic2017(tmp_path / "isic")
    for name in ("aaa", "latest", "zzz"):
        (tmp_path / "isic" / name).symlink_to(tmp_path / "isic" / "ISIC-2017_Test_v2_Data")
    for path in (tmp_path / "isic").rglob("*.csv"):
        path.unlink()
    assert {path.parent.name for path in load_isic2017(tmp_path / "isic", subset="test").images} == {
        "ISIC-2017_Test_v2_Data"
    }
    layouts.write_isic2017(tmp_path / "elsewhere")
    (tmp_path / "links").mkdir()
    for path in (tmp_path / "elsewhere").iterdir():
        (tmp_path / "links" / path.name).symlink_to(path)
    assert len(load_isic2017(tmp_path / "links", subset="all").images) == 12


def test_what_the_user_calls_the_folder_tells_nothing(tmp_path):
    layouts.write_ima205(tmp_path / "lesion segmentation data", "2024")
    assert len(load_ima205(tmp_path / "lesion segmentation data").images) == 6
    data = load_ima205(tmp_path)  # nor do the folders between
    assert len(data.images) == 6
    assert any(mask is not None for mask in data.masks)
    layouts.write_isic2017(tmp_path / "all")
    shutil.copytree(tmp_path / "all" / "ISIC-2017_Training_Data", tmp_path / "my test data" / "images")
    shutil.copy(tmp_path / "all" / "ISIC-2017_Training_Part3_GroundTruth.csv", tmp_path / "my test data")
    assert len(load_isic2017(tmp_path / "my test data", task="classification").images) == 6


def test_subsets_that_are_not_there_are_told(tmp_path):
    layouts.write_isic2017(tmp_path)
    shutil.rmtree(tmp_path / "ISIC-2017_Validation_Data")
    shutil.rmtree(tmp_path / "ISIC-2017_Validation_Part1_GroundTruth")
    (tmp_path / "ISIC-2017_Validation_Part3_GroundTruth.csv").unlink()
    text = load_isic2017(tmp_path, subset="all").DESCR
    assert "training: 6 images of 2,000 published\nvalidation: 0 images of 150 published\ntest: 3 images" in text
    assert "validation" not in load_isic2017(tmp_path).DESCR


def test_describe_says_why_what_is_there_cannot_be_loaded(tmp_path):
    layouts.write_ham10000(tmp_path)
    path = tmp_path / "HAM10000_metadata"
    path.write_text(path.read_text().replace(",bkl,", ",wart,"))
    with pytest.raises(
        ValueError, match=r"holds no data set .* What is there cannot be loaded: .*dx of ISIC_0024308 is 'wart'"
    ):
        datasets.describe_dataset(tmp_path)


def test_describe_writes_classes_as_they_are_even_if_some_are_unknown(tmp_path):
    layouts.write_isic2017(tmp_path)
    (tmp_path / "ISIC-2017_Test_v2_Part3_GroundTruth.csv").unlink()
    assert "Classes: 0 6, 1 3, unknown 3" in datasets.describe_dataset(tmp_path)


def test_images_that_have_a_mask_are_scored_and_tables_go_through_parquet(tmp_path):
    """As the guide says it."""
    layouts.write_ham10000(tmp_path)
    next(tmp_path.rglob("ISIC_0024307_segmentation.png")).unlink()
    data = load_ham10000(tmp_path, on_missing="ignore")
    with pytest.raises(ValueError, match=r"mask 1 of ISIC_0024307: the mask is missing .*leave the image out"):
        ThresholdSegmenter().score(data.images, data.masks)
    outlined = data.frame[data.frame["mask"].notna()]
    known = [(image, mask) for image, mask in zip(data.images, data.masks, strict=True) if mask is not None]
    expected = ThresholdSegmenter().score(*map(list, zip(*known, strict=True)))
    assert ThresholdSegmenter().score(outlined["image"], outlined["mask"]) == expected
    table = data.frame.map(lambda cell: str(cell) if isinstance(cell, Path) else cell)
    table.to_parquet(tmp_path / "t.parquet")
    again = load_lesion_table(tmp_path / "t.parquet", mask_column="mask", target_column="dx", group_column="lesion_id")
    assert (again.images, again.masks) == (data.images, data.masks)
    assert again.target.tolist() == data.target.tolist()
    assert again.groups.tolist() == data.groups.tolist()


def test_columns_of_ima205_keep_their_types(tmp_path):
    """The table of the test images, which has no classes, does not turn those of the training images into floats."""
    layouts.write_ima205(tmp_path, "2024")
    assert load_ima205(tmp_path).frame["CLASS"].dtype == int


@pytest.mark.parametrize(
    ("name", "bad", "words"),
    [
        ("isic2016", {"task": "attributes"}, "task must be one of 'segmentation', 'classification', got 'attributes'"),
        ("isic2016", {"subset": "validation"}, "subset must be one of 'training', 'test', 'all', got 'validation'"),
        ("isic2017", {"on_missing": "shout"}, "on_missing must be one of 'warn', 'raise', 'ignore', got 'shout'"),
        ("isic2020", {"duplicates": "keep"}, "duplicates must be one of 'mark', 'drop', got 'keep'"),
        ("ph2", {"target": "nevus"}, "target must be one of 'melanoma', 'diagnosis', got 'nevus'"),
        ("ima205", {"edition": "2030"}, "edition must be one of 'auto', '2019', '2024', got '2030'"),
    ],
)
def test_bad_parameters(name, bad, words, tmp_path):
    WRITERS[name](tmp_path)
    with pytest.raises(ValueError, match=words):
        LOADERS[name](tmp_path, **bad)


@pytest.mark.realdata
def test_isic2017_laid_out_as_published_is_what_its_table_says(data_folder, tmp_path):
    """Links in the published layout against the table: the same images, masks, targets and clinical columns."""
    source = data_folder / "isic2017"
    table = pd.read_csv(source / "isic2017.csv", dtype={"age_approximate": str})
    for subset, rows in table.groupby("split"):
        name = subset.title()
        data, truth = tmp_path / f"ISIC-2017_{name}_Data", tmp_path / f"ISIC-2017_{name}_Part1_GroundTruth"
        for folder, column in ((data, "image"), (truth, "mask")):
            folder.mkdir()
            for file in rows[column]:
                (folder / (source / file).name).symlink_to(source / file)
        rows[["image_id", "age_approximate", "sex"]].to_csv(data / f"{data.name}_metadata.csv", index=False)
        classes = rows[["image_id", "melanoma", "seborrheic_keratosis"]].astype({"melanoma": float})
        classes.to_csv(tmp_path / f"ISIC-2017_{name}_Part3_GroundTruth.csv", index=False)
    for task in ("segmentation", "classification"):
        for subset, n_melanomas, n in (("training", 374, 2000), ("validation", 30, 150)):
            found = load_isic2017(tmp_path, task=task, subset=subset)
            by_table = datasets.load_lesion_table(
                source / "isic2017.csv", mask_column="mask", target_column="melanoma", group_column="group",
                where={"split": subset},
            )  # fmt: skip
            assert len(found.images) == n
            assert found.target.sum() == n_melanomas
            assert found.missing.empty
            assert found.superpixels is None
            for key in ("images", "masks"):
                assert [path.resolve() for path in found[key]] == [path.resolve() for path in by_table[key]]
            np.testing.assert_array_equal(found.target, by_table.target)
            assert (
                found.frame["sex"].tolist()
                == by_table.frame["sex"].astype(object).where(by_table.frame["sex"].notna(), None).tolist()
            )
            np.testing.assert_array_equal(
                found.frame["age_approximate"], pd.to_numeric(by_table.frame["age_approximate"]).to_numpy(float)
            )
    checked = load_isic2017(tmp_path, subset="validation", verify=True, n_jobs=2)
    assert checked.missing.empty


def test_script_that_measures_loading(tmp_path, capsys):
    path = Path(__file__).parents[2] / "benchmarks" / "experiments" / "published_layouts.py"
    runpy.run_path(str(path))["main"]([str(tmp_path), "--images", "20", "--jobs", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" in ")[0] for line in lines] == ["verify=False: 20 images", "verify=True: 20 images"]
