"""The file formats of two published sets, which many others have taken over: MNIST's idx and CIFAR's batches."""

from __future__ import annotations

import gzip
import os
import re
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.errors import DataError
from mezzotint.data._metadata import encode_array
from mezzotint.data._pickles import load_plain_pickle
from mezzotint.data.raw import RawArrays

_IDX = re.compile(r"^(train|t10k|test)[-_.]images[-_.]idx3[-_.]ubyte(\.gz)?$")
_BATCH = re.compile(r"^(data_batch_\d+|test_batch|train|test)$")
_MAX_BATCH = 2**30


def idx_files(folder: Path) -> dict[str, tuple[Path, Path | None]]:
    """MNIST's files in a folder: "train" and "test" -> (pictures, labels). Unpacked ones are preferred."""
    found: dict[str, tuple[Path, Path | None]] = {}
    for name in sorted(filter(_IDX.match, os.listdir(folder))):
        match, path = _IDX.match(name), folder / name
        if match and path.is_file():
            found.setdefault("train" if match[1] == "train" else "test", (path, _idx_labels(path)))
    return found


def is_idx(path: Path) -> bool:
    """Whether a file is a MNIST idx file of pictures, packed by gzip or not, by its content."""
    try:
        return _idx_head(path)[:3] == b"\0\0\x08" and _idx_head(path)[3] in (3, 4)
    except (OSError, EOFError, zlib.error, IndexError):
        return False


def load_idx(files: Mapping[str, tuple[Path, Path | None]]) -> RawArrays:
    """MNIST's idx files: pictures with their labels; a file of test pictures becomes the test part."""
    pictures, labels, names, fixed = [], [], [], {}
    start = 0
    for part, (path, label_path) in sorted(files.items(), reverse=True):
        block = _read_idx(path)
        if block.ndim == 3:
            block = block[..., None]
        pictures.append(block)
        if label_path is not None:
            values = _read_idx(label_path)
            if values.shape != (len(block),):
                raise DataError(
                    f"{label_path} has {len(values):,} labels for {len(block):,} pictures; fetch both again."
                )
            labels.append(values)
        names += [f"{part}/{i:06d}" for i in range(len(block))]
        fixed[part] = np.arange(start, start + len(block))
        start += len(block)
    known = np.concatenate(labels) if len(labels) == len(pictures) else None
    found, classes = (None, ()) if known is None else encode_array(known)
    return RawArrays(
        np.concatenate(pictures),
        found,
        classes,
        names=tuple(names),
        fixed_splits=fixed if len(fixed) > 1 else None,
    )


def idx_with_labels(path: Path) -> dict[str, tuple[Path, Path | None]]:
    """One idx file of pictures, with the file of labels beside it if there is one."""
    return {"train": (path, _idx_labels(path))}


def _idx_labels(path: Path) -> Path | None:
    name = path.name.replace("images", "labels").replace("idx3", "idx1")
    for other in (name, name.removesuffix(".gz"), f"{name}.gz"):
        if other != path.name and path.with_name(other).is_file():
            return path.with_name(other)
    return None


def _idx_head(path: Path) -> bytes:
    with path.open("rb") as handle:
        head = handle.read(4)
    if head[:2] == b"\x1f\x8b":
        with gzip.open(path) as packed:
            head = packed.read(4)
    return head


def _read_idx(path: Path) -> NDArray[np.uint8]:
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as handle:
            head = handle.read(4)
            if len(head) < 4 or head[:3] != b"\0\0\x08" or not 1 <= head[3] <= 4:
                raise DataError(f"{path} is no idx file of bytes as MNIST's are; fetch it again.")
            shape = tuple(int.from_bytes(handle.read(4), "big") for _ in range(head[3]))
            count = int(np.prod(shape, dtype=object))
            # A gzip file can hold at most 1032 times its size, so a false head is seen before memory is asked for.
            if count > (1032 if packed else 1) * path.stat().st_size:
                raise DataError(f"{path} is cut short: its head promises {count:,} bytes; fetch it again.")
            data = handle.read(count)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged ({error}); fetch it again.") from error
    if len(data) != count:
        raise DataError(f"{path} is cut short: it has {len(data):,} of {count:,} bytes; fetch it again.")
    return np.frombuffer(data, np.uint8).reshape(shape)


def is_cifar_folder(path: Path) -> bool:
    """Whether a folder holds CIFAR's Python batches."""
    names = set(os.listdir(path))
    wanted = {"data_batch_1"} if "data_batch_1" in names else {"train", "test", "meta"}
    return wanted <= names and all((path / name).is_file() for name in wanted)


def is_pickle(path: Path) -> bool:
    """Whether a file looks like a pickled CIFAR batch by its name and first byte."""
    with path.open("rb") as handle:
        return bool(_BATCH.match(path.name)) and handle.read(1) == b"\x80"


def cifar_members(path: Path) -> dict[str, bytes] | None:
    """The batches within a tar archive, or None if it is no archive of CIFAR batches."""
    wanted: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:*") as archive:
            for number, info in enumerate(archive):
                base = info.name.rsplit("/", 1)[-1]
                if info.isreg() and info.size < _MAX_BATCH and (_BATCH.match(base) or base.endswith("meta")):
                    handle = archive.extractfile(info)
                    wanted[base] = handle.read() if handle else b""
                elif number > 20 and not wanted:
                    return None
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError):
        return None
    return wanted if "data_batch_1" in wanted or {"train", "test"} <= wanted.keys() else None


def load_cifar(batches: Mapping[str, bytes], where: str) -> RawArrays:
    """CIFAR-10's or CIFAR-100's Python batches: name -> content. The test batch becomes the test part."""
    meta = next((load_plain_pickle(batches[k], f"{k} in {where}") for k in batches if k.endswith("meta")), {})
    pictures: list[NDArray[Any]] = []
    labels: list[int] = []
    coarse: list[int] = []
    names: list[str] = []
    test: list[int] = []
    start = 0
    for name in sorted(k for k in batches if _BATCH.match(k)):
        batch = load_plain_pickle(batches[name], f"{name} in {where}")
        data = batch.get("data")
        if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072:
            raise DataError(f"{name} in {where} has no array of [N, 3072] bytes as a CIFAR batch has; fetch it again.")
        given = batch.get("labels", batch.get("fine_labels"))
        if not isinstance(given, list) or len(given) != len(data):
            raise DataError(f"{name} in {where} has no label for each picture; fetch it again.")
        pictures.append(data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        labels += given
        coarse += batch.get("coarse_labels") or []
        names += [f"{name}/{i:05d}" for i in range(len(data))]
        if name.startswith("test"):
            test = list(range(start, start + len(data)))
        start += len(data)
    listed = meta.get("label_names", meta.get("fine_label_names")) or []
    classes = tuple(c.decode("utf-8", "replace") if isinstance(c, bytes) else str(c) for c in listed)
    index = np.array(labels, np.int64)
    if not classes:
        classes = tuple(str(i) for i in range(int(index.max()) + 1))
    if index.min() < 0 or index.max() >= len(classes):
        raise DataError(f"{where} has labels without a class name; fetch it again.")
    return RawArrays(
        np.concatenate(pictures),
        index,
        classes,
        names=tuple(names),
        attributes={"coarse_label": np.array(coarse, np.float64)} if len(coarse) == start else {},
        fixed_splits={"test": np.array(test, np.int64)} if test else None,
    )
