"""What a path holds: arrays of some kind, or picture files in a folder or an archive."""

from __future__ import annotations

from pathlib import Path

from mezzotint.core.errors import DataError
from mezzotint.data import _arrays, _published
from mezzotint.data._archive import TarSource, ZipSource, is_tar
from mezzotint.data._headers import looks_like_picture
from mezzotint.data.raw import RawArrays
from mezzotint.data.sources import FolderSource, Source, is_picture_name
from mezzotint.data.tables import read_table
from mezzotint.data.types import DataConfig


def path_of(source: str | Path) -> Path:
    """What a person gave as a path; an empty one is not the folder one is in, though Python takes it for that.

    Raises:
        DataError: it is empty.
    """
    if not str(source):
        raise DataError("The name of the pictures is empty; give the path to your pictures.")
    return Path(source).expanduser()


def arrays_at(path: Path, config: DataConfig) -> RawArrays | None:
    """The source as arrays; None where it is none of those that hold arrays.

    Raises:
        DataError: it cannot be read, or what it holds is damaged.
    """
    try:
        if path.is_dir():
            return _in_folder(path)
        if not path.is_file():
            raise DataError(f"{path} is neither a file nor a folder; give the path to your pictures.")
        return _in_file(path, config)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); check who may read it.") from error


def _in_folder(path: Path) -> RawArrays | None:
    if files := _published.idx_files(path):
        return _published.load_idx(files)
    if _published.is_cifar_folder(path):
        return _published.load_cifar({p.name: p.read_bytes() for p in path.iterdir() if p.is_file()}, str(path))
    return None


def _in_file(path: Path, config: DataConfig) -> RawArrays | None:
    if path.suffix.lower() == ".csv":
        return read_table(path, config)
    with path.open("rb") as handle:
        head = handle.read(16)
    if head.startswith(b"\x93NUMPY"):
        return _arrays.load_npy(path, config)
    if path.suffix == ".npz":
        return _arrays.load_npz(path, config)
    if _published.is_idx(path):
        return _published.load_idx(_published.idx_with_labels(path))
    if _published.is_pickle(path):
        return _published.load_cifar({path.name: path.read_bytes()}, str(path))
    if "cifar" in path.name.lower() and not head.startswith(b"PK"):
        batches = _published.cifar_members(path)
        return _published.load_cifar(batches, str(path)) if batches else None
    return None


def source_at(path: Path) -> Source:
    """The folder, picture or archive at a path, to be listed and read.

    Raises:
        DataError: it is none of these.
    """
    if path.is_dir():
        return FolderSource(path)
    with path.open("rb") as handle:
        head = handle.read(16)
    if looks_like_picture(head):
        return FolderSource(path)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")) or path.suffix.lower() == ".zip":
        return ZipSource(path)
    if is_tar(path) or ".tar" in path.name.lower():
        return TarSource(path)
    if is_picture_name(path.name):
        return FolderSource(path)
    raise DataError(
        f"{path} is nothing that holds pictures; give a folder, a picture, a zip or tar archive, .npz, .npy, or "
        "MNIST or CIFAR files."
    )
