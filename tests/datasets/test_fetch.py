"""Fetchers: what they download of published data sets, what they refuse, and what they leave."""

import errno
import hashlib
import json
import os
import re
import shutil
import threading

import layouts
import numpy as np
import pandas as pd
import pytest
from faulty_server import BLOCK, names, packed, serving
from PIL import Image

import skinseg.datasets
from skinseg.datasets import _download, _store
from skinseg.datasets._download import DiskError
from skinseg.datasets._fetch import FETCHERS
from skinseg.datasets._registry import REGISTRY, SUBSETS
from skinseg.datasets._unpack import MEMBERS


@pytest.fixture
def server():
    with serving() as httpd:
        yield httpd


def published(name, tmp_path):
    """The files of a data set as its registry names them, made of a small folder in its layout."""
    tree = tmp_path / "tree" / name
    tree.mkdir(parents=True)
    getattr(layouts, f"write_{name}")(tree)
    moved = {"ISIC_2020_Training_JPEG": "train", "ISIC_2020_Test_JPEG": "ISIC_2020_Test_Input"}
    flat = ("HAM10000_images_part_1", "HAM10000_images_part_2")
    served = {}
    for file in REGISTRY[name]:
        folder = tree / moved.get(file.stored, file.stored)
        if file.packed:
            members = {
                ("" if file.stored in flat else f"{folder.name}/") + str(path.relative_to(folder)): path.read_bytes()
                for path in sorted(folder.rglob("*.*"))
            }
            served[file.name] = packed(members | {"__MACOSX/._x.jpg": b"junk"})
        else:
            path = tree / file.name
            served[file.name] = (path if path.exists() else path.with_suffix("")).read_bytes()
    return tree, served


@pytest.fixture
def house(server, tmp_path):
    """Serves a data set, and fetches it from there into tmp_path / "home"."""

    def prepare(name, **defaults):
        tree, server.files = published(name, tmp_path)
        defaults = {
            "data_home": tmp_path / "home", "base_url": server.url + "/", "delay": 0, "n_retries": 1,
            "checksums": dict.fromkeys(server.files), "accept_license": True, **defaults,
        }  # fmt: skip
        return tree, lambda **how: FETCHERS[name](**{**defaults, **how})

    return prepare


@pytest.mark.parametrize("name", FETCHERS)
def test_fetched_is_what_the_loader_makes_of_the_published_folder(house, server, tmp_path, name):
    tree, fetch = house(name)
    tasks = ["segmentation", "attributes", "classification"] if name == "isic2018" else [None]
    for task in tasks:
        choice = {"task": task} if task else {}
        choice |= {} if name == "ham10000" else {"subset": "all"}
        expected = getattr(skinseg.datasets, f"load_{name}")(tree, on_missing="raise", **choice)
        data = fetch(on_missing="raise", **choice)
        assert [path.name for path in data.images] == [path.name for path in expected.images]
        assert len(data.images) >= 8
        for key in ("target", "groups"):
            assert pd.Series(data[key]).equals(pd.Series(expected[key]))
        assert (data.masks is None) == (expected.masks is None)
        assert np.asarray(Image.open(data.images[-1])).shape == (24, 32, 3)
        assert data.images[0].is_relative_to(tmp_path / "home" / name)
        assert data.DESCR == expected.DESCR
    folder = tmp_path / "home" / name
    assert names(folder) == sorted([".lock", "checksums.json", *(file.stored for file in REGISTRY[name])])
    requests = len(server.log)
    assert requests == len(REGISTRY[name])
    fetch(**choice)
    assert len(server.log) == requests
    table = skinseg.datasets.verify_dataset(name, tmp_path / "home")
    assert set(table["status"]) == {"ok"}
    assert set(table["origin"]) == {"first download"}
    state = skinseg.datasets.list_datasets(tmp_path / "home").set_index("name")["state"]
    assert state[name] == "complete"
    assert state["ph2"] == "by hand"


