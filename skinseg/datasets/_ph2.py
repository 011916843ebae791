"""PH2: 200 images with masks, colors and dermoscopic criteria."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.utils import Bunch

from .._docs import fill_doc
from ._catalog import CATALOG
from ._layout import FolderScan, check_choice, finish

__all__ = ["load_ph2"]

COLORS = ("white", "red", "light_brown", "dark_brown", "blue_gray", "black")
CLASSES = ("common nevus", "atypical nevus", "melanoma")
_CRITERIA = {
    "asymmetry": ("0", "1", "2"),
    "pigment_network": ("AT", "T"),
    "dots_globules": ("A", "AT", "T"),
    "streaks": ("A", "P"),
    "regression_areas": ("A", "P"),
    "blue_whitish_veil": ("A", "P"),
}
_ID = r"(?P<id>imd\d+)"


@fill_doc()
def load_ph2(
    folder: str | os.PathLike[str],
    *,
    target: str = "melanoma",
    on_missing: str = "warn",
    verify: bool = False,
    n_jobs: int | None = None,
) -> Bunch:
    """Load PH2 from the folder into which its archive was unpacked.

    Parameters
    ----------
    folder : path-like
        With ``PH2_dataset.txt`` (or only ``PH2_dataset.xlsx``, which needs the
        package openpyxl) and ``PH2 Dataset images/IMD002/`` with
        ``IMD002_Dermoscopic_Image/IMD002.bmp``, ``IMD002_lesion/IMD002_lesion.bmp``
        and ``IMD002_roi/IMD002_R1_Label4.bmp``, in it or below (``PH2Dataset``).
    target : {"melanoma", "diagnosis"}, default="melanoma"
        0 and 1; or the clinical diagnosis: common nevus, atypical nevus,
        melanoma.
    %(loading)s

    Returns
    -------
    %(loaded)s

        color_masks : list of dict of str to list of Path
            For each image the masks of regions by their color: ``white``, ``red``,
            ``light_brown``, ``dark_brown``, ``blue_gray``, ``black``.

    Raises
    ------
    FileNotFoundError
        If the folder is another one.
    ImportError
        If only the Excel file is there and openpyxl is not installed.
    ValueError
        If a cell of the table has a value that the legend does not know.

    See Also
    --------
    load_lesion_table : Any table of files.

    Notes
    -----
    200 images: 80 common nevi, 80 atypical nevi, 40 melanomas; about 768 x 560
    pixels, one magnification (20 times). The columns of the frame are
    ``histological_diagnosis`` (empty for most), ``clinical_diagnosis`` (0, 1, 2),
    ``diagnosis`` (in words), ``asymmetry`` (0, 1 or 2 axes), ``pigment_network``
    (AT atypical, T typical), ``dots_globules`` (A absent, AT, T), ``streaks``,
    ``regression_areas`` and ``blue_whitish_veil`` (A, P present), ``n_colors``, and
    ``color_white`` and so on (True where the color is there). There is no age, sex,
    site or patient: each image is its own group. For research and education only.

    References
    ----------
    .. [1] Mendonça, T., et al. PH2 - A dermoscopic image database for research
       and benchmarking. EMBC 2013, doi:10.1109/EMBC.2013.6610779; files and
       legend: https://www.fc.up.pt/addi/ph2%20database.html

    Examples
    --------
    >>> from skinseg.datasets import load_ph2
    >>> data = load_ph2("PH2Dataset")  # doctest: +SKIP
    >>> len(data.images), int(data.target.sum())  # doctest: +SKIP
    (200, 40)
    """
    check_choice(target=(target, ("melanoma", "diagnosis")))
    scan = FolderScan(folder, CATALOG["ph2"])
    text, sheet = scan.table("PH2_dataset", suffix=".txt"), scan.table("PH2_dataset", suffix=".xlsx")
    if text is None and sheet is None:
        scan.fail(f"PH2_dataset.txt (or .xlsx), and PH2 Dataset images{os.sep} with IMD002 and others")
    path = text or sheet
    assert path is not None
    frame = _check(_read_text(path) if text is not None else _read_sheet(path), path)
    keys = frame["image_id"].str.lower()
    files: dict[str, list[str | None]] = {}
    for kind, end in (("image", ""), ("mask", "_lesion")):
        found = scan.pick(_ID + end)
        files[kind] = [found[key][1] if key in found else None for key in keys]
    frame = frame.assign(subset="all", _group=frame["image_id"])
    frame["_target"] = frame["diagnosis"] if target == "diagnosis" else (frame["clinical_diagnosis"] == 2).astype(int)
    data = finish(
        scan,
        frame,
        files,
        {"image": "{}.bmp", "mask": "{}_lesion.bmp"},
        target_names=CLASSES if target == "diagnosis" else ("nevus", "melanoma"),
        on_missing=on_missing,
        verify=verify,
        n_jobs=n_jobs,
        published={"all": 200},
    )
    regions: dict[str, dict[str, list[Path]]] = {key.lower(): {} for key in data.frame["image_id"]}
    for name, (_, file) in sorted(scan.pick(r"(?P<id>imd\d+_r\d+_label[1-6])").items()):
        colors = regions.get(name.split("_")[0])
        if colors is not None:
            colors.setdefault(COLORS[int(name[-1]) - 1], []).append(Path(file))
    data.color_masks = list(regions.values())
    return data


def _plain(name: object) -> str:
    """Bring a title such as ``Blue-Whitish Veil (A/P)`` into the form of a column."""
    return "_".join(re.findall("[a-z0-9]+", str(name).lower().split("(")[0]))


def _read_text(path: Path) -> pd.DataFrame:
    """Read ``|| IMD003 ||  || 0 || 0 | T | A | A | A | A || 4 ||``; empty cells count, the legend below does not."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines()]
    rows = [
        [cell.strip() for cell in re.split(r"\|\|?", re.sub(r"^\|\||\|\|$", "", line))]
        for line in lines
        if line.startswith("||")
    ]
    header = [_plain(cell) for cell in rows[0]] if rows else []
    known = ["name", "histological_diagnosis", "clinical_diagnosis", *_CRITERIA, "colors"]
    if header != known:
        raise ValueError(f"{path}: a table with the columns {', '.join(known)} was expected, got {header}")
    cases = [row for row in rows[1:] if re.fullmatch(r"IMD\d+", row[0])]
    short = [row[0] for row in cases if len(row) != len(known)]
    if short:
        raise ValueError(f"{path}: the row of {short[0]} has not {len(known)} cells")
    table = pd.DataFrame(cases, columns=["image_id", *known[1:]], dtype=object)
    codes = table.pop("colors").str.split()
    for number, color in enumerate(COLORS, 1):
        table[f"color_{color}"] = [str(number) in given for given in codes]
    table["n_colors"] = codes.map(len)
    return table


