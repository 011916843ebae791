import csv
import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from skinseg.datasets import make_lesions

DATA = Path(os.environ.get("SKINSEG_DATA", Path(__file__).parents[2] / "shared" / "data"))


# One process runs all of a file of these, or of an estimator in test_common.py (--dist loadgroup): to trace a network
# takes seconds, and what was traced is kept in its process. The groups are shared out among the processes.
NEEDS_KERAS = (
    "tests/classification/test_network",
    "tests/networks/",
    "tests/segmentation/test_network",
    "tests/test_experiments",
    "CNNClassifier",
    "UNetSegmenter",
    "graph_in_keras",
    "networks.md",
)


def pytest_configure(config):
    """Give each of several processes one thread: more would wait for each other."""
    if getattr(config.option, "numprocesses", None):
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # the processes are started later and take it over


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if any(name in item.nodeid for name in NEEDS_KERAS):
            file, _, test = item.nodeid.partition("::")
            estimator = test.partition("[")[2].partition("-")[0] if file == "tests/test_common.py" else ""
            item.add_marker(pytest.mark.xdist_group(f"keras {file} {estimator}"))
    if not (DATA / "isic2017" / "isic2017.csv").exists():
        skip = pytest.mark.skip(reason=f"no real images in {DATA.name} (set SKINSEG_DATA)")
        for item in items:
            if "realdata" in item.keywords:
                item.add_marker(skip)


class ListedSkips:
    """A test may be skipped for a reason of listed_skips.csv, and for no other: the run fails if one was."""

    def __init__(self):
        with open(Path(__file__).with_name("listed_skips.csv"), encoding="utf-8", newline="") as file:
            self.listed = [row["reason"] for row in csv.DictReader(file)]
        self.unlisted = []

    def allows(self, reason):
        return any(re.match(f"(Skipped: )?({listed})", reason) for listed in self.listed)

    def _look(self, report):
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = str(report.longrepr[2])
            if not self.allows(reason):
                self.unlisted.append(f"{report.nodeid}: {reason}")

    def pytest_runtest_logreport(self, report):
        self._look(report)

    def pytest_collectreport(self, report):
        self._look(report)

    def pytest_sessionfinish(self, session):
        if self.unlisted and session.exitstatus == 0:
            session.exitstatus = 1

    def pytest_terminal_summary(self, terminalreporter):
        for line in self.unlisted:
            terminalreporter.write_line(f"SKIPPED FOR A REASON THAT IS NOT IN listed_skips.csv {line}", red=True)


def pytest_sessionstart(session):
    session.config.pluginmanager.register(ListedSkips(), "listed skips")


@pytest.fixture(scope="session")
def data_folder():
    return DATA


@pytest.fixture(scope="session")
def lesions():
    """Sixteen small lesions of both classes."""
    return make_lesions(16, random_state=1, min_side=64, max_side=96, melanoma_fraction=0.5)


@pytest.fixture(scope="session")
def lesion_files(lesions, tmp_path_factory):
    """The same as files, with masks and a table beside them."""
    folder = tmp_path_factory.mktemp("lesions")
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    for index, (image, mask) in enumerate(zip(lesions.images, lesions.masks, strict=True)):
        cv2.imwrite(str(folder / "images" / f"a{index:02d}.png"), image[..., ::-1])
        cv2.imwrite(str(folder / "masks" / f"a{index:02d}_segmentation.png"), mask.astype(np.uint8) * 255)
    frame = lesions.frame.assign(
        image=[f"images/a{i:02d}.png" for i in range(16)],
        mask=[f"masks/a{i:02d}_segmentation.png" for i in range(16)],
        lesion=[f"L{i // 2}" for i in range(16)],
        diagnosis=np.where(lesions.target == 1, "melanoma", "nevus"),
    )
    frame.loc[3, "sex"] = "unknown"
    frame.to_csv(folder / "lesions.csv", index=False)
    return folder


@pytest.fixture
def broken_files(tmp_path, lesions):
    """One of each kind of bad file."""
    good = tmp_path / "good.jpg"
    cv2.imwrite(str(good), lesions.images[0][..., ::-1])
    jpeg = cv2.imencode(".jpg", cv2.resize(lesions.images[0], (200, 150)))[1].tobytes()
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("this is no image\n" * 30)
    (tmp_path / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    return tmp_path
