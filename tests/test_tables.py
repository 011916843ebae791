"""Tables: nothing in them is a formula, everything comes back as it was, and odd ones are refused with the way out."""

import io
import re

import cv2
import numpy as np
import pandas as pd
import pytest
from corpus import ODD_NAMES
from hypothesis import given, settings
from hypothesis import strategies as st

from skinseg import LesionImage, ThresholdSegmenter, make_lesion_pipeline
from skinseg._tables import literal, neutral, read_text_table, table_bytes
from skinseg.bulk import measure_to_file, predict_records, rows_for
from skinseg.datasets import load_lesion_table
from skinseg.datasets._table import read_any_table
from skinseg.doubtful._layout import Entry, read_entries, write_entries
from skinseg.evaluation import load_experiment, read_isic_classification, run_experiment, write_isic_classification
from skinseg.inspection import Population
from skinseg.outlining import segment_to_folder, write_table
from skinseg.runs._tables import TableWriter
from skinseg.training import train_from_table

FORMULAS = (
    "=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=cmd|' /C calc'!A0", '=HYPERLINK("http://x")',
    "-a.png", "＝1+1", "＠x", "a;=1+1", "a,=1+1",
    "a\t=1+1", "a|=1+1", "a\r=1+1", "a\n=1+1", 'a"=1+1', 'a";=1+1', "a; =1+1",
    "  =1+1", "'=1+1", "''=1+1", "a;'=1", "-", "=", "--", "-1.5.png", "1,-5", "-1e5x", "+49 30 1234",
)  # fmt: skip
PLAIN = (
    "a.png",
    "a=b",
    "a-b",
    "a@b",
    "'",
    "'a",
    "it's",
    "-1.5",
    "+3",
    "1e-5",
    "-.5",
    "",
    "a, b",
    "é",
    "x;y",
    "a -b",
    "#1",
)
SIGNS = re.compile(r'(\A|[,;|\t\r\n"]) *[=+\-@\t\r\n＝＋－＠]')


