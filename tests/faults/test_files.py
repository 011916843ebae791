"""Files are complete or not there, whoever writes at the same time and whatever was left by a killed process."""

import errno
import os
import subprocess
import sys
import threading
import time

import pytest

from skinseg import _files
from skinseg._files import growing_file, growing_folder, lock_file, remove_folder, write_file

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_nothing_is_seen_before_the_end(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"old")
    with growing_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
        assert len(names(tmp_path)) == 2
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.csv"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_was_there_stays_when_it_goes_wrong(tmp_path, error):
    path = tmp_path / "a.csv"
    path.write_bytes(b"old")

    def write():
        with growing_file(path) as file:
            file.write(b"new")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.csv"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_errors_name_the_file_and_the_way_out(tmp_path, monkeypatch, call):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_files.os, call, full)
    path = tmp_path / "a.csv"
    with pytest.raises(OSError, match=rf"^{path} cannot be written \(No space left on device\); make room") as caught:
        write_file(path, b"new")
    assert caught.value.errno == errno.ENOSPC
    assert names(tmp_path) == []


def test_errors_keep_their_kind(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no/a.csv cannot be written \(No such file or directory\)"):
        write_file(tmp_path / "no" / "a.csv", b"new")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder cannot be written"):
        write_file(tmp_path / "folder", b"new")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError, match="cannot be written"):
        write_file(tmp_path / "file" / "a.csv", b"new")
    assert names(tmp_path) == ["file", "folder"]


def test_a_file_is_not_replaced_unasked(tmp_path):
    path = tmp_path / "a.json"
    write_file(path, b"first", replace=False)
    with pytest.raises(FileExistsError, match=r"a.json"):
        write_file(path, b"second", replace=False)
    assert path.read_bytes() == b"first"
    assert names(tmp_path) == ["a.json"]


