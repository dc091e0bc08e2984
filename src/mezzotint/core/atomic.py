"""Files that are either wholly there or not there at all.

`write_bytes`, `write_text` and `write_json` write to a temporary file in the same folder, flush it to the
disk, and rename it over the target; a crash at any moment leaves the old file or the new one, never a part.
`Disk` is the one seam through which the package touches the disk when it saves; tests replace it to make
the Nth operation fail.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import platform
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil

from mezzotint.core.errors import TrainingError


class Disk:
    """The operations that saving consists of. Replace `atomic.disk` with a failing one in tests."""

    def create(self, path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)

    def write(self, descriptor: int, data: memoryview) -> int:
        return os.write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        os.fsync(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        os.replace(source, target)

    def mkdir(self, folder: Path) -> None:
        folder.mkdir()

    def remove(self, path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


disk = Disk()

_PREFIX = ".partial-"
_CHUNK = 16 * 2**20
_IDLE_SECONDS = 15 * 60
_live: set[str] = set()


def write_chunks(path: Path, chunks: Iterable[bytes | memoryview]) -> str:
    """Write `chunks` to `path` atomically and return the SHA-256 of the whole as hex.

    Raises:
        TrainingError: the disk is full, read-only or failing; `path` is as it was before.
    """
    with explained(path), partial(path.parent) as temporary:
        sha256 = write_new(temporary, chunks)
        disk.replace(temporary, path)
        sync_folder(path.parent)
    return sha256


def write_bytes(path: Path, data: bytes | memoryview) -> str:
    """Write `data` to `path` atomically; returns its SHA-256 as hex."""
    return write_chunks(path, (data,))


def write_text(path: Path, text: str) -> str:
    """Write `text` to `path` as UTF-8, atomically; returns its SHA-256 as hex."""
    return write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> str:
    """Write `value` to `path` as indented JSON, atomically; returns its SHA-256 as hex.

    Raises:
        ValueError: `value` holds a number that is not finite, which JSON cannot express.
    """
    return write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_new(path: Path, chunks: Iterable[bytes | memoryview]) -> str:
    """Write `chunks` to the new file `path`, flushed to the disk, and return the SHA-256 of the whole as hex.

    Not atomic by itself: it is for files inside a folder that is renamed when whole (see `partial`).

    Raises:
        OSError: `path` exists, or the disk is full, read-only or failing.
    """
    digest = hashlib.sha256()
    descriptor = disk.create(path)
    try:
        for chunk in chunks:
            view = memoryview(chunk).cast("B")
            digest.update(view)
            while len(view):
                view = view[disk.write(descriptor, view[:_CHUNK]) :]
        disk.fsync(descriptor)
    finally:
        os.close(descriptor)
    return digest.hexdigest()


@contextlib.contextmanager
def partial(parent: Path) -> Iterator[Path]:
    """A fresh name in `parent` under which to prepare a file or folder before it is renamed into its place.

    Whatever still has the name at the end is removed. The name holds this process's mark, so that
    `remove_partials` tells the work of a live process from the leavings of a dead one.
    """
    name = f"{_mark()}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
    path = parent / f"{_PREFIX}{name}"
    _live.add(path.name)
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):
            disk.remove(path)
        _live.discard(path.name)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an `OSError` inside the block into a `TrainingError` whose sentence says why `path` was not written."""
    try:
        yield
    except OSError as error:
        raise _explain(error, path) from error


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut (where the system lets a folder be synced)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        disk.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file as hex, read in pieces."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def remove_partials(folder: Path) -> None:
    """Remove what earlier crashes left half-written in `folder`, and nothing that is still being written.

    A partial of a process of this machine that has ended goes at once. Of any other (another machine on a
    shared disk, another container, a reused process number) we cannot know, so it goes after 15 minutes in
    which nothing in it changed: a live saver writes all the time. Failure to remove is not an error.
    """
    for left in folder.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if _is_stale(left):
                disk.remove(left)


def _is_stale(path: Path) -> bool:
    if path.name in _live:
        return False
    mark, _, rest = path.name.removeprefix(_PREFIX).partition("-")
    process = rest.partition("-")[0]
    if mark == _mark() and process.isdecimal():
        number = int(process)
        if number == os.getpid() or not psutil.pid_exists(number):
            return True
    inside = path.iterdir() if path.is_dir() and not path.is_symlink() else ()
    changed = max(item.lstat().st_mtime for item in (path, *inside))
    return time.time() - changed > _IDLE_SECONDS


def _mark() -> str:
    """Names the machine and its process table: containers of one host have process numbers of their own."""
    table = ""
    with contextlib.suppress(OSError):
        table = str(os.stat("/proc/self/ns/pid").st_ino)
    return hashlib.blake2b(f"{platform.node()}/{table}".encode(), digest_size=4).hexdigest()


def _explain(error: OSError, path: Path) -> TrainingError:
    reasons = {
        errno.ENOSPC: "the disk is full; free some space",
        errno.EDQUOT: "your disk quota is used up; free some space",
        errno.EROFS: "the disk is read-only; choose another place",
        errno.EACCES: "you may not write there; choose another place",
        errno.EPERM: "you may not write there; choose another place",
        errno.ENOENT: "its folder is gone; choose another place",
    }
    reason = reasons.get(error.errno or 0, f"the system says: {error.strerror or error}")
    return TrainingError(f"Cannot write {path}: {reason} (nothing saved before is damaged).")
