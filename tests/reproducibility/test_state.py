"""What belongs to the whole process is after a call what it was before; estimators: check_process_untouched."""

import doctest
import importlib
import importlib.util
import os
import random
import re
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from joblib import parallel_config
from sklearn.linear_model import LogisticRegression

import skinseg
from skinseg import ABCDFeaturizer, BatchedPipeline, LesionImage, ThresholdSegmenter
from skinseg._quiet import ignored_warnings, told_by_environment
from skinseg.cli import main
from skinseg.datasets import load_lesion_table, make_lesions
from skinseg.exceptions import EmptyMaskWarning, ImageBatchError
from skinseg.outlining import quietly
from skinseg.testing import process_state, process_untouched

PACKAGE = Path(skinseg.__file__).parent
ROOT = Path(__file__).parents[2]
opened = []
BLANK = np.full((40, 50, 3), 200, np.uint8)  # no lesion in it


@pytest.fixture(autouse=True, scope="module")
def _libraries_are_loaded():
    """What an import changes is the library's own, and happens once."""
    import matplotlib.pyplot as plt
    import onnxruntime  # noqa: F401

    plt.switch_backend("agg")


@pytest.fixture
def own_temporary(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


# ---------------------------------------------------------------------- the look itself


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("random state of numpy", lambda m: np.random.random()),
        ("random state of Python", lambda m: random.random()),
        ("working folder", lambda m: m.chdir("/")),
        ("filters of warnings", lambda m: warnings.simplefilter("ignore", EmptyMaskWarning)),
        ("threads of OpenCV", lambda m: cv2.setNumThreads(cv2.getNumThreads() + 1)),
        ("environment", lambda m: m.setenv("SOMETHING", "new")),
        ("errors of numpy", lambda m: np.seterr(divide="raise")),
        ("options of pandas", lambda m: pd.set_option("display.precision", 2)),
        ("limits of Pillow", lambda m: m.setattr("PIL.Image.MAX_IMAGE_PIXELS", 5)),
        ("settings of matplotlib", lambda m: m.setitem(sys.modules["matplotlib"].rcParams, "font.size", 31)),
        ("sys.path", lambda m: m.syspath_prepend("/nowhere")),
        ("open files", lambda m: opened.append(os.open(__file__, os.O_RDONLY))),
    ],
)
def test_a_change_is_seen(name, change, monkeypatch):
    states, threads = (random.getstate(), np.random.get_state(), np.geterr()), cv2.getNumThreads()
    try:
        with pytest.raises(AssertionError, match=f"changed by the call: .*{name}"), process_untouched():
            change(monkeypatch)
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        np.seterr(**states[2])
        cv2.setNumThreads(threads)
        pd.reset_option("display.precision")
        while opened:
            os.close(opened.pop())


# ---------------------------------------------------------------------- warnings


def warn_in_turn(first, second, inside, outside):
    """Two threads whose blocks overlap: the one that begins first ends first."""
    steps = [threading.Event() for _ in range(3)]

    def one():
        with first():
            steps[0].set()
            assert steps[1].wait(10)
            inside()
        steps[2].set()

    def other():
        assert steps[0].wait(10)
        with second():
            steps[1].set()
            assert steps[2].wait(10)
            inside()
        outside()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(one), pool.submit(other)]:
            done.result()


def test_filters_are_as_before_in_whatever_order_threads_end():
    def inside():
        warnings.warn("of no interest", EmptyMaskWarning, stacklevel=1)

    def outside():
        with pytest.raises(EmptyMaskWarning):  # warnings are errors here
            inside()

    for _ in range(3):
        before = list(warnings.filters)
        warn_in_turn(*[lambda: ignored_warnings(EmptyMaskWarning)] * 2, inside, outside)
        assert list(warnings.filters) == before


def test_only_warnings_of_the_thread_and_class_and_text_are_ignored():
    def warn(text="kept for later", kind=UserWarning):
        warnings.warn(text, kind, stacklevel=1)

    with ignored_warnings(UserWarning, "kept"), ThreadPoolExecutor(1) as pool:
        warn()
        warn(kind=EmptyMaskWarning)  # a class below it
        for call in (lambda: warn("not kept"), lambda: warn(kind=FutureWarning)):
            with pytest.raises((UserWarning, FutureWarning)):
                call()
        with pytest.raises(UserWarning, match="kept"):
            pool.submit(warn).result()
    with pytest.raises(UserWarning, match="kept"):
        warn()


def test_filters_that_are_set_meanwhile_stay():
    with warnings.catch_warnings():
        with ignored_warnings():
            warnings.simplefilter("ignore", EmptyMaskWarning)
        warnings.warn("of no interest", EmptyMaskWarning, stacklevel=1)
        assert warnings.filters[0] == ("ignore", None, EmptyMaskWarning, None, 0)


