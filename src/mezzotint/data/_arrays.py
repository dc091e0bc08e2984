"""Sources that are arrays already: .npy, .npz, MNIST's idx files, CIFAR's batches, and NumPy arrays."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.errors import DataError, suggest
from mezzotint.data._convert import Unreadable, scale_to_16
from mezzotint.data._metadata import as_column, encode_labels
from mezzotint.data._pickles import load_plain_pickle
from mezzotint.data.raw import RawArrays
from mezzotint.data.types import DataConfig

_IMAGE_KEYS = ("images", "pictures", "image", "imgs", "x", "X", "data", "arr_0")
_LABEL_KEYS = ("labels", "label", "y", "targets", "target", "arr_1")
_PARTS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
_IDX = re.compile(r"^(train|t10k|test)[-_.]images[-_.]idx3[-_.]ubyte(\.gz)?$")
_BATCH = re.compile(r"^(data_batch_\d+|test_batch|train|test)$")
_MAX_BATCH = 2**30


def as_pictures(array: NDArray[Any], where: str, depth: str, notes: list[str]) -> NDArray[Any]:
    """Any array of pictures as [N, H, W, C] uint8 or uint16.

    Args:
        array: [N, H, W], [N, H, W, C] or [N, C, H, W] of numbers.
        depth: "8" brings floats to uint8, anything else to uint16; integers keep the depth that they use.

    Raises:
        DataError: the shape or the values cannot be pictures.
    """
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or 0 in array.shape:
        raise DataError(
            f"The array in {where} has the shape {list(array.shape)}; pictures are [N, H, W] or [N, H, W, C]."
        )
    if array.shape[-1] > 4 and array.shape[1] in (1, 2, 3, 4):
        array = np.moveaxis(array, 1, -1)
        notes.append("The array had its channels before height and width; they were moved to the end.")
    if array.shape[-1] > 4:
        raise DataError(f"The pictures in {where} have {array.shape[-1]} channels; 1 to 4 are possible.")
    if array.dtype in (np.uint8, np.uint16):
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if np.issubdtype(array.dtype, np.floating):
        return _from_floats(array, where, depth, notes)
    if not np.issubdtype(array.dtype, np.integer):
        raise DataError(f"The array in {where} holds {array.dtype}, which are not numbers of a picture.")
    low, high = int(array.min()), int(array.max())
    if low < 0 or high > 65535:
        raise DataError(f"The array in {where} holds values from {low} to {high}; pictures have 0..255 or 0..65535.")
    return array.astype(np.uint8 if high <= 255 else np.uint16)


def _from_floats(array: NDArray[Any], where: str, depth: str, notes: list[str]) -> NDArray[Any]:
    low, high = float(array.min()), float(array.max())
    if -1 <= low < 0 and high <= 1:
        notes.append("The array held values from -1 to 1, which were taken for black to white.")
        array = (array + 1) / 2
    elif low < 0 or high > 255:
        notes.append(f"The array held values from {low:g} to {high:g}, which were scaled to black and white.")
    try:
        values, _ = scale_to_16(array)
    except Unreadable as error:
        raise DataError(f"The array in {where} {error}; remove them first.") from None
    if depth == "8":
        return np.rint(values / 257).astype(np.uint8)
    return np.rint(values).astype(np.uint16)


def from_array(array: NDArray[Any], config: DataConfig) -> RawArrays:
    """A NumPy array as a set."""
    notes: list[str] = []
    return RawArrays(as_pictures(array, "this array", config.depth, notes), notes=tuple(notes))


def load_npy(path: Path, config: DataConfig) -> RawArrays:
    """A .npy file, memory-mapped."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{path} is no array file that can be read ({error}); save it with numpy.save.") from error
    notes: list[str] = []
    return RawArrays(as_pictures(array, str(path), config.depth, notes), notes=tuple(notes))


