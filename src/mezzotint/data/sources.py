"""Where pictures come from: a folder, one file, a zip or a tar. All are listed and read the same way.

Nothing is ever unpacked to the disk, and nothing outside the source is opened because of a name within it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from mezzotint.core.errors import DataError
from mezzotint.data._convert import Unreadable
from mezzotint.data._folders import common_folder
from mezzotint.data._headers import looks_like_picture, open_picture
from mezzotint.data._metadata import is_table
from mezzotint.data.types import BadFile

_READ = "jpg jpeg jpe jfif png apng gif bmp dib webp tif tiff ppm pgm pbm pnm avif"
_NOT_READ = "psd eps ai svg heic heif ico icns tga jp2 j2k jxl xcf exr hdr dds pcx cr2 cr3 nef arw dng dcm sgi xpm qoi"
_OTHER = (
    "txt md json jsonl csv tsv xml yaml yml html htm pdf doc docx log py ipynb sh ini db zip gz npy npz mat mp4 mov "
    "avi mp3 wav pt pth pkl h5 safetensors"
)
SUFFIXES = frozenset(f".{suffix}" for suffix in _READ.split())
FOREIGN = frozenset(f".{suffix}" for suffix in _NOT_READ.split())
NOT_PICTURES = frozenset(f".{suffix}" for suffix in _OTHER.split())
HEAD_BYTES = 64 * 2**10
PLAIN_BYTES = 64 * 2**20  # up to this size a file is read without asking why it is so large
MAX_TABLE_BYTES = 256 * 2**20
MAX_FILE_BYTES = 2**30


@dataclass(frozen=True, slots=True)
class Member:
    """One file that is taken for a picture. `stamp` is when it was changed (a checksum within an archive)."""

    name: str
    size: int
    stamp: int = 0


@dataclass
class Listing:
    """What a source holds: candidate pictures sorted by name, tables beside them, and what was passed over."""

    members: list[Member] = field(default_factory=list)
    tables: dict[str, str] = field(default_factory=dict)
    bad: list[BadFile] = field(default_factory=list)
    ignored: int = 0
    notes: list[str] = field(default_factory=list)


class Source(Protocol):
    """A place with pictures. A `sequential` one is cheap to read in its own order only, by `stream`."""

    where: str
    sequential: bool

    def identity(self) -> str | None:
        """A key that changes with the content and needs no listing, or None if listing is the cheap way."""

    def listing(self) -> Listing:
        """List everything."""

    def read(self, name: str, limit: int | None = None) -> bytes:
        """The bytes of one member, or its first `limit`. Raises Unreadable."""

    def stream(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | Unreadable]]:
        """All of `names` with their bytes, in the order that is cheap."""

    def close(self) -> None:
        """Let go of open files."""


class FolderSource:
    """A folder on the disk, or a single picture."""

    sequential = False

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self._root = path if path.is_dir() else path.parent
        self._prefix = os.path.join(self._root, "")
        self._only = None if path.is_dir() else path.name

    def identity(self) -> str | None:
        return None

    def listing(self) -> Listing:
        listing = Listing()
        tables: dict[str, Path] = {}
        found = self._walk(listing) if self._only is None else [(self._only, f"{self._prefix}{self._only}")]
        for name, path in found:
            try:
                info = os.stat(path)
            except OSError:
                if is_picture_name(name):
                    listing.bad.append(BadFile(name, "is a link that leads nowhere"))
                continue
            if not stat.S_ISREG(info.st_mode):  # a pipe or device must not even be opened
                listing.ignored += 1
                continue
            if is_table(name):
                tables[name] = Path(path)
            member = Member(name, info.st_size, info.st_mtime_ns)
            sort_member(listing, member, lambda path=path: _head_of(Path(path)))  # type: ignore[misc]
        keep_tables(listing, tables, lambda path: _whole_table(path, self.where))
        return listing

    def read(self, name: str, limit: int | None = None) -> bytes:
        try:
            with open(f"{self._prefix}{name}", "rb", buffering=0) as handle:
                if limit is not None:
                    return handle.read(limit)
                size = os.fstat(handle.fileno()).st_size
                if size <= PLAIN_BYTES:
                    return handle.read(size)
            with open(self._root / name, "rb") as buffered:
                return read_whole(buffered, size)
        except PermissionError:
            raise Unreadable("may not be read by you") from None
        except FileNotFoundError:
            raise Unreadable("was there a moment ago and is gone") from None
        except OSError as error:
            raise Unreadable(f"cannot be read ({error.strerror or error})") from None

    def stream(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | Unreadable]]:
        return stream_by_reading(self, names)

    def close(self) -> None:
        """Nothing is held open."""

    def _walk(self, listing: Listing) -> Iterator[tuple[str, str]]:
        """Every file under the root once, as name and path, however links run; hidden ones are left out."""
        seen: set[tuple[int, int]] = set()
        todo = [("", self._root)]
        while todo:
            prefix, folder = todo.pop()
            try:
                info = folder.stat()
                if (info.st_dev, info.st_ino) in seen:
                    listing.notes.append(f'The folder "{prefix}" is a link to one that is read already.')
                    continue
                seen.add((info.st_dev, info.st_ino))
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError as error:
                if not prefix:
                    raise DataError(f"The folder {folder} cannot be read ({error.strerror}).") from error
                listing.notes.append(f'The folder "{prefix}" cannot be read ({error.strerror}).')
                continue
            links = []
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                if not _is_folder(entry):
                    yield prefix + entry.name, entry.path
                elif entry.is_symlink():
                    links.append((f"{prefix}{entry.name}/", folder / entry.name))
                else:
                    todo.append((f"{prefix}{entry.name}/", folder / entry.name))
            # Real folders are walked before links to them, so that pictures go by their real names.
            todo[:0] = links


def is_hidden(name: str) -> bool:
    """Whether a file or folder is one that systems leave behind and people do not see."""
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db", "desktop.ini")


def is_picture_name(name: str) -> bool:
    """Whether the suffix says that this is a picture, of a kind that is read or of another."""
    suffix = os.path.splitext(name)[1].lower()
    return suffix in SUFFIXES or suffix in FOREIGN


def sort_member(listing: Listing, member: Member, head: Callable[[], bytes]) -> None:
    """Put a file where it belongs: candidates, bad files, or what is passed over.

    A file whose suffix says nothing is looked into: `head()` gives its first 16 bytes.
    """
    suffix = os.path.splitext(member.name)[1].lower()
    if suffix in SUFFIXES:
        listing.members.append(member)
    elif suffix in NOT_PICTURES:
        listing.ignored += 1
    elif suffix not in FOREIGN:
        if looks_like_picture(head()):
            listing.members.append(member)
        else:
            listing.ignored += 1
    else:
        kind = suffix[1:].upper()
        listing.bad.append(BadFile(member.name, f"is in the format {kind}, which is not read; save it as PNG or JPEG"))


def keep_tables(listing: Listing, tables: Mapping[str, Path], read: Callable[[Path], str]) -> None:
    """Sort the listing, and read the tables that lie at its top or beside its pictures' common folder."""
    listing.members.sort(key=lambda member: member.name)
    shared = common_folder([member.name for member in listing.members])
    for name, path in tables.items():
        folder = name.rsplit("/", 1)[0] + "/" if "/" in name else ""
        if shared.startswith(folder):
            listing.tables[name] = read(path)


