"""What is known about the pictures beside the pixels: classes from folders, columns from a metadata file."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.errors import DataError, suggest
from mezzotint.data._folders import fixed_parts, read_folders
from mezzotint.data.types import DataConfig

_FILE_COLUMNS = frozenset(
    {"file_name", "file", "filename", "filenames", "image", "path", "file_path", "image_path", "image_id", "image_name"}
)
CAPTION_COLUMNS = ("caption", "text", "captions")
LABEL_COLUMNS = ("label", "class", "labels", "category")
SPLIT_COLUMNS = ("split", "subset")
_TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl")
_SPACED = "list_attr_celeba.txt"
"""CelebA's attributes, as published: the number of pictures, the names of attributes, and a line for each picture."""
Row = Mapping[str, Any]


@dataclass
class Annotations:
    """What `annotate` found for N files; arrays are [N]."""

    labels: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    attributes: dict[str, NDArray[Any]] = field(default_factory=dict)
    captions: tuple[str, ...] | None = None
    fixed: dict[str, NDArray[np.int64]] | None = None
    notes: list[str] = field(default_factory=list)


def annotate(files: Sequence[str], tables: Mapping[str, str], config: DataConfig, where: str) -> Annotations:
    """Labels, attributes, captions and fixed splits of `files`, from their folders and from metadata tables.

    Args:
        files: relative paths with "/".
        tables: relative path -> text of the csv, tsv and jsonl files beside the pictures.
        where: the source, for messages.

    Raises:
        DataError: a metadata file cannot be understood, or a column that was asked for is missing.
    """
    folders = read_folders(files)
    result = Annotations(folders.labels, folders.classes, fixed=folders.fixed)
    columns = _joined(files, tables, where, result.notes)
    _check_asked(columns, config, where)
    for name in [c for c in columns if c.lower() in CAPTION_COLUMNS][:1]:
        result.captions = tuple("" if v is None else _text(v) for v in columns.pop(name))
    wanted = config.labels or next((c for c in columns if c.lower() in LABEL_COLUMNS), None)
    if wanted is not None:
        result.labels, result.classes = encode_labels(columns[wanted])
        if wanted != config.group:
            del columns[wanted]
    else:  # what folders say of classes matters only where no column says it
        result.notes[:0] = folders.notes
    for name in [c for c in columns if c.lower() in SPLIT_COLUMNS]:
        fixed = fixed_parts([_text(v) for v in columns[name]])
        if fixed is not None:
            result.fixed = fixed
    result.attributes = {name: as_column(values) for name, values in columns.items()}
    return result


def is_table(name: str) -> bool:
    """Whether a file may say something about the pictures beside it."""
    lower = name.lower()
    return lower.endswith(_TABLE_SUFFIXES) or lower.rsplit("/", 1)[-1] == _SPACED