def load_npz(path: Path, config: DataConfig) -> RawArrays:
    """A .npz file with pictures and perhaps labels; keys such as x_train or val_images give fixed parts."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, KeyError, NotImplementedError) as error:
        raise DataError(f"{path} cannot be read ({error}); save it with numpy.savez, without objects.") from error
    parts = _find_parts(arrays)
    if parts:
        return _from_parts(arrays, parts, path, config)
    key = next((k for k in _IMAGE_KEYS if k in arrays and arrays[k].ndim >= 3), None)
    if key is None:
        big = [k for k, a in arrays.items() if a.ndim >= 3]
        if len(big) != 1:
            raise DataError(f"{path} holds {', '.join(arrays) or 'nothing'}; call the array of pictures images.")
        key = big[0]
    notes: list[str] = []
    pictures = as_pictures(arrays.pop(key), f"{path} ({key})", config.depth, notes)
    columns = {k: v for k, v in arrays.items() if v.ndim >= 1 and len(v) == len(pictures)}
    labels, classes, attributes = _split_columns(columns, config, str(path))
    return RawArrays(pictures, labels, classes, attributes=attributes, notes=tuple(notes))


def _find_parts(arrays: Mapping[str, NDArray[Any]]) -> dict[str, str]:
    """Part -> its word in the keys, for keys such as x_train, train_images or images_val."""
    found = {}
    for word, part in _PARTS.items():
        if any(k in arrays and arrays[k].ndim >= 3 for k in _part_keys(word, _IMAGE_KEYS)):
            found[part] = word
    return found if "train" in found else {}


def _part_keys(word: str, keys: Sequence[str]) -> list[str]:
    return [name for key in keys for name in (f"{word}_{key}", f"{key}_{word}")]


def _from_parts(
    arrays: Mapping[str, NDArray[Any]], parts: Mapping[str, str], path: Path, config: DataConfig
) -> RawArrays:
    notes: list[str] = []
    pictures, labels, names, fixed = [], [], [], {}
    start = 0
    for part, word in parts.items():
        key = next(k for k in _part_keys(word, _IMAGE_KEYS) if k in arrays)
        block = as_pictures(arrays[key], f"{path} ({key})", config.depth, notes)
        pictures.append(block)
        fixed[part] = np.arange(start, start + len(block))
        names += [f"{part}/{i:06d}" for i in range(len(block))]
        start += len(block)
        label_key = next((k for k in _part_keys(word, _LABEL_KEYS) if k in arrays), None)
        labels.append(arrays[label_key] if label_key is not None else None)
    if len({(p.shape[1:], p.dtype) for p in pictures}) > 1:
        raise DataError(f"The parts of {path} differ in picture size or type; make them alike.")
    columns: dict[str, NDArray[Any]] = {}
    if all(one is not None and len(one) == len(block) for one, block in zip(labels, pictures, strict=True)):
        columns["labels"] = np.concatenate([one for one in labels if one is not None])
    found, classes, attributes = _split_columns(columns, config, str(path))
    return RawArrays(
        np.concatenate(pictures),
        found,
        classes,
        names=tuple(names),
        attributes=attributes,
        fixed_splits=fixed,
        notes=tuple(dict.fromkeys(notes)),
    )


def _split_columns(
    columns: Mapping[str, NDArray[Any]], config: DataConfig, where: str
) -> tuple[NDArray[np.int64] | None, tuple[str, ...], dict[str, NDArray[Any]]]:
    """The label column and the rest; a table of several labels a picture becomes one attribute for each."""
    flat: dict[str, NDArray[Any]] = {}
    for name, values in columns.items():
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if values.ndim == 1:
            flat[name] = values
        elif values.ndim == 2 and values.shape[1] <= 64:
            flat |= {f"{name}_{i}": values[:, i] for i in range(values.shape[1])}
    if config.labels is not None and config.labels not in flat:
        raise DataError(f'{where} has no array "{config.labels}" for labels; {suggest(config.labels, flat)}')
    wanted = config.labels or next((k for k in _LABEL_KEYS if k in flat), None)
    labels, classes = (None, ()) if wanted is None else _encode(flat[wanted])
    return labels, classes, {k: as_column(v.tolist()) for k, v in flat.items() if k != wanted}


def _encode(values: NDArray[Any]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    if not np.issubdtype(values.dtype, np.integer):
        return encode_labels(values.tolist())
    classes, index = np.unique(values, return_inverse=True)
    return index.astype(np.int64), tuple(str(value) for value in classes)


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
    found, classes = (None, ()) if known is None else _encode(known)
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


def array_fingerprint(raw: RawArrays) -> str:
    """SHA-256 over the pictures' shape, type and bytes, hex."""
    if raw.fingerprint:
        return raw.fingerprint
    digest = hashlib.sha256(repr((raw.pictures.shape, raw.pictures.dtype.str)).encode())
    for at in range(0, len(raw.pictures), 4096):
        digest.update(np.ascontiguousarray(raw.pictures[at : at + 4096]).data)
    return digest.hexdigest()
