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
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mezzotint.core.errors import TrainingError


class Disk:
    """The operations that saving consists of. Replace `atomic.disk` with a failing one in tests."""

    def write(self, descriptor: int, data: memoryview) -> int:
        return os.write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        os.fsync(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        os.replace(source, target)

    def mkdir(self, folder: Path) -> None:
        folder.mkdir()


disk = Disk()

_PREFIX = ".partial-"
_CHUNK = 16 * 2**20


def write_chunks(path: Path, chunks: Iterable[bytes | memoryview]) -> str:
    """Write `chunks` to `path` atomically and return the SHA-256 of the whole as hex.

    Raises:
        TrainingError: the disk is full, read-only or failing; `path` is as it was before.
    """
    digest = hashlib.sha256()
    try:
        descriptor, name = tempfile.mkstemp(prefix=_PREFIX, dir=path.parent)
    except OSError as error:
        raise _explain(error, path) from error
    partial = Path(name)
    try:
        try:
            for chunk in chunks:
                view = memoryview(chunk).cast("B")
                digest.update(view)
                while len(view):
                    view = view[disk.write(descriptor, view[:_CHUNK]) :]
            disk.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.chmod(partial, 0o666 & ~_umask())
        disk.replace(partial, path)
        sync_folder(path.parent)
    except OSError as error:
        raise _explain(error, path) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
    return digest.hexdigest()


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
    """Remove what an earlier crash left half-written in `folder`."""
    for left in folder.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            left.unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _explain(error: OSError, path: Path) -> TrainingError:
    reasons = {
        errno.ENOSPC: "the disk is full; free some space",
        errno.EDQUOT: "your disk quota is used up; free some space",
        errno.EROFS: "the disk is read-only; choose another folder with --out",
        errno.EACCES: "you may not write there; choose another folder with --out",
        errno.EPERM: "you may not write there; choose another folder with --out",
        errno.ENOENT: "its folder is gone; choose another folder with --out",
    }
    reason = reasons.get(error.errno or 0, f"the system says: {error.strerror or error}")
    return TrainingError(f"Cannot write {path}: {reason}. What was saved before is untouched.")
