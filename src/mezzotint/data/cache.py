"""Packed arrays that are kept, so that the second start of a run takes no time.

An entry is a folder `<likeness>-<key>` with `pictures.npy` and `meta.json`. The key is made of names, sizes and
times (for an archive, of the file itself) and the options that decide the pixels; the likeness leaves out the
times, and finds an entry with the same names and sizes whose content may prove to be the same. An entry is
made in a temporary folder and renamed, so that it is there as a whole or not at all.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import functools
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.errors import DataError

VERSION = 3
VARIABLE = "MEZZOTINT_CACHE"
PICTURES_FILE, META = "pictures.npy", "meta.json"
_PARTIAL = ".partial-"
_STALE_SECONDS = 24 * 3600


@dataclass
class Meta:
    """What an entry knows beside the pixels. `files[i]` and `frames[i]` (or None) say what row i shows."""

    files: list[str]
    frames: list[int] | None
    content: str
    pixels: str
    bad: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tables: dict[str, str] = field(default_factory=dict)
    listing_notes: list[str] = field(default_factory=list)
    ignored: int = 0
    bytes: int = 0
    version: int = VERSION


@dataclass(frozen=True)
class Entry:
    """A packed array [N, H, W, C], memory-mapped and read-only, and its meta data."""

    pictures: NDArray[Any]
    meta: Meta


def default_folder() -> Path:
    """`$MEZZOTINT_CACHE`, or mezzotint's folder among the user's caches on this platform."""
    if named := os.environ.get(VARIABLE):
        return Path(named).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "mezzotint"
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "mezzotint" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mezzotint"


def hash_parts(parts: Sequence[str]) -> str:
    """SHA-256 of a list of texts, hex; also of texts that are no valid Unicode, as file names may be."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogateescape")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


class Cache:
    """The folder with the entries.

    Args:
        folder: where; None takes `default_folder()`. If nothing can be written there, a temporary folder that
            goes with this process is used, and `note` says so.
    """

    def __init__(self, folder: Path | None = None) -> None:
        wanted = (folder or default_folder()) / "pictures"
        self.note: str | None = None
        self.folder = wanted
        if not _writable(wanted):
            self.folder = _temporary_folder()
            self.note = f"The cache folder {wanted} cannot be written, so the packed pictures are not kept."
        self._sweep()

    def find(self, key: str) -> Entry | None:
        """The entry made with exactly this key, if it is whole."""
        for path in self.folder.glob(f"*-{key[:32]}"):
            if (entry := _load(path)) is not None:
                return entry
        return None

    def find_like(self, likeness: str) -> Iterator[Entry]:
        """Entries of the same names, sizes and options, whose content may be the same."""
        for path in sorted(self.folder.glob(f"{likeness[:32]}-*")):
            if (entry := _load(path)) is not None:
                yield entry

    @contextlib.contextmanager
    def new(self) -> Iterator[Path]:
        """A temporary folder to make an entry in; whatever is left in it afterwards is removed.

        Raises:
            DataError: the disk is full or may not be written.
        """
        try:
            partial = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=self.folder))
            try:
                yield partial
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DataError(
                    f"The disk that holds the cache {self.folder} is full; free some space, or name a folder on "
                    f"another disk in {VARIABLE}."
                ) from error
            raise DataError(f"The cache {self.folder} cannot be written ({error.strerror or error}).") from error

    def keep(self, partial: Path, meta: Meta, likeness: str, key: str) -> Entry:
        """Make the finished `partial` folder an entry; if another process was faster, take its entry."""
        meta.bytes = (partial / PICTURES_FILE).stat().st_size
        with (partial / META).open("w", encoding="ascii") as handle:
            json.dump(asdict(meta), handle)
            handle.flush()
            os.fsync(handle.fileno())
        target = self.folder / f"{likeness[:32]}-{key[:32]}"
        for _ in range(3):
            try:
                os.rename(partial, target)
            except OSError:
                if (theirs := _load(target)) is not None:
                    return theirs
                self._remove(target)  # what is there is damaged
            else:
                break
        entry = _load(target)
        if entry is None:
            raise DataError(f"What was just written to {target} cannot be read back; check the disk.")
        return entry

    def link(self, entry: Entry, meta: Meta, likeness: str, key: str) -> Entry:
        """Enter the same pixels under another key, without a copy where the file system allows."""
        with self.new() as partial:
            source = Path(str(getattr(entry.pictures, "filename", "")))
            try:
                os.link(source, partial / PICTURES_FILE)
            except OSError:
                return Entry(entry.pictures, meta)
            return self.keep(partial, meta, likeness, key)

    def _remove(self, target: Path) -> None:
        aside = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=self.folder))
        with contextlib.suppress(OSError):
            os.rename(target, aside / "damaged")
        shutil.rmtree(aside, ignore_errors=True)

    def _sweep(self) -> None:
        """Remove what crashes have left; a folder in use is younger than a day."""
        for left in self.folder.glob(f"{_PARTIAL}*"):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                    shutil.rmtree(left, ignore_errors=True)


def _load(path: Path) -> Entry | None:
    """The entry in a folder, or None if anything about it is not as it was written."""
    try:
        meta = Meta(**json.loads((path / META).read_text("ascii")))
        if meta.version != VERSION or (path / PICTURES_FILE).stat().st_size != meta.bytes:
            return None
        pictures = np.load(path / PICTURES_FILE, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, TypeError, EOFError):
        return None
    if pictures.ndim != 4 or len(pictures) != len(meta.files):
        return None
    return Entry(pictures, meta)


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@functools.cache
def _temporary_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="mezzotint-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