def table_text(data: bytes, name: str, where: str) -> str:
    """Decode a table.

    Raises:
        DataError: it is neither UTF-8 nor UTF-16.
    """
    try:
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{name} in {where} is not UTF-8 text; save it again as UTF-8.") from error


def read_whole(handle: IO[bytes], size: int) -> bytes:
    """Read a file of `size` bytes; a very large one only when the picture within can need it.

    Raises:
        Unreadable: it is much larger than its pixels can need.
    """
    if size > MAX_FILE_BYTES:
        raise Unreadable(f"is {size / 2**30:.1f} GiB large, more than any picture that is read")
    if size > PLAIN_BYTES:
        head = handle.read(16)
        if not looks_like_picture(head) or head[:4] == b"RIFF" or head[4:8] == b"ftyp":
            raise Unreadable("is not a picture, or far too large for one")
        handle.seek(0)
        image = open_picture(handle)
        if size > PLAIN_BYTES + 8 * image.width * image.height:
            raise Unreadable(f"is {size / 2**20:.0f} MiB large, far more than its pixels can need")
        handle.seek(0)
    return handle.read(size)


def stream_by_reading(source: Source, names: Iterable[str]) -> Iterator[tuple[str, bytes | Unreadable]]:
    """`Source.stream` for sources that can be read in any order."""
    for name in names:
        try:
            yield name, source.read(name)
        except Unreadable as error:
            yield name, error


def file_identity(path: Path) -> str:
    """A key of a single file that is cheap and changes with its content: size, time, first and last bytes."""
    info = path.stat()
    digest = hashlib.sha256(f"{info.st_size} {info.st_mtime_ns} ".encode())
    with path.open("rb") as handle:
        digest.update(handle.read(HEAD_BYTES))
        handle.seek(max(0, info.st_size - HEAD_BYTES))
        digest.update(handle.read(HEAD_BYTES))
    return digest.hexdigest()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links
        return False


def _head_of(path: Path) -> bytes:
    try:
        with path.open("rb") as handle:
            return handle.read(16)
    except OSError:
        return b""


def _whole_table(path: Path, where: str) -> str:
    if path.stat().st_size > MAX_TABLE_BYTES:
        raise DataError(f"{path.name} in {where} is too large for a metadata file; remove columns or rows.")
    try:
        return table_text(path.read_bytes(), path.name, where)
    except OSError as error:
        raise DataError(f"{path.name} in {where} cannot be read ({error.strerror}).") from error