@posix
def test_what_a_killed_process_left_is_used_up(tmp_path):
    path = tmp_path / "a.csv"
    code = f"""
import os, signal
from pathlib import Path
from skinseg._files import growing_file
with growing_file(Path({str(path)!r})) as file:
    file.write(b"half" * 10_000)
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode < 0
    assert names(tmp_path) == [".a.csv.partial"]
    write_file(path, b"whole")
    assert path.read_bytes() == b"whole"
    assert names(tmp_path) == ["a.csv"]


@posix
@pytest.mark.parametrize("what", ["link", "folder", "hard link"])
def test_what_lies_in_the_way_is_left_alone(tmp_path, what):
    """Somebody might want to have another file written over."""
    other, way = tmp_path / "other", tmp_path / ".a.csv.partial"
    other.write_bytes(b"other")
    if what == "folder":
        way.mkdir()
    elif what == "link":
        way.symlink_to(other)
    else:
        way.hardlink_to(other)
    write_file(tmp_path / "a.csv", b"whole")
    assert (tmp_path / "a.csv").read_bytes() == b"whole"
    assert other.read_bytes() == b"other"
    assert names(tmp_path) == [".a.csv.partial", "a.csv", "other"]


@posix
def test_where_there_are_no_locks(tmp_path, monkeypatch):
    import fcntl

    def unknown(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unknown)
    write_file(tmp_path / "a.csv", b"whole")
    assert (tmp_path / "a.csv").read_bytes() == b"whole"
    handle = lock_file(tmp_path / "lock")  # better to work without than not at all
    assert handle >= 0
    os.close(handle)


def test_many_threads_write_the_same_file(tmp_path):
    """The file is always one of those that were written, and nothing is left."""
    path = tmp_path / "a.bin"
    contents = [bytes([number]) * 50_000 for number in range(4)]
    write_file(path, contents[0])
    errors, over = [], threading.Event()

    def write(content):
        try:
            for _ in range(40):
                write_file(path, content, durable=False)
        except BaseException as error:
            errors.append(error)

    def read():
        while not over.is_set():
            if path.read_bytes() not in contents:
                errors.append("torn")

    writers = [threading.Thread(target=write, args=[content]) for content in contents]
    reader = threading.Thread(target=read)
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    over.set()
    reader.join()
    assert errors == []
    assert names(tmp_path) == ["a.bin"]


@posix
@pytest.mark.parametrize("same", ["path", "link"])
def test_a_thread_does_not_wait_for_itself(tmp_path, same):
    """As it would for ever: two names may lead to one file."""
    path = tmp_path / "a.csv"
    if same == "link":
        (tmp_path / "link").symlink_to(tmp_path)
    again = path if same == "path" else tmp_path / "link" / "a.csv"
    over = []

    def write():
        with growing_file(path) as first, growing_file(again) as second:
            first.write(b"first")
            second.write(b"second")
        over.append(path.read_bytes())
        write_file(path, b"third")

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    thread.join(10)
    assert over == [b"first"]
    assert not thread.is_alive()
    assert path.read_bytes() == b"third"
    assert [name for name in names(tmp_path) if name != "link"] == ["a.csv"]
    assert _files._writers == {}


def test_long_names_do_not_share_what_grows(tmp_path):
    first, second = (tmp_path / ("x" * 200 + end) for end in ("1.csv", "2.csv"))
    with growing_file(first) as one, growing_file(second) as two:
        one.write(b"1")
        two.write(b"2")
    assert (first.read_bytes(), second.read_bytes()) == (b"1", b"2")
    write_file(tmp_path / ("\u75c5" * 85), b"long")  # 255 bytes
    assert (tmp_path / ("\u75c5" * 85)).read_bytes() == b"long"


@posix
def test_permissions_are_those_that_the_user_has_set(tmp_path):
    """And the mask of the process is not touched for it, which other threads would see."""
    for mask, mode in ((0o022, 0o644), (0o077, 0o600)):
        before = os.umask(mask)
        try:
            write_file(tmp_path / "a.csv", b"")
        finally:
            os.umask(before)
        assert (tmp_path / "a.csv").stat().st_mode & 0o777 == mode


def test_a_lock_is_held_by_one(tmp_path):
    handle = lock_file(tmp_path / "lock")
    assert lock_file(tmp_path / "lock") == -1
    got = []
    thread = threading.Thread(target=lambda: got.append(lock_file(tmp_path / "lock", wait=True)))
    thread.start()
    time.sleep(0.05)
    assert got == []
    os.close(handle)
    thread.join()
    os.close(got[0])


def test_a_folder_is_complete_or_not_there(tmp_path):
    out = tmp_path / "out"
    with growing_folder(out) as folder:
        (folder / "a").write_bytes(b"1")
        assert not out.exists()
        with (
            pytest.raises(BlockingIOError, match=r"out cannot be written \(another process is making it\)"),
            growing_folder(out),
        ):
            pass
    assert names(tmp_path) == ["out"]
    assert names(out) == ["a"]

    def fill():
        with growing_folder(tmp_path / "other") as folder:
            (folder / "a").write_bytes(b"1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fill()
    assert names(tmp_path) == ["out"]
    (tmp_path / ".next.partial" / "images").mkdir(parents=True)  # of a killed process
    (tmp_path / ".next.lock").touch()
    with growing_folder(tmp_path / "next"):
        pass
    assert names(tmp_path) == ["next", "out"]
    with pytest.raises(OSError, match=r"out cannot be written \(Directory not empty\)"), growing_folder(out):
        pytest.fail("the work of hours would be for nothing")
    assert names(tmp_path) == ["next", "out"]


def test_a_folder_can_be_made_after_its_removal_was_interrupted(tmp_path, monkeypatch):
    def interrupted(_folder):
        raise KeyboardInterrupt

    def make():
        with growing_folder(tmp_path / "out") as folder:
            (folder / "a").write_bytes(b"1")
            monkeypatch.setattr(_files, "remove_folder", interrupted)

    with pytest.raises(KeyboardInterrupt):
        make()
    monkeypatch.undo()
    (tmp_path / "out" / "a").unlink()
    with growing_folder(tmp_path / "out"):  # no "another process is making it"
        pass
    assert names(tmp_path) == ["out"]


def test_a_folder_is_removed_while_others_write_into_it(tmp_path):
    folder = tmp_path / "tmp-1"
    folder.mkdir()
    over = threading.Event()

    def write():
        number = 0
        while not over.is_set():
            number += 1
            try:
                (folder / f"{number % 50}").write_bytes(b"late")
            except OSError:
                over.wait(0.0001)

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            folder.mkdir(exist_ok=True)
            time.sleep(0.002)
            remove_folder(folder)
            assert not names(tmp_path)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    remove_folder(folder)  # that is not there