def _read_sheet(path: Path) -> pd.DataFrame:
    """Read the Excel file: a legend above, crosses in place of the classes and the colors."""
    try:
        cells = pd.read_excel(path, header=None, dtype=object)
    except ImportError as error:
        raise ImportError(
            f"to read {path} the package openpyxl is needed (pip install openpyxl); PH2_dataset.txt needs nothing"
        ) from error
    start = next((row for row in range(len(cells)) if "image_name" in map(_plain, cells.iloc[row])), None)
    if start is None:
        raise ValueError(f"{path}: there is no cell 'Image Name'")
    table = cells.iloc[start + 1 :].set_axis([_plain(name) for name in cells.iloc[start]], axis=1)
    table = table[table["image_name"].astype(str).str.strip().str.fullmatch(r"IMD\d+")].reset_index(drop=True)
    result = pd.DataFrame({"image_id": table["image_name"].str.strip()}, dtype=object)
    result["histological_diagnosis"] = table["histological_diagnosis"].fillna("").astype(str).str.strip()
    crosses = table[["common_nevus", "atypical_nevus", "melanoma"]].notna()
    result["clinical_diagnosis"] = crosses.to_numpy().argmax(axis=1).astype(str).astype(object)
    result.loc[(crosses.sum(axis=1) != 1).to_numpy(), "clinical_diagnosis"] = ""
    for name in _CRITERIA:
        result[name] = table[name].map(_as_code)
    for color in COLORS:
        result[f"color_{color}"] = table[color].notna()
    result["n_colors"] = result[[f"color_{color}" for color in COLORS]].sum(axis=1)
    return result


def _as_code(cell: Any) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell == cell else str(cell).strip()


def _check(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Refuse unknown codes and repeated cases; give numbers where they are numbers."""
    if table.empty:
        raise ValueError(f"{path} has no row of a case such as IMD003")
    if table["image_id"].duplicated().any():
        raise ValueError(f"{path}: {table['image_id'][table['image_id'].duplicated()].iloc[0]} is there twice")
    for column, known in {"clinical_diagnosis": ("0", "1", "2"), **_CRITERIA}.items():
        wrong = ~table[column].isin(known)
        if wrong.any():
            row = table[wrong].iloc[0]
            raise ValueError(f"{path}: {column} of {row['image_id']} is {row[column]!r}, not one of {', '.join(known)}")
    histology = table["histological_diagnosis"]
    clinical = table["clinical_diagnosis"].astype(int)
    return table.assign(
        histological_diagnosis=histology.astype(object).where(histology != "", None),
        clinical_diagnosis=clinical,
        asymmetry=table["asymmetry"].astype(int),
        diagnosis=pd.Series([CLASSES[code] for code in clinical], index=table.index, dtype=object),
    )
