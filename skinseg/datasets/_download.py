"""Downloads that are resumed, checked and never half there.

pooch keeps the files and checks their hashes; what it does not do, to go on
where a download was cut, is a downloader of its own kind here.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from .._files import lock_file, reason_of, write_file

__all__ = [
    "DiskError",
    "ResumingDownloader",
    "check_space",
    "disk_errors",
    "download_file",
    "import_pooch",
    "locked",
    "size_text",
]

_CHUNK = 1 << 16  # what a cut connection can lose at most
_AGAIN = {408, 425, 429, 500, 502, 503, 504}  # answers of servers that may be another one later
_LONGEST_WAIT = 60.0  # s
_TIMEOUT = 30.0  # s without a byte
_THIS_MACHINE = {"127.0.0.1", "::1", "localhost"}
_ADVICE = {
    401: "the server asks for a login",
    403: "the server refuses it",
    404: "there is no such file",
    410: "the file is gone",
}


class DiskError(OSError):
    """What is wrong with the disk, in one sentence."""


class _NotThereError(OSError):
    """An address does not have the file, another one may."""


class _CutError(Exception):
    """The connection was cut, or the server was busy; worth another attempt."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class _BadRangeError(Exception):
    """The server does not go on where the part ends."""


def size_text(n_bytes: float) -> str:
    """Write a size for people.

    Parameters
    ----------
    n_bytes : float
        Size in bytes, at least 0.

    Returns
    -------
    str
        The size with its unit.

    Examples
    --------
    >>> from skinseg.datasets._download import size_text
    >>> size_text(812), size_text(5.8e9)
    ('812 B', '5.8 GB')
    """
    for unit in ("B", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "B" or n_bytes >= 10 else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} GB"


def check_space(folder: Path, needed: int, what: str) -> None:
    """Refuse what cannot fit, before anything is written.

    Parameters
    ----------
    folder : Path
        Existing folder on the disk in question.
    needed : int
        Bytes that are to be written.
    what : str
        What they are, for the message.

    Raises
    ------
    DiskError
        If less is free.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DiskError(
            f"{what} needs {size_text(needed)} and only {size_text(free)} are free in {folder}; make room, or give "
            "another data_home (environment variable SKINSEG_HOME)"
        )


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn errors of the disk into one sentence each.

    Parameters
    ----------
    folder : Path
        What is written to.

    Raises
    ------
    DiskError
        In place of an OSError with an error number.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            text = f"the disk of {folder} is full; make room and call again, what has arrived is kept"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            text = f"{folder} cannot be written ({reason_of(error)}); give another data_home, or set SKINSEG_HOME"
        else:
            text = f"{folder}: {error}"
        raise DiskError(text) from None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file that one process (or thread) at a time can hold; the others wait.

    The system lets it go when the process ends, however it ends.

    Parameters
    ----------
    path : Path
        The file to lock; made if it is not there, and left.
    """
    handle = lock_file(path, wait=True)
    try:
        yield
    finally:
        os.close(handle)


@contextmanager
def _quiet_pooch(logger: logging.Logger) -> Iterator[None]:
    """Errors tell what happened; pooch's notices would tell it twice."""
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