def formulas_in(content):
    """Cells, or parts of them after any separator, that a spreadsheet might take for a formula."""
    cells = pd.read_csv(io.BytesIO(content), header=None, dtype=str, keep_default_na=False).to_numpy().ravel()
    return [cell for cell in cells if SIGNS.search(cell) and not re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", cell)]


@pytest.mark.parametrize("text", FORMULAS)
def test_what_would_be_a_formula_is_none(text):
    assert not SIGNS.search(neutral(text))
    assert literal(neutral(text)) == text


@pytest.mark.parametrize("text", PLAIN)
def test_all_else_stays_as_it_is(text):
    assert neutral(text) == text
    assert literal(text) == text


@given(st.text("=+-@\t\r\n,;|\"' a1.é＝", max_size=12))
@settings(max_examples=500, deadline=None)
def test_every_text_comes_back(text):
    written = neutral(text)
    assert literal(written) == text
    assert written == text or not SIGNS.search(written)


@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_a_table_comes_back(tmp_path, separator):
    texts = [*FORMULAS, *PLAIN, *map(str, ODD_NAMES[:-2])]
    table = pd.DataFrame({"image": texts, "=name": texts[::-1], "number": np.linspace(-2, 2, len(texts)), "whole": -3})
    table.loc[3, "number"] = np.nan
    path = tmp_path / "t.csv"
    path.write_bytes(table_bytes(table, separator=separator))
    if separator == ",":
        assert not formulas_in(path.read_bytes())
    again = read_text_table(
        path, separator=separator, keep_default_na=False, na_values={"number": [""]}, dtype={"image": str}
    )
    pd.testing.assert_frame_equal(again, table, check_dtype=False)
    assert again["number"].tolist()[:3] == table["number"].tolist()[:3]
    skipping = read_text_table(path, separator=separator, dtype=str, keep_default_na=False, skipinitialspace=True)
    assert skipping["image"].tolist() == texts


def test_numbers_and_plain_tables_are_written_as_by_pandas():
    table = pd.DataFrame({"a": [-1.5, np.nan], "b": ["x", None], "c": [True, False], "d": [-1, 2], "e": ["-1.5", "+2"]})
    assert table_bytes(table) == table.to_csv(index=False).encode()
    assert (
        table_bytes(table, header=False, separator="\t") == table.to_csv(index=False, header=False, sep="\t").encode()
    )


# ------------------------------------------------------------------------------------------------ all that is written

NAMES = [
    "=1+1.png",
    "-a.png",
    "@b.png",
    "x;=2.png",
    'it\'s, "so".png',
    "line\nfeed.png",
    "carriage\rreturn.png",
    " led.png",
]


@pytest.fixture(scope="module")
def folder(lesions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    for name, image, mask in zip(NAMES, lesions.images, lesions.masks, strict=False):
        (folder / name).write_bytes(cv2.imencode(".png", image[..., ::-1])[1].tobytes())
        (folder / f"mask {name}").write_bytes(cv2.imencode(".png", mask.astype(np.uint8) * 255)[1].tobytes())
    return folder


@pytest.fixture
def files(folder, monkeypatch):
    """Relative, so that their names begin the cells."""
    monkeypatch.chdir(folder)
    return [type(folder)(name) for name in NAMES]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_tables_of_runs(files, tmp_path, suffix):
    out, bad = tmp_path / f"f.{suffix}", tmp_path / f"bad.{suffix}"
    missing = type(files[0])("=missing.png")
    measure_to_file([*files, missing], out, segmenter=ThresholdSegmenter(), groups=["dimension"], errors=bad)
    table = read_any_table(out, [], ["image"])
    assert table["image"].tolist() == [*NAMES, "=missing.png"]
    assert (rows_for(files, table)["found"]).all()
    assert read_any_table(bad, [], ["image"])["image"].tolist() == ["=missing.png"]
    if suffix != "parquet":
        assert not formulas_in(out.read_bytes().replace(b"\t", b",") if suffix == "tsv" else out.read_bytes())


def test_tables_of_outlines(files, tmp_path):
    segment_to_folder(files, tmp_path / "masks", ThresholdSegmenter(), table=tmp_path / "o.csv")
    table = read_any_table(tmp_path / "o.csv", [], ["image", "mask"])
    assert table["image"].tolist() == NAMES
    assert not formulas_in((tmp_path / "o.csv").read_bytes())


def test_tables_of_doubtful_outlines(tmp_path):
    entries = {name: Entry(f"{index}.png", name, 0.5, "-", 4, 5, "x", "y") for index, name in enumerate(NAMES)}
    write_entries(tmp_path, entries)
    assert not formulas_in((tmp_path / "doubtful.csv").read_bytes())
    assert read_entries(tmp_path) == list(entries.values())


def test_tables_of_experiments(folder, files, tmp_path):
    table = pd.DataFrame({"image": NAMES, "mask": [f"mask {name}" for name in NAMES], "group": NAMES, "=site": NAMES})
    write_table(table, folder / "odd.csv")
    data = load_lesion_table(folder / "odd.csv", mask_column="mask", group_column="group")
    assert [image.name for image in data.images] == NAMES
    assert data.groups.tolist() == data.frame["=site"].tolist() == NAMES
    experiment = run_experiment(
        {"t": ThresholdSegmenter()}, data, tmp_path / "out", subgroup_columns=["=site"], n_resamples=5
    )
    again = load_experiment(tmp_path / "out")
    assert again.images["group"].tolist() == NAMES
    pd.testing.assert_frame_equal(again.scores, experiment.scores, check_dtype=False)
    for written in (tmp_path / "out").glob("*.csv"):
        assert not formulas_in(written.read_bytes()), written


def test_tables_of_submissions(tmp_path):
    names = ["=1+1", "-a", "ISIC_0000001"]
    path = write_isic_classification(names, [[0.5, 0.25]] * 3, tmp_path / "s.csv", edition=2017)
    assert not formulas_in(path.read_bytes())
    assert read_isic_classification(path, names, edition=2017).index.tolist() == names


def test_a_table_that_is_written_in_parts(tmp_path):
    with TableWriter(tmp_path / "t.csv") as writer:
        for name in NAMES:
            writer.write(pd.DataFrame({"image": [name], "n": [-1.5]}))
    table = read_text_table(tmp_path / "t.csv")
    assert (table["image"].tolist(), table["n"].tolist()) == (NAMES, [-1.5] * len(NAMES))


# ------------------------------------------------------------------------------------------------ odd tables

GOOD = "image,age,y\na.png,40.5,1\nb.png,,0\n"
READ = {
    "plain": GOOD.encode(),
    "with the mark of UTF-8": b"\xef\xbb\xbf" + GOOD.encode(),
    "UTF-16": GOOD.encode("utf-16"),
    "UTF-16, big endian": b"\xfe\xff" + GOOD.encode("utf-16-be"),
    "semicolons": GOOD.replace(",", ";").encode(),
    "semicolons and decimal commas": GOOD.replace(",", ";").replace("40.5", "40,5").encode(),
    "tabs": GOOD.replace(",", "\t").encode(),
    "tabs and decimal commas": GOOD.replace(",", "\t").replace("40.5", "40,5").encode(),
    "quoted decimal commas": GOOD.replace("40.5", '"40,5"').encode(),
    "ends of lines of Windows": GOOD.replace("\n", "\r\n").encode(),
    "spaces after the commas": GOOD.replace(",", ", ").encode(),
    "no end of the last line": GOOD.rstrip("\n").encode(),
    "empty lines": GOOD.replace("\n", "\n\n").encode(),
    "quotes": b'"image","age","y"\n"a.png","40.5","1"\n"b.png","","0"\n',
    "a short row": GOOD.replace("b.png,,0", "b.png,,0\nc.png").encode(),
}


@pytest.mark.parametrize("name", list(READ))
def test_odd_tables_that_are_read(name, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(READ[name])
    data = load_lesion_table(path)
    assert [image.name for image in data.images][:2] == ["a.png", "b.png"]
    assert data.frame["age"].tolist()[0] == 40.5
    assert np.isnan(data.frame["age"].tolist()[1])
    assert data.frame["y"].tolist()[:2] == [1, 0]


def test_a_cell_of_ten_megabytes(tmp_path):
    (tmp_path / "t.csv").write_text(f"image,note\na.png,{'x' * 10_000_000}\n")
    assert len(load_lesion_table(tmp_path / "t.csv").frame["note"][0]) == 10_000_000


def test_numbers_that_are_not_certain_stay_texts(tmp_path):
    (tmp_path / "t.csv").write_text("image\tn\tid\na\t1,234\t12345678901234567890123\nb\t2,500\t2\n")
    frame = load_lesion_table(tmp_path / "t.csv").frame
    assert frame["n"].tolist() == ["1,234", "2,500"]  # or thousands?
    assert frame["id"].tolist()[0] in ("12345678901234567890123", 12345678901234567890123)


REFUSED = {
    "empty": (b"", ["it is empty, 0 bytes", "copy or write it again"]),
    "blank": (b"\n\n\n", ["no line has text", "names of the columns"]),
    "only a header": (b"image,y\n", ["has no row"]),
    "Latin-1": (b"image,y\na.png,1\nm\xfcller.png,0\n", ["line 3 holds bytes that are no UTF-8", "save it as CSV"]),
    "UTF-16 cut": (GOOD.encode("utf-16")[:-1], ["no UTF-16", "save it as CSV in UTF-8"]),
    "a null character": (b"image,y\na.png,1\nb\0.png,0\n", ["line 3 holds a null character"]),
    "two columns of one name": (b"image,y,image\na,1,b\n", ["columns 1 and 3 are both called 'image'", "rename"]),
    "a longer row": (b"image,y\na,1\nb,2,3\n", ["line 3 has 3 cells, lines before it 2", "quote"]),
    "longer rows with numbers first": (b"a,b\n0,2,7\n1,4,8\n", ["more cells than the 2 columns, 'a', 'b'"]),
    "longer rows": (b"image,y\na,1,x\nb,2,y\n", ["more cells than the 2 columns, 'image', 'y'", "name all columns"]),
    "an open quote": (b'image,y\na,1\nb,"2\nc,3\n', ["a quote is opened and never closed, row 2", "close it"]),
    "a million columns": (",".join(f"c{i}" for i in range(10**6)).encode(), ["1,000,000 columns", "a row an image"]),
    "a workbook": (b"PK\x03\x04" + bytes(99), ["workbook of Excel", "CSV in UTF-8"]),
    "an old workbook": (b"\xd0\xcf\x11\xe0" + bytes(99), ["workbook of Excel"]),
    "Parquet": (b"PAR1" + bytes(99), ["Parquet", ".parquet"]),
    "gzip": (b"\x1f\x8b\x08" + bytes(99), ["gzip", "unpack"]),
    "another header": (b"file,y\na,1\n", ["no column 'image'", "'file', 'y'", "--image-column"]),
    "many other columns": (
        ",".join(f"c{i}" for i in range(5000)).encode() + b"\n", ["no column 'image'", "'c19', ... (5,000 in all)"]
    ),
    "no name": (b"image,y\na,1\n,0\n", ["no image (column 'image') in line(s) [3]", "complete or drop"]),
}  # fmt: skip


@pytest.mark.parametrize("name", list(REFUSED))
def test_odd_tables_that_are_refused(name, tmp_path):
    content, words = REFUSED[name]
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(str(path))) as caught:
        load_lesion_table(path)
    for word in words:
        assert word in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_places_that_are_no_tables(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ValueError, match=r"folder\.csv: the table cannot be read \(it is a folder\); give the file"):
        load_lesion_table(tmp_path / "folder.csv")
    with pytest.raises(FileNotFoundError, match="does not exist; check the path"):
        load_lesion_table(tmp_path / "nothing.csv")
    for content in (b"", b"image\n", b"PAR1" + bytes(50) + b"PAR1"):
        (tmp_path / "t.parquet").write_bytes(content)
        with pytest.raises(ValueError, match=r"t\.parquet: the table cannot be read \("):
            load_lesion_table(tmp_path / "t.parquet")


# ------------------------------------------------------------------------------------------------ columns of numbers


def test_a_formula_in_a_column_of_numbers_is_named(tmp_path, lesion_files):
    frame = pd.read_csv(lesion_files / "lesions.csv").astype({"age_approximate": object})
    frame["image"] = [str(lesion_files / name) for name in frame["image"]]
    frame.loc[2, "age_approximate"] = "=40+5"
    path = tmp_path / "t.csv"
    write_table(frame, path)
    words = r"the column 'age_approximate' holds numbers, but '=40\+5' in row 3 of those used \(1 such cell"
    with pytest.raises(ValueError, match=rf"t\.csv: {words}"):
        train_from_table(
            path, tmp_path / "m.skops", segmenter=ThresholdSegmenter(), target_column="diagnosis",
            metadata_columns=["age_approximate"],
        )  # fmt: skip
    data = load_lesion_table(path, target_column="diagnosis", group_column="lesion")
    with pytest.raises(ValueError, match=f"the data: {words}"):
        run_experiment(
            {"m": make_lesion_pipeline(metadata=["age_approximate"])}, data, tmp_path / "out", task="classification",
            folds=2, metadata_columns=["age_approximate"], pos_label="melanoma",
        )  # fmt: skip


def test_a_row_whose_number_is_none_fails_alone(lesion_files, lesions):
    frame = pd.DataFrame({"image": lesions.images, "age": np.linspace(20, 80, 16), "sex": ["m", "f"] * 8})
    model = make_lesion_pipeline(metadata=["age", "sex"], max_side=64).fit(frame, lesions.target)
    records = [LesionImage(image) for image in lesions.images[:4]]
    given = frame[["age", "sex"]].iloc[:4].astype({"age": object}).reset_index(drop=True)
    whole = predict_records(records, model, metadata=given)
    given.loc[1, "age"] = "=1+1"
    given.loc[2, "age"] = "x" * 10**6
    table = predict_records(records, model, metadata=given)
    assert table["error"].tolist()[:2] == ["", "age must be a number, or empty; it is '=1+1'"]
    assert len(table["error"][2]) < 200
    assert table["melanoma_probability"].isna().tolist() == [False, True, True, False]
    np.testing.assert_allclose(table["melanoma_probability"][[0, 3]], whole["melanoma_probability"][[0, 3]])


def test_a_population_with_a_text_among_its_numbers():
    table = pd.DataFrame({"asymmetry_shape": [0.1, "=1+1", 0.3]})
    with pytest.raises(
        ValueError, match=r"p\.csv: the column 'asymmetry_shape' holds '=1\+1' in row 2, which is no num"
    ):
        Population.from_table(table, description="lesions of p.csv")
