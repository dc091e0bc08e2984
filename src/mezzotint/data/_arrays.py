"""Sources that are arrays already: .npy, .npz and NumPy arrays."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.errors import DataError, suggest
from mezzotint.data._convert import Unreadable, scale_to_16
from mezzotint.data._metadata import as_column, encode_array
from mezzotint.data.raw import RawArrays
from mezzotint.data.tables import from_rows
from mezzotint.data.types import DataConfig

_IMAGE_KEYS = ("images", "pictures", "image", "imgs", "x", "X", "data", "arr_0")
_LABEL_KEYS = ("labels", "label", "y", "targets", "target", "arr_1")
_PARTS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}


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
    if array.ndim == 2 and array.dtype != np.uint8:  # which are a picture that lacks an axis
        return _rows(array, "this array")
    notes: list[str] = []
    return RawArrays(as_pictures(array, "this array", config.depth, notes), notes=tuple(notes))


def _rows(array: NDArray[Any], where: str) -> RawArrays:
    if array.dtype.kind not in "iufb":
        raise DataError(f"The array in {where} holds {array.dtype}, and rows are of numbers.")
    return from_rows(array, [f"x{k}" for k in range(array.shape[1])], where)


def load_npy(path: Path, config: DataConfig) -> RawArrays:
    """A .npy file, memory-mapped."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{path} is no array file that can be read ({error}); save it with numpy.save.") from error
    if array.ndim == 2 and array.dtype != np.uint8:  # which are a picture that lacks an axis
        return _rows(array, str(path))
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
    odd = next((k for k, v in arrays.items() if k in _LABEL_KEYS and k not in columns), None)
    if odd is not None:
        raise DataError(
            f"{path} has {len(pictures):,} pictures and {arrays[odd].size:,} values in {odd}; give each picture one."
        )
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
    labels, classes = (None, ()) if wanted is None else encode_array(flat[wanted])
    return labels, classes, {k: as_column(v.tolist()) for k, v in flat.items() if k != wanted}


def array_fingerprint(raw: RawArrays) -> str:
    """SHA-256 over the pictures' shape, type and bytes, hex."""
    if raw.fingerprint:
        return raw.fingerprint
    digest = hashlib.sha256(repr((raw.pictures.shape, raw.pictures.dtype.str)).encode())
    for at in range(0, len(raw.pictures), 4096):
        digest.update(np.ascontiguousarray(raw.pictures[at : at + 4096]).data)
    return digest.hexdigest()