def test_only_what_is_needed_is_downloaded(house, server, tmp_path):
    _, fetch = house("isic2018")
    fetch(task="classification", subset="validation")
    assert {entry.path for entry in server.log} == {
        "ISIC2018_Task3_Validation_Input.zip", "ISIC2018_Task3_Validation_GroundTruth.zip",
    }  # fmt: skip
    state = skinseg.datasets.list_datasets(tmp_path / "home").set_index("name")["state"]
    assert state["isic2018"] == "2 of 16 files"
    with pytest.raises(OSError, match=r"lacks ISIC2018_Task1-2_Test_Input\.zip, ISIC2018_Task1_Test_GroundTruth\.zip,"):
        fetch(subset="test", download_if_missing=False)
    assert len(server.log) == 2
    assert len(fetch(task="classification", subset="validation", download_if_missing=False).images) == 8


def test_wrong_calls_download_nothing(house, server, tmp_path):
    _, fetch = house("isic2017")
    with pytest.raises(ValueError, match="subset must be one of 'training', 'validation', 'test', 'all', got 'train'"):
        fetch(subset="train")
    with pytest.raises(ValueError, match="task must be one of 'classification', 'segmentation', got 1"):
        fetch(task=1)
    with pytest.raises(TypeError, match=r"fetch_isic2017\(\) has no parameter 'misses'; those of .* target, on_miss"):
        fetch(misses=1)
    with pytest.raises(ValueError, match=r"checksums names 'x\.zip', which is no file of isic2017; they are I"):
        fetch(checksums={"x.zip": None})
    with pytest.raises(ValueError, match=r"must be sha256: or .*, got 'abc'"):
        fetch(checksums={"ISIC-2017_Training_Data.zip": "abc"})
    assert not server.log
    assert not (tmp_path / "home").exists()


def test_the_license_is_asked_for(house, server, tmp_path, monkeypatch):
    monkeypatch.delenv("SKINSEG_ACCEPT_LICENSE", raising=False)
    _, fetch = house("ham10000", accept_license=False)
    text = r"ham10000 .* non-commercial .*CC-BY-NC-4.0.*doi\.org/10\.7910.* accept_license=True .*Tschandl"
    with pytest.raises(ValueError, match=text):
        fetch()
    monkeypatch.setenv("SKINSEG_ACCEPT_LICENSE", "isic2019, isic2020")
    with pytest.raises(ValueError, match="SKINSEG_ACCEPT_LICENSE=ham10000"):
        fetch()
    assert not server.log
    assert not (tmp_path / "home").exists()
    monkeypatch.setenv("SKINSEG_ACCEPT_LICENSE", "isic2019, ham10000")
    assert len(fetch().images) == 8
    monkeypatch.delenv("SKINSEG_ACCEPT_LICENSE")
    assert len(fetch().images) == 8  # it was asked for before the download
    assert len(house("isic2017", accept_license=False)[1]().images) == 6


def test_a_known_checksum_is_kept_to(house, server, tmp_path):
    _, fetch = house("isic2017", checksums=None)
    found = hashlib.md5(server.files["ISIC-2017_Training_Data.zip"]).hexdigest()
    with pytest.raises(OSError, match=rf"expected md5:a14a7e622c67a358797ae59abb8a0b0c but got {found}"):
        fetch()
    folder = tmp_path / "home" / "isic2017"
    assert names(folder) == [".download", ".lock"]
    assert names(folder / ".download") == []


