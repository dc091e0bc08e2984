"""Zip and tar archives as sources; their members are read in place and never unpacked to the disk."""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

from mezzotint.core.errors import DataError
from mezzotint.data._convert import Unreadable
from mezzotint.data._metadata import is_table
from mezzotint.data.sources import (
    MAX_TABLE_BYTES,
    Listing,
    Member,
    file_identity,
    is_hidden,
    keep_tables,
    read_whole,
    sort_member,
    stream_by_reading,
    table_text,
)
from mezzotint.data.types import BadFile

_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    RuntimeError,
    NotImplementedError,
    ValueError,
)


class ZipSource:
    """A zip archive; its members can be read in any order and from several threads."""

    sequential = False

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self._path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except _DAMAGE as error:
            raise DataError(f"{path} is a damaged zip archive ({error}); fetch or make it again.") from error
        # Of several members with one name the last counts, as it does when an archive is unpacked.
        self._infos = {info.filename: info for info in self._zip.infolist() if not info.is_dir()}

    def identity(self) -> str | None:
        return file_identity(self._path)

    def listing(self) -> Listing:
        listing = Listing()
        tables = {}
        for name, info in self._infos.items():
            if not _acceptable(name, listing):
                continue
            if is_table(name):
                tables[name] = Path(name)
            sort_member(listing, Member(name, info.file_size, info.CRC), lambda n=name: self._head(n))  # type: ignore[misc]
        keep_tables(listing, tables, lambda path: self._table(path.as_posix()))
        return listing

    def read(self, name: str, limit: int | None = None) -> bytes:
        info = self._infos[name]
        try:
            with self._zip.open(info) as handle:
                return handle.read(limit) if limit is not None else read_whole(handle, info.file_size)
        except _DAMAGE as error:
            raise Unreadable(_reason(error)) from error

    def stream(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | Unreadable]]:
        return stream_by_reading(self, names)

    def close(self) -> None:
        self._zip.close()

    def _head(self, name: str) -> bytes:
        try:
            return self.read(name, 16)
        except Unreadable:
            return b""

    def _table(self, name: str) -> str:
        try:
            return _table(self._zip.open(self._infos[name]), self._infos[name].file_size, name, self.where)
        except _DAMAGE as error:
            raise DataError(f"{name} in {self.where} {_reason(error)}; make the archive again.") from error


class TarSource:
    """A tar archive, compressed or not, which is read from its beginning to its end."""

    sequential = True

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self._path = path

    def identity(self) -> str | None:
        return file_identity(self._path)

    def listing(self) -> Listing:
        listing = Listing()
        tables: dict[str, Path] = {}
        texts: dict[str, str] = {}
        members: dict[str, tuple[Member, bytes]] = {}

        def note(name: str, size: int, handle: IO[bytes]) -> None:
            if not _acceptable(name, listing):
                return
            if is_table(name) and name.count("/") < 4:
                tables[name] = Path(name)
                texts[name] = _table(handle, size, name, self.where)
            if name in members:
                listing.notes.append(f"{name} is in the archive more than once; the first one is taken.")
                return
            members[name] = (Member(name, size), handle.read(16))

        self._walk(note)
        for member, head in members.values():
            sort_member(listing, member, lambda head=head: head)  # type: ignore[misc]
        keep_tables(listing, tables, lambda path: texts[path.as_posix()])
        return listing

    def read(self, name: str, limit: int | None = None) -> bytes:
        for _, data in self.stream([name]):
            if isinstance(data, Unreadable):
                raise data
            return data[:limit]
        raise Unreadable("is gone from the archive")

    def stream(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | Unreadable]]:
        wanted = set(names)
        if not wanted:
            return
        with self._open() as archive:
            for info in self._members(archive):
                name = _clean(info.name)
                if name not in wanted:
                    continue
                wanted.discard(name)
                handle = archive.extractfile(info)
                try:
                    yield name, read_whole(handle, info.size) if handle else Unreadable("is no plain file")
                except Unreadable as error:
                    yield name, error
                except _DAMAGE as error:
                    yield name, Unreadable(_reason(error))
                if not wanted:
                    return

    def close(self) -> None:
        """Nothing is held open."""

    def _open(self) -> tarfile.TarFile:
        try:
            return tarfile.open(self._path, "r:*")
        except _DAMAGE as error:
            raise DataError(f"{self._path} is a damaged tar archive ({error}); fetch or make it again.") from error

    def _members(self, archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
        try:
            for info in archive:
                if info.isreg():
                    yield info
        except _DAMAGE as error:
            raise DataError(f"{self._path} is damaged or cut short ({error}); fetch or make it again.") from error

    def _walk(self, visit: Callable[[str, int, IO[bytes]], None]) -> None:
        try:
            with self._open() as archive:
                for info in self._members(archive):
                    handle = archive.extractfile(info)
                    if handle is not None:
                        visit(_clean(info.name), info.size, handle)
        except _DAMAGE as error:
            raise DataError(f"{self._path} is damaged or cut short ({error}); fetch or make it again.") from error


def is_tar(path: Path) -> bool:
    """Whether a file is a tar archive, compressed or not, by its content."""
    try:
        return tarfile.is_tarfile(path)
    except _DAMAGE:
        return False


def _acceptable(name: str, listing: Listing) -> bool:
    """Sort out hidden members, and report those whose names lead out of the archive."""
    parts = name.split("/")
    if ".." in parts or name.startswith("/") or "\0" in name:
        listing.bad.append(BadFile(name, "has a name that leads out of the archive"))
        return False
    return not any(is_hidden(part) for part in parts)


def _table(handle: IO[bytes], size: int, name: str, where: str) -> str:
    if size > MAX_TABLE_BYTES:
        raise DataError(f"{name} in {where} is too large for a metadata file; remove columns or rows.")
    return table_text(handle.read(size), name, where)


def _clean(name: str) -> str:
    while name.startswith("./"):
        name = name[2:]
    return name


def _reason(error: BaseException) -> str:
    text = str(error)
    if "password" in text or "encrypted" in text:
        return "is encrypted; unpack the archive with its password first"
    if isinstance(error, NotImplementedError):
        return "is packed by a method that cannot be read"
    return f"is damaged within the archive ({text or type(error).__name__})"