class ResumingDownloader:
    """Downloader for pooch that goes on where the last attempt ended.

    What has arrived is kept in ``<file>.part``, and beside it in
    ``<file>.part.json`` the address and the validator (ETag or Last-Modified)
    that the server gave. The rest is asked for by ``Range`` and ``If-Range``;
    a server that has another version by then, or knows no ranges, sends the
    whole file and it is begun again.

    Parameters
    ----------
    part : Path
        File for what has arrived.
    n_retries : int
        Attempts after the first one that may bring nothing new.
    delay : float
        Seconds to wait before the second attempt; doubled for each further
        one, up to 60 s.
    timeout : float
        Seconds without a byte that end an attempt.
    verbose : bool
        Whether to show a progress bar.

    Notes
    -----
    Range requests are those of RFC 9110, sections 13.1.5 and 14.
    """

    def __init__(
        self, part: Path, *, n_retries: int = 3, delay: float = 1.0, timeout: float = _TIMEOUT, verbose: bool = False
    ) -> None:
        self.part = part
        self.notes = part.with_name(part.name + ".json")
        self.n_retries = n_retries
        self.delay = delay
        self.timeout = timeout
        self.verbose = verbose

    def __call__(self, url: str, output_file: str, pooch: Any, check_only: bool = False) -> None:
        """Download `url` completely, then give it its name.

        Parameters
        ----------
        url : str
            Address.
        output_file : str
            Path of the complete file, which is written by renaming.
        pooch : object
            Not used.
        check_only : bool, default=False
            Not supported.
        """
        failed, longest = 0, self._kept()
        while True:
            try:
                self._attempt(url)
                break
            except _CutError as cut:
                failed = 0 if self._kept() > longest else failed + 1  # what brings it forward is no failure
                longest = max(longest, self._kept())
                if failed > self.n_retries:
                    kept = f"; {size_text(longest)} have arrived and are kept, the next call goes on" if longest else ""
                    raise OSError(f"{url}: {cut}, {failed} times without anything new{kept}") from None
                time.sleep(min(max(self.delay * 2 ** max(failed - 1, 0), cut.wait), _LONGEST_WAIT))
        os.replace(self.part, output_file)
        self.notes.unlink(missing_ok=True)

    def _kept(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _read_notes(self, url: str) -> dict[str, Any]:
        """Give what the server said of the part that is there, if it is of this address."""
        try:
            notes = json.loads(self.notes.read_text())
            return notes if notes["url"] == url and notes["validator"] else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def _attempt(self, url: str) -> None:
        """Ask for what is missing and write it; raise _CutError if it is not all of it."""
        import requests

        _check_secure(url, url)
        notes, start = self._read_notes(url), self._kept()
        if start and notes.get("total") == start:
            return  # complete, and stopped before it was renamed
        # a length and a range count the bytes on the wire, so they must be those of the file
        headers = {"Accept-Encoding": "identity", "User-Agent": "scikit-skinseg"}
        if start and notes:
            headers |= {"Range": f"bytes={start}-", "If-Range": notes["validator"]}
        try:
            hooks = {"response": lambda response, **_: _check_redirect(url, response)}
            with requests.get(url, headers=headers, stream=True, timeout=self.timeout, hooks=hooks) as response:
                _check_status(response, url)
                if response.status_code == 206 and "Range" in headers:
                    total = _total_of_range(response, start)
                else:
                    start, total = 0, _length(response)
                self._note(url, response, total)
                self._write(response.iter_content(_CHUNK), start, total)
        except _BadRangeError as error:
            self.part.unlink(missing_ok=True)  # nothing can be added to it
            raise _CutError(str(error)) from None
        except requests.RequestException as error:
            if isinstance(error, ValueError):  # the address itself is wrong
                raise _NotThereError(f"{url}: {error}") from None
            raise _CutError(f"the connection failed ({_root(error)})") from None
        if total is not None and self._kept() != total:
            raise _CutError(f"the connection was cut after {self._kept()} of {total} bytes")

    def _note(self, url: str, response: Any, total: int | None) -> None:
        etag = response.headers.get("ETag", "")
        # a weak tag says that it means the same, not that the bytes are the same
        validator = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")
        write_file(self.notes, json.dumps({"url": url, "validator": validator, "total": total}).encode())

    def _write(self, chunks: Iterator[bytes], start: int, total: int | None) -> None:
        from tqdm import tqdm

        check_space(self.part.parent, (total or 0) - start, self.part.name.removesuffix(".part"))
        with (
            open(self.part, "ab" if start else "wb") as file,
            tqdm(
                total=total, initial=start, unit="B", unit_scale=True, desc=self.part.stem, disable=not self.verbose
            ) as bar,
        ):
            for chunk in chunks:
                file.write(chunk)
                bar.update(len(chunk))
            file.flush()
            os.fsync(file.fileno())  # before it gets its name


def _check_redirect(url: str, response: Any) -> None:
    """Look where a server leads to before it is followed."""
    if response.is_redirect:
        _check_secure(url, response.headers["location"], response.url)


def _check_secure(url: str, asked: str, base: str = "") -> None:
    """Refuse what anybody on the way could read and change; this machine itself is no way."""
    try:
        asked = urljoin(base, asked)
        parts = urlsplit(asked)
    except ValueError as error:
        raise _NotThereError(f"{url}: {asked} is no address ({error})") from None
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _THIS_MACHINE):
        leads = "" if asked == url else f"the server leads to {asked}: "
        raise _NotThereError(f"{url}: {leads}downloads go over https only")