def test_quiet_calls_in_many_threads():
    """`warnings.catch_warnings` would leave a filter behind in a run of these."""
    segmenter = ThresholdSegmenter()
    with process_untouched(), ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: quietly(segmenter.predict, [BLANK]), range(64)))
    assert not any(masks[0].any() for masks in found)
    with pytest.warns(EmptyMaskWarning):
        segmenter.predict([BLANK])


def test_nothing_in_the_package_takes_the_filters_of_others():
    using = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if "catch_warnings(" in path.read_text()}
    # the command of an own process, and the checks
    assert {path for path in using if not path.startswith("testing/")} == {"evaluation/_command.py"}


def test_variables_are_set_for_a_while_only(monkeypatch):
    monkeypatch.setenv("SKINSEG_FIRST", "mine")
    with process_untouched(), told_by_environment({"SKINSEG_FIRST": "other", "SKINSEG_SECOND": "told"}):
        assert (os.environ["SKINSEG_FIRST"], os.environ["SKINSEG_SECOND"]) == ("mine", "told")


def test_packaged_networks_report_nothing_to_the_maker_of_their_library():
    code = """
import os, sys
import numpy as np
from skinseg.networks._packaged import packaged_network, run_packaged
run_packaged(np.zeros((1, *[packaged_network().input_size] * 2, 3), np.uint8))
names = [os.readlink(entry.path) for entry in os.scandir("/proc/self/fd") if entry.is_file()]
print([name for name in names if "onnxruntime" in name], "ORT_DISABLE_TELEMETRY" in os.environ)
"""
    env = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == "[] False"


# ---------------------------------------------------------------------- calls


def displays(lesions, files, out):
    from matplotlib.figure import Figure

    from skinseg.inspection import ABCDDisplay, LesionDisplay, SegmentationErrorDisplay, contact_sheet

    image, mask = lesions.images[0], lesions.masks[0]
    ax = Figure().subplots()
    LesionDisplay.from_predictions(image, mask).plot(ax=ax)
    SegmentationErrorDisplay.from_predictions(image, mask, np.roll(mask, 3)).plot(ax=ax)
    ABCDDisplay.from_predictions(image, mask)  # draws figures of pyplot, as all such methods do
    sys.modules["matplotlib.pyplot"].close("all")
    contact_sheet(lesions.images[:3], lesions.masks[:3])


def report(lesions, files, out):
    from skinseg.inspection import write_report

    write_report(files[:2], out / "r.html", segmenter=ThresholdSegmenter(), model=None)


def metrics(lesions, files, out):
    from skinseg import metrics

    moved = [np.roll(mask, 2, axis=0) for mask in lesions.masks]
    for name in metrics.__all__:
        if name.endswith(("_score", "_distance")) and "specificity_at" not in name and "sensitivity_at" not in name:
            function = getattr(metrics, name)
            function([0, 1, 1, 0], [0.1, 0.9, 0.4, 0.2]) if "auc" in name else function(lesions.masks, moved)


def pipeline(lesions, files, out):
    steps = [("segmenter", ThresholdSegmenter()), ("features", ABCDFeaturizer())]
    BatchedPipeline(steps, n_jobs=2).fit_transform(files)
    with parallel_config(backend="threading", n_jobs=2):
        skinseg.make_lesion_pipeline(ThresholdSegmenter(), LogisticRegression()).fit(files, lesions.target)


def tables(lesions, files, out):
    from skinseg.bulk import measure_to_file

    data = load_lesion_table(files[0].parents[1] / "lesions.csv", group_column="lesion")
    measure_to_file(list(data.images), out / "t.csv", segmenter=ThresholdSegmenter())


def drawing(lesions, files, out):
    make_lesions(2, random_state=0, min_side=60, max_side=70)
    make_lesions(2, random_state=np.random.RandomState(3), min_side=60, max_side=70)


def models(lesions, files, out):
    fitted = ThresholdSegmenter().fit(lesions.images)
    skinseg.load(skinseg.save(fitted, out / "m.skops"))
    skinseg.load_pretrained("melanoma").predict_proba(files[:2])


def segment_command(lesions, files, out):
    result = CliRunner().invoke(
        main, ["segment", *map(str, files[:3]), "--out", str(out / "o"), "--segmenter", "threshold", "-q"]
    )
    assert result.exit_code == 0, result.output


def features_command(lesions, files, out):
    result = CliRunner().invoke(
        main, ["features", str(files[0]), str(out / "no.png"), "--out", str(out / "f.csv"), "-q"]
    )
    assert result.exit_code in (1, 2), result.output


def error_in_a_batch(lesions, files, out):
    (out / "cut.jpg").write_bytes(cv2.imencode(".jpg", lesions.images[0])[1].tobytes()[:900])
    with pytest.raises(ImageBatchError):
        ThresholdSegmenter(n_jobs=2).predict([files[0], out / "cut.jpg"])
    with pytest.raises(ValueError, match="max_side"):
        skinseg.ImageResizer(0).fit(files)
    with pytest.raises(FileNotFoundError):
        skinseg.load(out / "no.skops")