def encode_labels(values: Sequence[Any]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Class indices [N] (-1 for an empty value) and the class names, numbers in the order of their value."""
    texts = ["" if v is None else _text(v).strip() for v in values]
    known = set(texts) - {""}
    try:
        classes = sorted(known, key=lambda t: (float(t), t))
    except ValueError:
        classes = sorted(known)
    index = {name: i for i, name in enumerate(classes)} | {"": -1}
    return np.array([index[t] for t in texts], np.int64), tuple(classes)


def encode_array(values: NDArray[Any]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """As `encode_labels`, for an array [N]."""
    if not np.issubdtype(values.dtype, np.integer):
        return encode_labels(values.tolist())
    classes, index = np.unique(values, return_inverse=True)
    return index.astype(np.int64), tuple(str(value) for value in classes)


def as_column(values: Sequence[Any]) -> NDArray[Any]:
    """One attribute as [N] float64 (missing is NaN) when all values are numbers, or else as [N] str."""
    texts = ["" if v is None else _text(v).strip() for v in values]
    try:
        return np.array([float(t) if t else np.nan for t in texts], np.float64)
    except ValueError:
        return np.array(texts, dtype=np.str_)


def _check_asked(columns: Mapping[str, Any], config: DataConfig, where: str) -> None:
    for asked, option in ((config.labels, "labels"), (config.group, "group")):
        if asked is not None and asked not in columns:
            raise DataError(f'{where} has no column "{asked}" for {option}; {suggest(asked, columns)}')


def _joined(files: Sequence[str], tables: Mapping[str, str], where: str, notes: list[str]) -> dict[str, list[Any]]:
    """All columns of all tables that speak of `files`: name -> N values, None where nothing is said."""
    columns: dict[str, list[Any]] = {}
    finder = _Finder(files if tables else ())
    for path in sorted(tables, key=_importance):
        explicit = path.rsplit("/", 1)[-1].startswith("metadata.")
        rows = parse_table(path, tables[path], where)
        key = next((k for k in (rows[0] if rows else {}) if k.lower().strip() in _FILE_COLUMNS), None)
        if key is None:
            if explicit:
                raise DataError(
                    f"{path} in {where} has no column with file names; call one file_name and list the pictures there."
                )
            notes.append(f"{path} has no column with file names, so it is not used.")
            continue
        folder = path.rsplit("/", 1)[0] + "/" if "/" in path else ""
        found = [(finder.find(folder, _text(row.get(key) or "")), row) for row in rows]
        matched = sum(i is not None for i, _ in found)
        if matched == 0:
            if explicit:
                raise DataError(f'No file named in {path} is among the pictures of {where}; check column "{key}".')
            notes.append(f"{path} names none of the pictures, so it is not used.")
            continue
        _merge(columns, ((i, row) for i, row in found if i is not None), key, len(files))
        silent = len(files) - len({i for i, _ in found if i is not None})
        if len(rows) > matched:
            notes.append(f"{path} names {len(rows) - matched:,} files that are not among the pictures.")
        if silent:
            notes.append(f"{path} says nothing about {silent:,} of the pictures.")
    return columns


def _merge(columns: dict[str, list[Any]], found: Iterable[tuple[int, Row]], key: str, count: int) -> None:
    """Add a table's columns; of several rows about one file the captions are all kept, a line each."""
    fresh: dict[str, list[Any]] = {}
    for i, row in found:
        for name, value in row.items():
            if name == key or name in columns:
                continue
            column = fresh.setdefault(name, [None] * count)
            if column[i] is None:
                column[i] = value
            elif name.lower() in CAPTION_COLUMNS:
                column[i] = f"{_text(column[i])}\n{_text(value)}"
    columns.update(fresh)


def parse_table(path: str, text: str, where: str) -> list[dict[str, Any]]:
    """The rows of a csv, tsv or jsonl file, or of CelebA's attributes, as dictionaries.

    Raises:
        DataError: with the number of the line that cannot be understood.
    """
    if path.endswith(".jsonl"):
        return _parse_json_lines(path, text, where)
    if path.lower().endswith(".txt"):
        return _parse_spaced(path, text, where)
    try:
        delimiter = _delimiter(text)
        reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, strict=True)
        rows = []
        for row in reader:
            if None in row:
                raise DataError(
                    f"Line {reader.line_num} of {path} in {where} has more values than the head has columns; "
                    "quote values that hold the separator."
                )
            rows.append({str(k): v for k, v in row.items()})
    except csv.Error as error:
        raise DataError(f"{path} in {where} cannot be read as a table ({error}); save it as plain CSV.") from error
    return rows


def _delimiter(text: str) -> str:
    """The separator with which the head has a column of file names; a comma if none has."""
    for delimiter in (",", ";", "\t"):
        head = next(csv.reader(io.StringIO(text), delimiter=delimiter), [])
        if any(name.lower().strip() in _FILE_COLUMNS for name in head):
            return delimiter
    return ","


def _parse_json_lines(path: str, text: str, where: str) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise DataError(f"Line {number} of {path} in {where} is not a JSON object; write one object a line.")
        rows.append({str(k): v for k, v in row.items()})
    return rows


def _parse_spaced(path: str, text: str, where: str) -> list[dict[str, Any]]:
    lines = [line.split() for line in text.splitlines()]
    start = 1 if lines and len(lines[0]) == 1 else 0
    names = lines[start] if len(lines) > start else []
    rows = []
    for number, words in enumerate(lines[start + 1 :], start + 2):
        if words and len(words) != len(names) + 1:
            raise DataError(
                f"Line {number} of {path} in {where} has {len(words) - 1} values for {len(names)} attributes; "
                "write a file name and a value for each, with spaces between."
            )
        if words:
            rows.append({"file_name": words[0], **dict(zip(names, words[1:], strict=True))})
    return rows


class _Finder:
    """Finds the picture that a table means by a file name."""

    def __init__(self, files: Sequence[str]) -> None:
        self._exact = {name: i for i, name in enumerate(files)}
        self._composed = {_compose(name): i for i, name in enumerate(files)}
        self._base = _unique((_compose(name).rsplit("/", 1)[-1], i) for i, name in enumerate(files))
        self._stem = _unique((base.rsplit(".", 1)[0], i) for base, i in self._base.items())

    def find(self, folder: str, said: str) -> int | None:
        said = said.strip().replace("\\", "/").removeprefix("./")
        for name in (folder + said, said):
            if name in self._exact:
                return self._exact[name]
        composed = _compose(said)
        for name in (_compose(folder) + composed, composed):
            if name in self._composed:
                return self._composed[name]
        base = composed.rsplit("/", 1)[-1]
        return self._base.get(base, self._stem.get(base))


def _unique(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    listed = list(pairs)
    counts = Counter(name for name, _ in listed)
    return {name: i for name, i in listed if counts[name] == 1}


def _compose(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _importance(path: str) -> tuple[int, str]:
    base = path.rsplit("/", 1)[-1]
    order = ("metadata.csv", "metadata.jsonl", "labels.csv", "captions.csv")
    return (order.index(base) if base in order else len(order)), path


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | bool) else str(value)