def _check_status(response: Any, url: str) -> None:
    """Sort answers into: go on, come back later, not here."""
    status = response.status_code
    if status in (200, 206):
        return
    text = f"{status} {response.reason}".strip()
    if status in _AGAIN:
        wait = response.headers.get("Retry-After", "")
        raise _CutError(f"the server is busy or out of order ({text})", float(wait) if wait.isdigit() else 0.0)
    if status == 416:
        raise _BadRangeError(f"the server does not have the range that is missing ({text})")
    raise _NotThereError(f"{url}: {_ADVICE.get(status, 'the server does not give it')} ({text})")


def _length(response: Any) -> int | None:
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdigit() else None


def _total_of_range(response: Any, start: int) -> int | None:
    """Give the size of the whole file; the range must begin where the part ends."""
    text = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", text.strip())
    if not match or int(match[1]) != start:
        raise _BadRangeError(f"the server sent another range than was asked for ({text or 'none given'})")
    return None if match[3] == "*" else int(match[3])


def _root(error: BaseException) -> str:
    """Give the innermost reason of a chain of errors, which is the one that says something."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(error) or type(error).__name__


def download_file(
    urls: tuple[str, ...],
    path: Path,
    *,
    checksum: str | None = None,
    n_retries: int = 3,
    delay: float = 1.0,
    verbose: bool = False,
) -> None:
    """Download a file to `path`, which is complete and checked or not there.

    Parameters
    ----------
    urls : tuple of str
        Addresses of the same file, tried in this order.
    path : Path
        The file to write, in an existing folder.
    checksum : str, default=None
        Algorithm and digest, such as ``"sha256:..."``; not checked if None.
    n_retries : int, default=3
        Attempts after the first one that may bring nothing new.
    delay : float, default=1.0
        Seconds before the second attempt, doubled each time.
    verbose : bool, default=False
        Whether to show a progress bar.

    Raises
    ------
    ImportError
        If pooch is not installed.
    OSError
        If no address gives the file, the bytes are not those of the checksum,
        or the disk is full or cannot be written.
    """
    pooch = import_pooch()
    part = path.with_name(path.name + ".part")
    problems = []
    for url in urls:
        downloader = ResumingDownloader(part, n_retries=n_retries, delay=delay, verbose=verbose)
        try:
            with _quiet_pooch(pooch.get_logger()), disk_errors(path.parent):
                pooch.retrieve(url, checksum, fname=path.name, path=str(path.parent), downloader=downloader)
            return
        except ValueError as error:  # of the hash: pooch has removed the file
            raise OSError(f"{url}: {error} If the publisher has a new version, pin it: checksums={{...}}") from None
        except DiskError:
            raise
        except OSError as error:
            problems.append(str(error))
    raise OSError("; ".join(problems))


def import_pooch() -> Any:
    """Import pooch, or say how to get it.

    Returns
    -------
    module
        The module ``pooch``.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        import pooch
    except ImportError:
        raise ImportError('downloads need pooch: pip install "scikit-skinseg[data]"') from None
    return pooch