def test_a_pinned_checksum_is_kept_to(house, server, tmp_path):
    _, fetch = house("isic2017", subset="validation")
    good = {name: "sha256:" + hashlib.sha256(data).hexdigest() for name, data in server.files.items()}
    good["ISIC-2017_Validation_Data.zip"] = good["ISIC-2017_Test_v2_Data.zip"]
    with pytest.raises(OSError, match=rf"expected {good['ISIC-2017_Test_v2_Data.zip']} but got"):
        fetch(checksums=good)
    good["ISIC-2017_Validation_Data.zip"] = (
        "md5:" + hashlib.md5(server.files["ISIC-2017_Validation_Data.zip"]).hexdigest()
    )
    assert len(fetch(checksums=good).images) == 3
    table = skinseg.datasets.verify_dataset("isic2017", tmp_path / "home").set_index("file")
    assert table.loc["ISIC-2017_Validation_Data.zip", "checksum"] == good["ISIC-2017_Validation_Data.zip"]
    assert table.loc["ISIC-2017_Validation_Data.zip", "origin"] == "given by the caller"
    assert table.loc["ISIC-2017_Training_Data.zip", "status"] == "not fetched"


def test_what_came_first_is_trusted_and_kept_to(house, server, tmp_path):
    _, fetch = house("isic2016", checksums=None)
    fetch()
    folder = tmp_path / "home" / "isic2016"
    name = "ISBI2016_ISIC_Part1_Training_GroundTruth"
    record = json.loads((folder / "checksums.json").read_text())[f"{name}.zip"]
    data = server.files[f"{name}.zip"]
    first = "sha256:" + hashlib.sha256(data).hexdigest()
    assert record == {
        "checksum": first, "origin": "first download", "size": len(data), "url": server.url, "files": 6,
    }  # fmt: skip
    shutil.rmtree(folder / name)
    server.files[f"{name}.zip"] = packed({"other.png": b"1"})
    with pytest.raises(OSError, match=rf"/{name}\.zip: .*expected {first} but got"):
        fetch()
    assert not (folder / name).exists()
    fetch(checksums={f"{name}.zip": None}, on_missing="ignore")  # a new version is trusted if the user says so
    assert names(folder / name) == [MEMBERS, "other.png"]


def test_a_fetch_that_was_cut_goes_on_in_the_next_call(house, server, tmp_path):
    _, fetch = house("isic2017")
    name = "ISIC-2017_Training_Data.zip"
    server.files[name] = bytes(3 * BLOCK) + server.files[name]  # which zip files may begin with
    server.faults[name] = [{"cut": 2 * BLOCK}, {"status": 503}, {"status": 503}]
    with pytest.raises(OSError, match="131 kB have arrived and are kept"):
        fetch(n_retries=1)
    folder = tmp_path / "home" / "isic2017"
    assert names(folder / ".download") == [f"{name}.part", f"{name}.part.json"]
    (folder / ".download" / "unpack-of-a-killed-process").mkdir()
    (folder / ".download" / "tmpabc").touch()
    server.log.clear()
    assert len(fetch().images) == 6
    assert server.log[0].sent == len(server.files[name]) - 2 * BLOCK
    assert not (folder / ".download").exists()


