"""Downloads over a server that cuts, refuses, lies and stumbles; archives that are damaged or lead out."""

import errno
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import time
import zipfile
from types import SimpleNamespace

import pytest
from faulty_server import BLOCK, DATA, SHA, names, packed, serving

from skinseg.datasets import _download
from skinseg.datasets._download import DiskError, download_file, locked, size_text
from skinseg.datasets._unpack import unpack, verify_folder


@pytest.fixture
def server():
    with serving() as httpd:
        yield httpd


def get(server, path, checksum=SHA, n_retries=3, urls=("a.zip",)):
    addresses = tuple(f"{server.url}/{url}" if "//" not in url else url for url in urls)
    download_file(addresses, path, checksum=checksum, n_retries=n_retries, delay=0)


def test_plain_download(server, tmp_path):
    get(server, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == DATA
    assert names(tmp_path) == ["a.zip"]
    assert [entry.status for entry in server.log] == [200]


def test_a_cut_download_goes_on_where_it_was_cut(server, tmp_path):
    server.faults["a.zip"] = [{"cut": 6 * BLOCK + 100}, {"cut": 10 * BLOCK}]
    get(server, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == DATA
    assert names(tmp_path) == ["a.zip"]
    assert [(entry.status, entry.range, entry.if_range) for entry in server.log] == [
        (200, None, None), (206, f"bytes={6 * BLOCK}-", '"v1"'), (206, f"bytes={16 * BLOCK}-", '"v1"'),
    ]  # fmt: skip
    assert sum(entry.sent for entry in server.log) == len(DATA) + 100  # of the block that was cut


def test_the_next_call_goes_on(server, tmp_path):
    server.faults["a.zip"] = [{"cut": 9 * BLOCK}, *[{"status": 503}] * 3]
    with pytest.raises(
        OSError, match=r"busy or out of order \(503 .*3 times without anything new; 590 kB have"
    ) as info:
        get(server, tmp_path / "a.zip", n_retries=2)
    assert f"{server.url}/a.zip" in str(info.value)
    assert names(tmp_path) == ["a.zip.part", "a.zip.part.json"]  # nothing under the final name
    server.log.clear()
    get(server, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == DATA
    assert [(entry.range, entry.sent) for entry in server.log] == [(f"bytes={9 * BLOCK}-", len(DATA) - 9 * BLOCK)]


def test_a_killed_process_is_resumed_and_leaves_nothing(server, tmp_path):
    server.files["a.zip"] = DATA
    server.faults["a.zip"] = [{"cut": 8 * BLOCK}, {"status": 503, "headers": {"Retry-After": "60"}}]
    package = os.path.dirname(_download.__file__)
    code = (
        "import sys, types; from pathlib import Path\n"
        f"sys.modules['skinseg.datasets'] = types.ModuleType('skinseg.datasets'); import skinseg.datasets as d\n"
        f"d.__path__ = [{package!r}]; from skinseg.datasets._download import download_file\n"  # without the others
        f"download_file(({server.url + '/a.zip'!r},), Path({str(tmp_path / 'a.zip')!r}), checksum={SHA!r}, delay=0)"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 30
    while len(server.log) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not (tmp_path / "a.zip").exists()
    server.log.clear()
    get(server, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == DATA
    assert server.log[0].range == f"bytes={8 * BLOCK}-"


def test_a_server_that_knows_no_ranges_sends_it_again(server, tmp_path):
    server.faults["a.zip"] = [{"cut": 9 * BLOCK}, {"no_range": True}]
    get(server, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == DATA
    assert [(entry.status, entry.sent) for entry in server.log] == [(200, 9 * BLOCK), (200, len(DATA))]


def test_cut_again_and_again_at_the_same_place_gives_up(server, tmp_path):
    server.faults["a.zip"] = [{"cut": 9 * BLOCK, "no_range": True}] * 9
    with pytest.raises(OSError, match=r"589824.*, 3 times without anything new"):
        get(server, tmp_path / "a.zip", n_retries=2)
    assert len(server.log) == 4  # one that brought something, and three that did not


def test_another_version_is_begun_again(server, tmp_path):
    other = DATA[::-1]
    server.faults["a.zip"] = [{"cut": 9 * BLOCK}, *[{"status": 503}] * 2]
    with pytest.raises(OSError, match="503"):
        get(server, tmp_path / "a.zip", n_retries=1)
    server.files["a.zip"], server.etag = other, '"v2"'
    get(server, tmp_path / "a.zip", checksum=None)
    assert (tmp_path / "a.zip").read_bytes() == other  # and no mixture of both


def test_without_a_validator_nothing_is_resumed(server, tmp_path):
    server.etag = ""
    server.faults["a.zip"] = [{"cut": 9 * BLOCK}]
    get(server, tmp_path / "a.zip")
    assert [entry.range for entry in server.log] == [None, None]
    server.etag, server.log[:] = 'W/"weak"', []
    server.faults["a.zip"] = [{"cut": 9 * BLOCK}]
    get(server, tmp_path / "b.zip")
    assert [entry.range for entry in server.log] == [None, None]


@pytest.mark.parametrize("wrong", ["bytes 0-1507316/1507317", "bytes 5-9/10", "nonsense"])
def test_a_range_that_was_not_asked_for_is_not_appended(server, tmp_path, wrong):
    server.faults["a.zip"] = [{"cut": 9 * BLOCK}, {"content_range": wrong}]
    get(server, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == DATA
    assert [entry.status for entry in server.log] == [200, 206, 200]


def test_a_range_the_server_does_not_have(server, tmp_path):
    server.faults["a.zip"] = [{"cut": 9 * BLOCK}, {"status": 416}]
    get(server, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == DATA


def test_complete_but_not_renamed_asks_for_nothing(server, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(DATA)
    notes = {"url": f"{server.url}/a.zip", "validator": '"v1"', "total": len(DATA)}
    (tmp_path / "a.zip.part.json").write_text(json.dumps(notes))
    get(server, tmp_path / "a.zip")
    assert not server.log
    assert (tmp_path / "a.zip").read_bytes() == DATA
    assert names(tmp_path) == ["a.zip"]


def test_notes_that_are_nonsense_are_not_believed(server, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(b"x" * 1000)
    (tmp_path / "a.zip.part.json").write_text("{")
    get(server, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == DATA


def test_busy_then_well(server, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr(_download.time, "sleep", waits.append)
    server.faults["a.zip"] = [{"status": 503}, {"status": 429, "headers": {"Retry-After": "7"}}, {"status": 500}]
    download_file((f"{server.url}/a.zip",), tmp_path / "a.zip", checksum=SHA, delay=0.5)
    assert waits == [0.5, 7.0, 2.0]  # doubled, or what the server says
    assert (tmp_path / "a.zip").read_bytes() == DATA


def test_wrong_bytes_are_refused(server, tmp_path):
    server.files["a.zip"] = b"<html>moved</html>"
    found = hashlib.sha256(server.files["a.zip"]).hexdigest()
    with pytest.raises(OSError, match=rf"{server.url}/a.zip: .*expected {SHA} but got {found}"):
        get(server, tmp_path / "a.zip")
    assert names(tmp_path) == []


@pytest.mark.parametrize(("status", "text"), [(404, "no such"), (403, "refuses"), (410, "gone"), (451, "not give")])
def test_what_is_not_there_is_not_asked_for_again(server, tmp_path, status, text):
    server.faults["a.zip"] = [{"status": status}]
    with pytest.raises(OSError, match=rf"{server.url}/a.zip: .*{text}.*\({status} "):
        get(server, tmp_path / "a.zip")
    assert len(server.log) == 1
    assert names(tmp_path) == []


def test_the_second_address_is_tried(server, tmp_path):
    get(server, tmp_path / "a.zip", urls=("gone.zip", "a.zip"))
    assert (tmp_path / "a.zip").read_bytes() == DATA
    with pytest.raises(OSError, match=r"/x.zip: .*404.*; .*/y.zip: .*404"):
        get(server, tmp_path / "b.zip", urls=("x.zip", "y.zip"))


@pytest.mark.parametrize(
    "address", ["http://example.org/a.zip", "ftp://example.org/a.zip", "file:///etc/passwd", "a.zip"]
)
def test_only_https(tmp_path, monkeypatch, address):
    monkeypatch.setattr("requests.get", lambda *args, **kwargs: pytest.fail("it was asked for"))
    with pytest.raises(OSError, match=f"{address}: downloads go over https only"):
        download_file((address,), tmp_path / "a.zip", checksum=SHA, delay=0)
    assert names(tmp_path) == []


def test_a_server_that_leads_away_from_https_is_not_followed(server, tmp_path):
    for target in ("http://example.org/b.zip", "//example.org/b.zip", "ftp://127.0.0.1/b.zip"):
        server.faults["a.zip"] = [{"status": 302, "headers": {"Location": target}}]
        with pytest.raises(OSError, match=r"a\.zip: the server leads to .*/b\.zip: downloads go over https only"):
            get(server, tmp_path / "a.zip")
    server.faults["a.zip"] = [{"status": 302, "headers": {"Location": "/b.zip"}}]
    server.files["b.zip"] = DATA
    get(server, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == DATA
    assert [entry.path for entry in server.log] == ["a.zip"] * 4 + ["b.zip"]


def test_addresses_that_are_none(server, tmp_path):
    """They are no fault of the checksum, and the next address is tried."""
    server.faults["b.zip"] = [{"status": 302, "headers": {"Location": "https://[x/b.zip"}}]
    with pytest.raises(
        OSError, match=r"^https://\[y/a\.zip: .*; .*/b\.zip: https://\[x/b\.zip is no address"
    ) as caught:
        download_file(("https://[y/a.zip", f"{server.url}/b.zip"), tmp_path / "a.zip", checksum=SHA, delay=0)
    assert "pin it" not in str(caught.value)
    server.files["c.zip"] = DATA
    download_file(("https://[y/a.zip", f"{server.url}/c.zip"), tmp_path / "a.zip", checksum=SHA, delay=0)
    assert (tmp_path / "a.zip").read_bytes() == DATA


def test_nobody_there(tmp_path):
    with pytest.raises(OSError, match=r"127.0.0.1:9/a: the connection failed \(.*refused.*\), 1 times"):
        download_file(("http://127.0.0.1:9/a",), tmp_path / "a", n_retries=0, delay=0)
    with pytest.raises(OSError, match=r"^nonsense: .*"):
        download_file(("nonsense",), tmp_path / "a", n_retries=3, delay=0)


def test_a_full_disk_is_one_sentence(server, tmp_path, monkeypatch):
    usage = SimpleNamespace(free=1_000_000)
    monkeypatch.setattr(_download.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DiskError, match=r"a\.zip needs 1.5 MB and only 1.0 MB are free in .*SKINSEG_HOME"):
        get(server, tmp_path / "a.zip")
    usage.free = 10**9

    def full(self, chunks, start, total):
        self.part.write_bytes(DATA[:1000])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(_download.ResumingDownloader, "_write", full)
        with pytest.raises(DiskError, match=r"disk of .* is full; make room"):
            get(server, tmp_path / "a.zip", urls=("a.zip", "a.zip"))
    assert len(server.log) == 2  # the disk is no reason to try another address
    get(server, tmp_path / "a.zip")
    assert server.log[-1].range == "bytes=1000-"


def test_without_pooch(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=re.escape('pip install "scikit-skinseg[data]"')):
        download_file(("http://127.0.0.1:9/a",), tmp_path / "a")


def test_sizes():
    assert [size_text(size) for size in (0, 999, 1000, 12_345, 5_800_000_000)] == [
        "0 B", "999 B", "1.0 kB", "12 kB", "5.8 GB",
    ]  # fmt: skip


def test_one_at_a_time(tmp_path):
    order = []

    def work(name):
        with locked(tmp_path / ".lock"):
            order.append(name)
            time.sleep(0.02)
            order.append(name)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert order[0::2] == order[1::2]
    assert sorted(order) == list("aabbcc")


@pytest.fixture
def work(tmp_path):
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def put(work, files, **how):
    (work / "A.zip").write_bytes(packed(files, **how))
    return work / "A.zip"


@pytest.mark.parametrize("top", ["A/", ""])
def test_unpack(work, tmp_path, top):
    files = {"x.jpg": b"image", "deep/y.png": b"", "__MACOSX/._x.jpg": b"junk", "._z": b"junk", "deep/.DS_Store": b"j"}
    assert unpack(put(work, files, folder=top), tmp_path / "A", work=work) == 2
    assert (tmp_path / "A" / "x.jpg").read_bytes() == b"image"
    assert names(tmp_path / "A" / "deep") == ["y.png"]
    assert names(work) == ["A.zip"]
    assert verify_folder(tmp_path / "A") == (2, [], [])
    assert os.stat(tmp_path / "A").st_mode & 0o777 == os.stat(work).st_mode & 0o777  # not the owner's alone


def test_verify_finds_what_is_missing_and_changed(work, tmp_path):
    files = {"a": b"12", "b": b"345", "c": b"6"}
    unpack(put(work, files), tmp_path / "A", work=work)
    (tmp_path / "A" / "a").unlink()
    (tmp_path / "A" / "b").write_bytes(b"346")  # of the same size
    assert verify_folder(tmp_path / "A") == (3, ["a"], ["b"])
    assert verify_folder(work) is None


def link(name):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return info


@pytest.mark.parametrize(
    "name",
    ["../evil", "A/../../evil", "/etc/evil", "..\\evil", "C:evil", "A/\n", link("A/link")],
    ids=["up", "deep", "absolute", "backslash", "drive", "newline", "link"],
)
def test_members_that_lead_out_are_refused(work, tmp_path, name):
    with pytest.raises(ValueError, match=r"A\.zip is refused: its member .* (outside of the folder|is a link)"):
        unpack(put(work, {"ok.jpg": b"1", name: b"/etc/passwd"}), tmp_path / "A", work=work)
    assert names(tmp_path) == ["work"]
    assert names(work) == ["A.zip"]
    assert not (tmp_path.parent / "evil").exists()


def test_damaged_archives_leave_nothing(work, tmp_path):
    good = packed({"a.jpg": bytes(1000), "b.jpg": b"b" * 5000})
    bad = bytearray(good)
    bad[2000] ^= 1  # in the data of b.jpg
    cases = {"CRC": bytes(bad), "not a zip": good[: len(good) // 2], "holds no file": packed({"__MACOSX/x": b""})}
    cases["not a zip "] = b"\0" * len(good)
    for text, data in cases.items():
        (work / "A.zip").write_bytes(data)
        with pytest.raises(OSError, match=rf"A\.zip \(.*\): the archive is damaged \(.*{text.strip()}"):
            unpack(work / "A.zip", tmp_path / "A", work=work)
        assert names(tmp_path) == ["work"]
        assert names(work) == ["A.zip"]


def test_no_room_to_unpack(work, tmp_path, monkeypatch):
    monkeypatch.setattr(_download.shutil, "disk_usage", lambda path: SimpleNamespace(free=999))
    with pytest.raises(DiskError, match=r"unpacked, A\.zip needs 1.0 kB and only 999 B are free"):
        unpack(put(work, {"a": bytes(1000)}), tmp_path / "A", work=work)
    assert names(work) == ["A.zip"]
