"""The command ``skinseg datasets``: list, fetch, describe, verify."""

import hashlib
import os
import sys

import layouts
import pytest
from click.testing import CliRunner
from faulty_server import packed, serving

from skinseg.cli import main
from skinseg.datasets import CATALOG, describe_dataset
from skinseg.datasets._registry import REGISTRY


def run(*args, code=0):
    result = CliRunner().invoke(main, ["datasets", *(str(arg) for arg in args)])
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """ISIC 2016 on a server, for which no checksums are known."""
    tree = tmp_path / "tree" / "isic2016"
    tree.mkdir(parents=True)
    layouts.write_isic2016(tree)
    monkeypatch.setenv("SKINSEG_HOME", str(tmp_path / "home"))
    with serving() as server:
        for file in REGISTRY["isic2016"]:
            path = tree / file.stored
            members = {f"{path.name}/{item.name}": item.read_bytes() for item in path.iterdir()} if file.packed else {}
            server.files[file.name] = packed(members) if file.packed else path.read_bytes()
        yield server


def test_list_fetch_verify(mirror, tmp_path):
    folder = tmp_path / "home" / "isic2016"
    lines = run("list").splitlines()
    assert lines[0].split() == ["name", "download", "license", "state", "home", "page"]
    assert len(lines) == 1 + len(CATALOG)
    assert lines[1].split() == ["isic2016", "0.8", "GB", "CC0-1.0", "not", "fetched", CATALOG["isic2016"].home]
    assert not folder.exists()

    text = run("fetch", "isic2016", "--base-url", mirror.url, "--subset", "training", "-q")
    assert text == f"6 images of isic2016 in {folder}\n"
    assert "3 of 6 files" in run("list")
    text = run("fetch", "isic2016", "--base-url", mirror.url, "--subset", "all")
    assert "10 images of isic2016" in text
    assert "License: CC0-1.0" in text
    assert "isic2016    0.8 GB  CC0-1.0       complete " in run("list")

    sha = hashlib.sha256(mirror.files["ISBI2016_ISIC_Part1_Test_Data.zip"]).hexdigest()
    assert f"ISBI2016_ISIC_Part1_Test_Data.zip: ok, checked with sha256:{sha} (first download)\n" in run(
        "verify", "isic2016"
    )
    (folder / "ISBI2016_ISIC_Part1_Test_Data" / "ISIC_0000500.jpg").write_bytes(b"")
    text = run("verify", "isic2016", code=1)
    assert "ISBI2016_ISIC_Part1_Test_Data.zip: damaged" in text
    assert "  ISIC_0000500.jpg: changed\n" in text
    text = run("fetch", "isic2016", "--subset", "test", "-q")
    assert "3 images of isic2016" in text
    assert "1 files are missing or empty; see skinseg datasets verify isic2016" in text


def test_what_cannot_be_fetched_is_one_line(mirror, tmp_path, monkeypatch):
    monkeypatch.delenv("SKINSEG_ACCEPT_LICENSE", raising=False)
    for args, words in (
        (["ph2"], "ph2 cannot be downloaded by a program. Get it from https://www.fc.up.pt"),
        (["isic2015"], "'isic2015' is no data set that can be fetched; they are isic2016,"),
        (["ham10000"], "--accept-license"),
        (["ham10000", "--subset", "all"], "ham10000 has no subset to choose"),
        (["isic2016", "--limit", "4"], "isic2016 has no limit to choose"),
        (["isic2016", "--subset", "train"], "subset must be one of 'training', 'test', 'all'"),
        (["isic_archive", "--collections", "70,x"], "'70,x' are no numbers"),
        (["isic_archive"], "nothing is selected"),
        (["isic2016", "--base-url", f"{mirror.url}/gone", "-q"], "there is no such file (404"),
    ):
        assert words in run("fetch", *args, code=2), args
    assert "not fetched" in run("verify", "isic2017", code=2)


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a script with a first line")
def test_fetch_of_the_archive(tmp_path, monkeypatch):
    layouts.write_image(tmp_path / "bin" / "image.jpg")
    client = tmp_path / "bin" / "isic"
    client.write_text(
        f"#!{sys.executable}\nimport sys, os, shutil\n"
        "assert sys.argv[3:6] == ['--search=sex:male', '--collections=70,65', '--limit=1'], sys.argv\n"
        "out = sys.argv[-1].removeprefix('--outfile=')\n"
        "if sys.argv[1] == 'image':\n"
        f"    shutil.copy({str(tmp_path / 'bin' / 'image.jpg')!r}, os.path.join(out, 'ISIC_0000000.jpg'))\n"
        "    out = os.path.join(out, 'metadata.csv')\n"
        "open(out, 'w').write('isic_id,copyright_license\\nISIC_0000000,CC-0\\n')\n"
    )
    client.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    text = run("fetch", "isic_archive", "--home", tmp_path / "home", "--query", "sex:male", "--collections", "70, 65",
               "--limit", "1", "-q")  # fmt: skip
    assert text == f"1 image of isic_archive in {tmp_path / 'home' / 'isic_archive'}\n"


def test_describe_a_data_set():
    text = run("describe", "isic2017")
    assert "Cite: Codella" in text
    assert "Files: 9, about 12.1 GB" in text
    assert "ISIC-2017_Training_Data.zip                 5.8 GB  checksum recorded by several projects" in text
    assert "downloaded by hand from the home page; then skinseg.datasets.load_ph2(folder)" in run("describe", "ph2")
    assert "isic2015 is neither a data set nor a folder" in run("describe", "isic2015", code=2)


@pytest.mark.parametrize("name", [name for name in CATALOG if name != "ima205"])
def test_describe_a_folder_finds_what_it_holds(tmp_path, name):
    folder = tmp_path / "downloads"
    folder.mkdir()
    getattr(layouts, f"write_{name}")(folder)
    text = run("describe", folder)
    assert text.startswith(CATALOG[name].title)
    assert text.count("License: ") == text.count(CATALOG[name].title)  # and nothing else
    assert "Images: " in text


def test_describe_a_folder_tells_classes_and_what_is_missing(tmp_path):
    layouts.write_isic2016(tmp_path)
    (tmp_path / "ISBI2016_ISIC_Part1_Training_GroundTruth" / "ISIC_0000000_Segmentation.png").unlink()
    text = describe_dataset(tmp_path)
    assert "Images: 10; masks: 9; groups: 10\nClasses: 0 6, 1 4\nMissing: 1 mask files" in text
    (tmp_path / "empty").mkdir()
    assert "holds no data set that is known" in run("describe", tmp_path / "empty", code=2)


def test_help_has_examples():
    assert "skinseg datasets fetch ham10000 --accept-license" in run("fetch", "--help")
    assert "verify" in run("--help")