def test_archives_that_are_bad_are_not_kept(house, server, tmp_path):
    _, fetch = house("isic2016", checksums=None)
    name = "ISBI2016_ISIC_Part1_Training_Data"
    good = server.files[f"{name}.zip"]
    folder = tmp_path / "home" / "isic2016"
    for bad, error in (
        (good[: len(good) // 2] + bytes(len(good) - len(good) // 2), OSError),
        (packed({"../../evil.txt": b"1", "a.jpg": b"2"}), ValueError),
    ):
        server.files[f"{name}.zip"] = bad
        with pytest.raises(error, match=rf"{name}\.zip.* (is damaged|is refused)"):
            fetch()
        assert names(folder) == [".download", ".lock"]
        assert names(folder / ".download") == []
        assert not list(tmp_path.rglob("evil.txt"))
    server.files[f"{name}.zip"] = good  # and no checksum of the bad one was written down
    assert len(fetch().images) == 6


def test_archives_downloaded_by_hand_are_taken(house, server, tmp_path):
    _, fetch = house("isic2017", checksums=None)
    folder = tmp_path / "home" / "isic2017"
    folder.mkdir(parents=True)
    for name, data in server.files.items():
        (folder / name).write_bytes(data)
    with pytest.raises(OSError, match=r"Data\.zip: expected md5:a14a\w+ \(recorded by several .*\), found md5:"):
        fetch()
    assert (folder / "ISIC-2017_Training_Data.zip").exists()  # it is the user's
    data = fetch(checksums=dict.fromkeys(server.files))
    assert len(data.images) == 6
    assert not server.log
    assert (folder / "ISIC-2017_Training_Data.zip").exists()


def test_what_is_there_is_loaded_without_writing(house, tmp_path, monkeypatch):
    _, fetch = house("ham10000")
    fetch()

    def forbidden(*args):
        raise AssertionError

    for name in ("locked", "import_pooch", "download_file", "get_data_home"):
        monkeypatch.setattr(_store, name, forbidden)
    assert len(fetch().images) == 8


def test_two_at_once_download_it_once(house, server):
    _, fetch = house("isic2017")
    results, errors = [], []

    def work():
        try:
            results.append(len(fetch().images))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert results == [6, 6, 6]
    assert len(server.log) == 3  # images, masks, table


def test_progress_and_license_on_request(house, capsys):
    _, fetch = house("isic2016")
    fetch()
    assert capsys.readouterr() == ("", "")
    fetch(subset="test", verbose=True)
    out, err = capsys.readouterr()
    assert "License: CC0-1.0" in out
    assert "ISBI2016_ISIC_Part1_Test_Data.zip: 100%" in err
    assert "unpack ISBI2016_ISIC_Part1_Test_Data: 100%" in err


def test_verify(house, tmp_path):
    _, fetch = house("isic2017")
    home = tmp_path / "home"
    with pytest.raises(ValueError, match="isic2017 is not fetched: there is no folder"):
        skinseg.datasets.verify_dataset("isic2017", home)
    with pytest.raises(ValueError, match="'ph2' is no data set that is fetched; they are isic2016, "):
        skinseg.datasets.verify_dataset("ph2", home)
    data = fetch()
    data.images[0].unlink()
    data.images[1].write_bytes(b"x")
    table_file = home / "isic2017" / "ISIC-2017_Training_Part3_GroundTruth.csv"
    table_file.write_text(table_file.read_text() + "\n")
    (home / "isic2017" / "ISIC-2017_Validation_Data").mkdir()
    table = skinseg.datasets.verify_dataset("isic2017", home).set_index("file")
    assert table["status"].to_dict() == {
        "ISIC-2017_Training_Data.zip": "damaged", "ISIC-2017_Training_Part1_GroundTruth.zip": "ok",
        "ISIC-2017_Training_Part3_GroundTruth.csv": "damaged", "ISIC-2017_Validation_Data.zip": "not checked",
        "ISIC-2017_Validation_Part1_GroundTruth.zip": "not fetched",
        "ISIC-2017_Validation_Part3_GroundTruth.csv": "not fetched", "ISIC-2017_Test_v2_Data.zip": "not fetched",
        "ISIC-2017_Test_v2_Part1_GroundTruth.zip": "not fetched",
        "ISIC-2017_Test_v2_Part3_GroundTruth.csv": "not fetched",
    }  # fmt: skip
    assert table.loc["ISIC-2017_Training_Data.zip", "problems"] == [
        "ISIC_0000000.jpg: missing", "ISIC_0000001.jpg: changed",
    ]  # fmt: skip
    assert "changed, expected sha256:" in table.loc["ISIC-2017_Training_Part3_GroundTruth.csv", "problems"][0]
    (home / "isic2017" / "checksums.json").write_text("{")
    with pytest.raises(OSError, match=r"checksums\.json cannot be read"):
        skinseg.datasets.verify_dataset("isic2017", home)


def test_data_home(tmp_path, monkeypatch):
    monkeypatch.setenv("SKINSEG_HOME", str(tmp_path / "env"))
    assert skinseg.datasets.get_data_home() == tmp_path / "env"
    assert (tmp_path / "env").is_dir()
    assert skinseg.datasets.get_data_home(tmp_path / "given") == tmp_path / "given"
    monkeypatch.delenv("SKINSEG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert skinseg.datasets.get_data_home() == tmp_path / "skinseg_data"
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="is a file and cannot be the folder"):
        skinseg.datasets.get_data_home(tmp_path / "file")
    with pytest.raises(OSError, match="file"):
        skinseg.datasets.get_data_home(tmp_path / "file" / "below")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path):  # pragma: no cover
    tmp_path.chmod(0o500)
    with pytest.raises(DiskError, match="cannot be written"):
        skinseg.datasets.get_data_home(tmp_path / "home")


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_folder_that_cannot_be_written_is_one_sentence(house, monkeypatch, number):
    _, fetch = house("isic2016")

    def refuse(path, data):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(_download, "write_file", refuse)
    with pytest.raises(DiskError, match=r"cannot be written \(.*\); give another data_home, or set SKINSEG_HOME$"):
        fetch()


def test_clear_removes_only_what_was_fetched(house, tmp_path):
    _, fetch = house("isic2016")
    fetch()
    home = tmp_path / "home"
    (home / "isic2017").mkdir()
    (home / "isic2017" / "mine.txt").touch()
    skinseg.datasets.clear_data_home(home)
    assert [path.name for path in home.rglob("*")] == ["isic2017", "mine.txt"]
    shutil.rmtree(home / "isic2017")
    skinseg.datasets.clear_data_home(home)
    assert not home.exists()
    skinseg.datasets.clear_data_home(home)


def test_clear_leaves_what_was_put_there_by_hand(house, server, tmp_path):
    tree, fetch = house("isic2017")
    home = tmp_path / "home"
    folder = home / "isic2017"
    folder.mkdir(parents=True)
    archive, unpacked = "ISIC-2017_Training_Data.zip", "ISIC-2017_Training_Part1_GroundTruth"
    (folder / archive).write_bytes(server.files[archive])
    (folder / "notes.txt").touch()
    shutil.copytree(tree / unpacked, folder / unpacked)
    assert len(fetch().images) == 6
    skinseg.datasets.clear_data_home(home)
    assert names(folder) == [archive, unpacked, "notes.txt"]
    assert len(list((folder / unpacked).iterdir())) == 6
    assert len(fetch().images) == 6  # and they are used again
    assert [entry.path for entry in server.log] == ["ISIC-2017_Training_Part3_GroundTruth.csv"] * 2


def test_clear_follows_a_link_to_another_disk(house, tmp_path):
    _, fetch = house("isic2016")
    (tmp_path / "disk").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "isic2016").symlink_to(tmp_path / "disk")
    fetch()
    (tmp_path / "disk" / "checksums.json").write_text(
        "{"
    )  # what was fetched of tables is not known then, and they stay
    skinseg.datasets.clear_data_home(tmp_path / "home")
    assert names(tmp_path / "disk") == ["ISBI2016_ISIC_Part3_Training_GroundTruth.csv"]
    assert (tmp_path / "home" / "isic2016").is_symlink()


def test_registry_is_in_order():
    assert set(FETCHERS) == set(REGISTRY) <= set(skinseg.datasets.CATALOG)
    for name, files in REGISTRY.items():
        assert len({file.name for file in files}) == len(files)
        for file in files:
            assert file.name.endswith((".zip", ".csv"))
            assert all(url.startswith("https://") for url in file.urls)
            assert file.subset in ("", *SUBSETS)
            assert (file.checksum is None) == (not file.source)
            assert file.checksum is None or re.fullmatch(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", file.checksum)
            assert file.megabytes > 0
            if name != "ham10000":
                assert all(url.endswith("/" + file.name) and f"/{name[4:]}/" in url for url in file.urls)