CALLS = [
    displays, report, metrics, pipeline, tables, drawing, models, segment_command, features_command, error_in_a_batch,
]  # fmt: skip


@pytest.fixture(scope="module")
def files(lesion_files):
    return sorted((lesion_files / "images").iterdir())


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_calls(call, lesions, files, tmp_path, own_temporary):
    with process_untouched():
        call(lesions, files, tmp_path)
    left = [path for path in own_temporary.iterdir() if not path.name.startswith("joblib")]
    assert not left
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_calls_in_threads_that_overlap(lesions, files, tmp_path, own_temporary):
    chosen = [metrics, pipeline, tables, drawing, error_in_a_batch]
    folders = [tmp_path / call.__name__ for call in chosen]
    for folder in folders:
        folder.mkdir()
    with process_untouched(), ThreadPoolExecutor(len(chosen)) as pool:
        list(pool.map(lambda call, folder: call(lesions, files, folder), chosen, folders))
    assert not [path for path in own_temporary.iterdir() if not path.name.startswith("joblib")]


def test_an_interrupted_call_leaves_nothing_behind(lesions, monkeypatch, own_temporary):
    def interrupted(self, record):
        raise KeyboardInterrupt

    monkeypatch.setattr(ThresholdSegmenter, "_segment", interrupted)
    with process_untouched():
        for settings in ({}, {"n_jobs": 2}):
            with parallel_config(backend="threading"), pytest.raises(KeyboardInterrupt):
                ThresholdSegmenter(**settings).predict([LesionImage(image) for image in lesions.images])


def test_imports_change_nothing():
    """Looked at by a copy of the look, which itself imports nothing of the package."""
    path = PACKAGE / "testing" / "_state.py"
    code = f"""
import importlib, importlib.util, sys
import imblearn, scipy.ndimage, skimage, sklearn.pipeline  # what they do is theirs
spec = importlib.util.spec_from_file_location("look", {str(path)!r})
look = importlib.util.module_from_spec(spec)
spec.loader.exec_module(look)
for module in ("skinseg", "skinseg.features", "skinseg.cli", "skinseg.evaluation", "skinseg.inspection"):
    with look.process_untouched():
        importlib.import_module(module)
print([name for name in ("tensorflow", "keras", "matplotlib", "onnxruntime") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_numbers_without_a_seed_are_drawn_from_the_state_of_numpy():
    """The one exception, as in scikit-learn: ``random_state=None`` and ``np.random.seed`` go together."""
    state = np.random.get_state()
    try:
        drawn = []
        for _ in range(2):
            np.random.seed(5)
            drawn.append(make_lesions(1, min_side=60, max_side=70).images[0])
        np.testing.assert_array_equal(*drawn)
        assert not np.array_equal(drawn[0], make_lesions(1, min_side=60, max_side=70).images[0])
    finally:
        np.random.set_state(state)


# ---------------------------------------------------------------------- everything that is public


def examples():
    """Each public name of docs/api.py that has an example, by its full name."""
    spec = importlib.util.spec_from_file_location("api", ROOT / "docs" / "api.py")
    api = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(api)
    for _, _, _, groups in api.SECTIONS:
        for _, module, names in groups:
            for name in names.split():
                yield module, name


@pytest.mark.long
@pytest.mark.parametrize(("module", "name"), list(examples()))
def test_examples_of_all_that_is_public(module, name, tmp_path, monkeypatch, own_temporary):
    item = getattr(importlib.import_module(module), name)
    tests = [test for test in doctest.DocTestFinder(recurse=True).find(item, name) if test.examples]
    if any(re.search(r"UNet|BCDU|CNNClassifier|keras|unet|bcdu", test.docstring) for test in tests):
        pytest.importorskip("keras")
        skinseg.UNetSegmenter(16, depth=1, base_filters=2, epochs=1).fit([np.zeros((16, 16, 3), np.uint8)] * 2, [
            np.eye(16, dtype=bool)] * 2)  # fmt: skip
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    with process_untouched():
        for test in tests:
            runner.run(test, clear_globs=True)
        sys.modules["matplotlib.pyplot"].close("all")
    assert runner.failures == 0


def test_the_look_is_complete():
    """What the promise names, and what it may be read from."""
    assert {
        "random state of numpy", "random state of Python", "working folder", "filters of warnings", "environment",
        "threads of OpenCV", "threads of libraries", "errors of numpy", "options of pandas", "backend of joblib",
        "limits of Pillow", "settings of matplotlib", "locale", "handlers of signals", "handlers of logs", "sys.path",
        "mask of new files", "open files",
    } <= set(process_state())  # fmt: skip
