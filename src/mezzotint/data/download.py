"""Files from the net: resumable, checked against a known SHA-256, and only ever there whole.

What has arrived waits in `<name>.part`, with the server's validator in `<name>.part.json`; after a cut the
download goes on from there (HTTP Range with If-Range). Only a file with the right hash gets its name.
"""

from __future__ import annotations

import contextlib
import email.message
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from mezzotint.core import atomic
from mezzotint.core.errors import DataError

Progress = Callable[[int, int], None]
"""Called with the bytes that have arrived and the bytes there are."""

_CHUNK = 2**18


@dataclass(frozen=True)
class RemoteFile:
    """A file whose content is known.

    Attributes:
        name: its file name.
        urls: where it can be had, tried in order; empty when it has no public address.
        sha256: of the content, as hex.
        size: in bytes.
    """

    name: str
    urls: tuple[str, ...]
    sha256: str
    size: int


class _Unreachable(Exception):
    """One address did not work; `again` says whether trying it once more may help."""

    def __init__(self, reason: str, again: bool) -> None:
        super().__init__(reason)
        self.again = again


def download(
    file: RemoteFile,
    folder: Path,
    *,
    progress: Progress | None = None,
    timeout: float = 30,
    retries: int = 4,
    pause: float = 1,
) -> Path:
    """Bring `file` into `folder` and return its path.

    Args:
        file: what to bring, and from where.
        folder: made if it is missing. An interrupted download goes on from what is there.
        progress: called as bytes arrive.
        timeout: seconds without a byte after which a connection counts as dead.
        retries: how often an address is tried again without a byte being gained.
        pause: seconds before the first of these; each next one waits twice as long.

    Raises:
        DataError: no address works, the content is not the expected one (nothing is left behind then), another
            process is bringing the same file, or the disk cannot be written.
    """
    target, part = folder / file.name, folder / f"{file.name}.part"
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if target.is_file() and atomic.file_sha256(target) == file.sha256:
        return target
    with _sole_owner(part) as handle:
        reasons: list[str] = []
        for url in file.urls:
            try:
                _bring(file, url, handle, progress, timeout, retries, pause)
                break
            except _Unreachable as error:
                reasons.append(f"{urlsplit(url).netloc} {error}")
        else:
            why = "; ".join(reasons) or "it has no public address"
            raise DataError(
                f"Cannot download {file.name} ({why}); check the connection and try again, or put the file "
                f"into {folder} yourself."
            )
        with _writing(target):
            handle.flush()
            os.fsync(handle.fileno())
    with _writing(target):
        atomic.disk.replace(part, target)
        atomic.sync_folder(folder)
        _sidecar(part).unlink(missing_ok=True)
    return target


def _bring(
    file: RemoteFile,
    url: str,
    handle: IO[bytes],
    progress: Progress | None,
    timeout: float,
    retries: int,
    pause: float,
) -> None:
    """Fill `handle` with the right content from one address, going on after cuts."""
    failures, began = 0, _length(handle)
    while True:
        before = _length(handle)
        try:
            if before != file.size:
                _transfer(file, url, handle, progress, timeout)
            if _digest(handle) == file.sha256:
                return
            resumed, began = began > 0, 0
            _empty(handle)
            if not resumed:
                _forget(handle)
                raise DataError(
                    f"{file.name} from {urlsplit(url).netloc} is not the expected file (its SHA-256 differs) and was "
                    "removed; try again later, or from another network."
                )
            # What an earlier attempt had left was of another file; once more from the start.
        except _Unreachable as error:
            failures = 1 if _length(handle) > before else failures + 1
            if not error.again or failures > retries:
                raise
            time.sleep(pause * 2 ** (failures - 1))


def _transfer(file: RemoteFile, url: str, handle: IO[bytes], progress: Progress | None, timeout: float) -> None:
    """One connection: append what is missing, or start over if the server insists."""
    have = _length(handle)
    if have > file.size:
        have = _empty(handle)
    headers = {"User-Agent": "mezzotint", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        headers |= _if_range(handle, url)
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout) as response:
            if response.status != 206 or _range_start(response.headers) != have:
                have = _empty(handle)
                if response.status == 206:
                    raise _Unreachable("sent another part than the one asked for", again=True)
            _remember(handle, url, response.headers)
            _check_length(response.headers, file.size - have)
            _copy(response, handle, have, file.size, progress)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # what we have does not fit the file there any more
            _empty(handle)
            raise _Unreachable("has no such part of the file", again=True) from error
        again = error.code >= 500 or error.code in (408, 429)
        raise _Unreachable(f"answered {error.code} {error.reason}", again) from error
    except urllib.error.URLError as error:
        raise _Unreachable(f"could not be reached: {error.reason}", again=True) from error
    except TimeoutError as error:
        raise _Unreachable(f"sent nothing for {timeout:g} seconds", again=True) from error
    except (http.client.HTTPException, OSError) as error:
        raise _Unreachable(f"broke the connection: {error}", again=True) from error


def _copy(
    response: http.client.HTTPResponse, handle: IO[bytes], have: int, size: int, progress: Progress | None
) -> None:
    while chunk := response.read1(_CHUNK):
        have += len(chunk)
        if have > size:
            _empty(handle)
            raise _Unreachable(f"sent more than the expected {size} bytes", again=False)
        with _writing(Path(handle.name)):
            handle.write(chunk)
            handle.flush()
        if progress is not None:
            progress(have, size)
    if have < size:
        raise _Unreachable(f"broke off after {have} of {size} bytes", again=True)


def _check_length(headers: email.message.Message, expected: int) -> None:
    length = headers.get("Content-Length")
    if length is not None and length.isdigit() and int(length) != expected:
        raise _Unreachable(f"offers {length} bytes where {expected} were expected", again=False)


def _range_start(headers: email.message.Message) -> int | None:
    """The 100 of `Content-Range: bytes 100-199/200`."""
    start = (headers.get("Content-Range") or "").removeprefix("bytes ").partition("-")[0]
    return int(start) if start.isdigit() else None


def _if_range(handle: IO[bytes], url: str) -> dict[str, str]:
    """The validator kept with the part, if it came from `url`; without one the hash has the last word."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(_sidecar(Path(handle.name)).read_text())
        if kept["url"] == url and kept["validator"]:
            return {"If-Range": str(kept["validator"])}
    return {}


def _remember(handle: IO[bytes], url: str, headers: email.message.Message) -> None:
    tag = headers.get("ETag")
    # Weak tags may not be used in If-Range.
    validator = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")
    path = _sidecar(Path(handle.name))
    with _writing(path):
        path.write_text(json.dumps({"url": url, "validator": validator}))


def _forget(handle: IO[bytes]) -> None:
    part = Path(handle.name)
    for path in (part, _sidecar(part)):
        path.unlink(missing_ok=True)


def _sidecar(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _length(handle: IO[bytes]) -> int:
    return os.fstat(handle.fileno()).st_size


def _empty(handle: IO[bytes]) -> int:
    handle.truncate(0)
    return 0


def _digest(handle: IO[bytes]) -> str:
    handle.flush()
    return atomic.file_sha256(Path(handle.name))


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"Cannot write {path}: {error.strerror or error}; free some space or set MEZZOTINT_CACHE to another folder."
        ) from error


@contextlib.contextmanager
def _sole_owner(part: Path) -> Iterator[IO[bytes]]:
    """`part` opened for appending, by this process only: two that append to one file would spoil it."""
    with _writing(part):
        handle = part.open("ab")
    with handle:
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise DataError(f"{part.name} is being downloaded by another process; wait for it to end.") from error
        yield handle
