"""Put faults into the features and the metrics, one at a time, and see whether the tests catch each.

    python benchmarks/experiments/deliberate_faults.py [--only WORDS] [--jobs N] [--check] [--out faults.csv]

Each fault is a change of a few letters: a wrong axis, one too many, channels swapped, radians for degrees, a share of
the wrong whole. The package is copied, changed, and its tests of features and metrics are run against the copy, first
those whose values were derived without the package, then the recorded figures that it has made itself. A fault that
neither catches is an error of the tests; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pandas as pd

ROOT = Path(__file__).parents[2]


class Fault(NamedTuple):
    """What is changed in a file of the package."""

    file: str
    what: str
    old: str
    new: str


FAULTS = [
    # asymmetry
    Fault(
        "features/asymmetry.py",
        "angle in degrees",
        "return center, float(angle)",
        "return center, float(np.rad2deg(angle))",
    ),
    Fault(
        "features/asymmetry.py",
        "moments of the other axis",
        'moments["mu20"] - moments["mu02"]',
        'moments["mu02"] - moments["mu20"]',
    ),
    Fault(
        "features/asymmetry.py",
        "mirrored by the angle, not twice it",
        "np.cos(2 * angle), np.sin(2 * angle)",
        "np.cos(angle), np.sin(angle)",
    ),
    Fault(
        "features/asymmetry.py",
        "perpendicular is 180 degrees",
        "return self.angle, self.angle + np.pi / 2",
        "return self.angle, self.angle + np.pi",
    ),
    Fault("features/asymmetry.py", "one axis in place of the mean", "{name: sum(values) / 2}", "{name: values[0]}"),
    Fault(
        "features/asymmetry.py",
        "all three must be asymmetric",
        "[any(_about(folds, what, angle) >= limit",
        "[all(_about(folds, what, angle) >= limit",
    ),
    Fault(
        "features/asymmetry.py",
        "shift over the radius",
        "diameter = 2 * folds.region.radius",
        "diameter = folds.region.radius",
    ),
    Fault(
        "features/asymmetry.py",
        "row and column of the center swapped",
        'zip(("10", "01"), folds.center',
        'zip(("01", "10"), folds.center',
    ),
    # border
    Fault("features/border.py", "octants of 90 degrees", "turn / (np.pi / 4)", "turn / (np.pi / 2)"),
    Fault(
        "features/border.py",
        "octants begin at the x axis",
        "np.arctan2(away[:, 0], away[:, 1]) - self.angle)",
        "np.arctan2(away[:, 0], away[:, 1]))",
    ),
    Fault("features/border.py", "diameter without 4", "np.sqrt(4 * self.area / np.pi)", "np.sqrt(self.area / np.pi)"),
    Fault("features/border.py", "weakest octant first", "np.sort(means[measured])[::-1]", "np.sort(means[measured])"),
    Fault("features/border.py", "abrupt only above a half", "shares[measured] >= 0.5)", "shares[measured] > 0.75)"),
    Fault("features/border.py", "half a pixel lost", "((points + 0.5) / ratio - 0.5)", "(points / ratio)"),
    Fault("features/border.py", "profiles inwards", "(step * normals).astype", "(-step * normals).astype"),
    Fault("features/_outline.py", "area without the closing side", " + x[-1] * y[0] - y[-1] * x[0]) / 2", ") / 2"),
    Fault(
        "features/_outline.py",
        "length without the closing side",
        "np.diff(polygon, axis=0, append=polygon[:1])",
        "np.diff(polygon, axis=0)",
    ),
    Fault(
        "features/_outline.py",
        "curvature by the square of the speed",
        "np.imag(np.conj(first) * second) / speed**3",
        "np.imag(np.conj(first) * second) / speed**2",
    ),
    Fault(
        "features/_outline.py",
        "pockets of twice the area",
        "away[:, 1] * following[:, 0], starts)) / 2",
        "away[:, 1] * following[:, 0], starts))",
    ),
    Fault("features/_outline.py", "slope of the wrong sign", "finer = -np.log(BOX_SIZES)", "finer = np.log(BOX_SIZES)"),
    # color
    Fault(
        "features/color.py", "channels swapped", "STANDARD_SKIN = (205, 165, 145)", "STANDARD_SKIN = (145, 165, 205)"
    ),
    Fault("features/color.py", "BGR for RGB in HSV", "cv2.COLOR_RGB2HSV_FULL", "cv2.COLOR_BGR2HSV_FULL"),
    Fault("features/color.py", "a color counts from 10 %", "_PRESENT = 0.04", "_PRESENT = 0.10"),
    Fault(
        "features/color.py",
        "shares of the colored part only",
        "minlength=len(COLOR_NAMES)) / len(asked)",
        "minlength=len(COLOR_NAMES)) / np.count_nonzero(asked >= 0)",
    ),
    Fault(
        "features/color.py",
        "hue in radians",
        '["color_relative_hue"] = float(np.rad2deg(np.arctan2(y, x)))',
        '["color_relative_hue"] = float(np.arctan2(y, x))',
    ),
    Fault(
        "features/color.py",
        "natural logarithm in bits",
        "(shares * np.log2(shares)).sum()",
        "(shares * np.log(shares)).sum()",
    ),
    Fault("features/color.py", "skin minus lesion", "contrast = mean - skin", "contrast = skin - mean"),
    Fault("features/color.py", "hue of a circle of 255", "np.float32(2 * np.pi / 256)", "np.float32(2 * np.pi / 180)"),
    Fault(
        "features/color.py", "skewness by the square", "cubed / max(spread, 0.5) ** 3", "cubed / max(spread, 0.5) ** 2"
    ),
    Fault(
        "features/_region.py",
        "radius of the disc without its root",
        "np.sqrt(np.count_nonzero(self.mask) / np.pi)",
        "np.sqrt(np.count_nonzero(self.mask)) / np.pi",
    ),
    Fault(
        "features/_region.py", "artifacts count as lesion", "clean = self.mask & ~self.artifacts", "clean = self.mask"
    ),
    Fault("features/_region.py", "median one off", "ordered[:, size // 2]) / 2", "ordered[:, size // 2 - 1]) / 2"),
    # dimension
    Fault(
        "features/dimension.py",
        "areas in mm, not mm2",
        "region.area * region.pixel_size**2",
        "region.area * region.pixel_size",
    ),
    Fault(
        "features/dimension.py",
        "second moments swapped",
        '[[moments["mu02"], moments["mu11"]], [moments["mu11"], moments["mu20"]]]',
        '[[moments["mu20"], moments["mu11"]], [moments["mu11"], moments["mu02"]]]',
    ),
    Fault("features/dimension.py", "semi-axes", "directions.T * 4 * np.sqrt", "directions.T * 2 * np.sqrt"),
    Fault("features/dimension.py", "pixels are points", "spread += np.eye(2) / 12", "spread += 0"),
    Fault(
        "features/dimension.py",
        "Feret of centers, not edges",
        "np.array([[0.5, 0], [-0.5, 0], [0, 0.5], [0, -0.5]])",
        "np.zeros((1, 2))",
    ),
    Fault(
        "features/dimension.py",
        "widest for narrowest",
        "side = int(np.argmin(np.abs(widths)))",
        "side = int(np.argmax(np.abs(widths)))",
    ),
    Fault("features/dimension.py", "elongation the other way up", "1 - minor / major", "1 - major / minor"),
    # structures
    Fault(
        "features/structure.py",
        "dots and globules swapped",
        "weights=spots.weights * (1 - large)",
        "weights=spots.weights * large",
    ),
    Fault(
        "features/structure.py",
        "streaks across for along",
        "along = (xx * x * x + 2 * xy * x * y + yy * y * y)",
        "along = (xx * y * y - 2 * xy * x * y + yy * x * x)",
    ),
    Fault("features/texture.py", "matrix not symmetric", "matrix = matrix + matrix.T", "matrix = matrix + matrix"),
    Fault("features/texture.py", "one level too many", "np.float32(levels / TOP)", "np.float32((levels + 1) / TOP)"),
    Fault(
        "features/_abcd.py",
        "columns in the order of the alphabet",
        "return np.array([values[name] for name in names]",
        "return np.array([values[name] for name in sorted(names)]",
    ),
    # metrics
    Fault(
        "metrics/_overlap.py",
        "Dice counts the overlap once",
        "return _ratio(2 * pair.true_positive, total)",
        "return _ratio(pair.true_positive, total)",
    ),
    Fault(
        "metrics/_overlap.py",
        "precision for sensitivity",
        "_ratio(pair.true_positive, pair.true_positive + pair.false_negative)",
        "_ratio(pair.true_positive, pair.true_positive + pair.false_positive)",
    ),
    Fault(
        "metrics/_overlap.py",
        "empty against empty is 0",
        "return numerator / denominator if denominator else 1.0",
        "return numerator / denominator if denominator else 0.0",
    ),
    Fault("metrics/_overlap.py", "failed from 0.65 on", "pair.jaccard >= threshold", "pair.jaccard > threshold"),
    Fault(
        "metrics/_boundary.py",
        "one direction only",
        "return max((float(np.percentile(kind, percentile)) for kind in sets), default=0.0)",
        "return min((float(np.percentile(kind, percentile)) for kind in sets), default=0.0)",
    ),
    Fault(
        "metrics/_boundary.py",
        "boundary of eight neighbors",
        "cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))",
        "cv2.getStructuringElement(cv2.MORPH_RECT, (3, 3))",
    ),
    Fault(
        "metrics/_boundary.py",
        "the edge of the image is no boundary",
        "borderType=cv2.BORDER_CONSTANT, borderValue=0)",
        "borderType=cv2.BORDER_REPLICATE)",
    ),
    Fault("metrics/_boundary.py", "diagonal of the height", "diagonal = hypot(*shape)", "diagonal = float(shape[0])"),
    Fault(
        "metrics/_boundary.py",
        "millimeters divided",
        "kind * pixel_size for kind in distances",
        "kind / pixel_size for kind in distances",
    ),
    Fault(
        "metrics/_boundary.py",
        "tolerance without the rounding",
        "limit = tolerance * (1 + _ROUNDING)",
        "limit = tolerance",
    ),
    Fault(
        "metrics/_boundary.py",
        "corner of the box forgotten",
        "return np.argwhere(box != inner) + np.array([y, x])",
        "return np.argwhere(box != inner) + np.array([x, y])",
    ),
    Fault(
        "metrics/_ranking.py",
        "bins one too high",
        "np.ceil(middle - _ROUNDING).astype(np.intp) - 1",
        "np.ceil(middle - _ROUNDING).astype(np.intp)",
    ),
    Fault(
        "metrics/_ranking.py", "gaps not weighted", "np.abs(gaps).sum() / mass.sum()", "np.abs(gaps).sum() / len(mass)"
    ),
    Fault(
        "metrics/_ranking.py",
        "error not negated",
        '(expected_calibration_error, "predict_proba", False)',
        '(expected_calibration_error, "predict_proba", True)',
    ),
]
RECORDED = ["tests/golden"]
# tests of files that have none of their own name
OTHERS = {
    "features/_abcd.py": ["test_features.py"],
    "features/_outline.py": ["test_border.py"],
    "features/_region.py": ["test_color.py", "test_features.py"],
    "features/structure.py": ["test_structure_features.py"],
    "features/texture.py": ["test_structure_features.py"],
}
NONE = [
    Fault("features/_abcd.py", "none", "self.groups = groups", "self.groups = groups"),
    Fault("metrics/_overlap.py", "none", "Average = str | None", "Average = str | None"),
]


def derived_for(fault: Fault) -> list[str]:
    """Give the tests of a file, whose values were derived without the package.

    Parameters
    ----------
    fault : Fault
        What is changed.

    Returns
    -------
    list of str
        Files and folders.
    """
    room, name = fault.file.split("/")
    tests = OTHERS.get(fault.file, [f"test_{name.lstrip('_')}"])
    return [f"tests/{room}/{test}" for test in tests]


def put_in(fault: Fault, folder: Path) -> None:
    """Change one place in a copy of the package; the old text must be there just once.

    Parameters
    ----------
    fault : Fault
        What is changed.
    folder : Path
        Folder of the package's copy.
    """
    path = folder / fault.file
    text = path.read_text()
    if text.count(fault.old) != 1:
        raise SystemExit(f"{fault.file} has {text.count(fault.old)} places {fault.old!r}: bring the fault up to date")
    path.write_text(text.replace(fault.old, fault.new))


def copy_with(fault: Fault, box: Path) -> Path:
    """Copy the package and its tests, with the fault.

    Parameters
    ----------
    fault : Fault
        What is changed.
    box : Path
        Where the copy is made.

    Returns
    -------
    Path
        The copy.
    """
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "skinseg", box / "skinseg", ignore=ignored)
    shutil.copytree(ROOT / "tests", box / "tests", ignore=ignored)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, box)
    (box / "docs").symlink_to(ROOT / "docs")
    put_in(fault, box / "skinseg")
    return box


def catch(box: Path, tests: list[str]) -> str:
    """Give the first test that fails on a copy, or an empty text.

    Parameters
    ----------
    box : Path
        The copy.
    tests : list of str
        Files and folders of tests.

    Returns
    -------
    str
        Name of the test.
    """
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST_"))}
    environment = kept | {"PYTHONPATH": str(box), "SKINSEG_DATA": str(box), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=box, env=environment, capture_output=True, text=True, check=False)
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    if done.returncode and not failed:
        raise SystemExit(done.stdout + done.stderr)
    return failed[0].removeprefix("tests/") if failed else ""


def judge(fault: Fault) -> dict[str, str]:
    """See which tests catch a fault.

    Parameters
    ----------
    fault : Fault
        What is changed.

    Returns
    -------
    dict of str to str
        A row of the table.
    """
    with tempfile.TemporaryDirectory(prefix="skinseg-fault-") as folder:
        box = copy_with(fault, Path(folder))
        row = {"file": fault.file, "fault": fault.what, "caught by": catch(box, derived_for(fault))}
        row["recorded figures"] = catch(box, RECORDED) if fault.file.startswith("features") else ""
    print(
        f"{fault.file}: {fault.what}: {row['caught by'] or 'not caught'} | {row['recorded figures'] or '-'}", flush=True
    )
    return row


def main(arguments: list[str] | None = None) -> int:
    """Run the faults, and print and write the table.

    Parameters
    ----------
    arguments : list of str, default=None
        Of the command.

    Returns
    -------
    int
        1 if a fault was caught by no test.
    """
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--only", default="", help="only faults with these words in file or description")
    parser.add_argument("--jobs", type=int, default=1, help="faults at a time")
    parser.add_argument("--check", action="store_true", help="run the tests on the package as it is, too")
    parser.add_argument("--out", type=Path, help="table to write, .csv")
    options = parser.parse_args(arguments)
    if options.check and any(judge(none)[kind] for none in NONE for kind in ("caught by", "recorded figures")):
        raise SystemExit("the tests fail on the package as it is")
    chosen = [fault for fault in FAULTS if options.only in f"{fault.file}: {fault.what}"]
    with ThreadPoolExecutor(options.jobs) as pool:
        table = pd.DataFrame(list(pool.map(judge, chosen)))
    if options.out:
        table.to_csv(options.out, index=False)
    alone = int((table["caught by"] != "").sum())
    caught = int(((table["caught by"] != "") | (table["recorded figures"] != "")).sum())
    print(f"{len(table)} faults, {caught} caught: {alone} by values derived by hand, "
          f"{int((table['recorded figures'] != '').sum())} by recorded figures")  # fmt: skip
    return int(caught < len(table))


if __name__ == "__main__":
    sys.exit(main())
