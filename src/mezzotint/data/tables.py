"""Rows of numbers as pictures: each row of a table is a picture of 1 x D grey pixels of 16 bits, one for each column.

So every model of fully connected layers, and every command, takes tables; `Columns` say what black and white stand for.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mezzotint.core import atomic
from mezzotint.core.errors import DataError, suggest
from mezzotint.data.meaning import Meaning
from mezzotint.data.raw import RawArrays
from mezzotint.data.types import DataConfig

_TOP = 65535
_MARGIN = 0.05
"""How far beyond the least and the largest value of a column a model may go, as a share of their distance."""


@dataclass(frozen=True)
class Columns(Meaning):
    """That a picture of 1 x D grey pixels of 16 bits is a row of a table.

    Attributes:
        names: of the D columns.
        low, high: what black and white stand for, in each.

    Example:
        >>> columns = Columns(("a", "b"), (0.0, -1.0), (10.0, 1.0))
        >>> columns.numbers(columns.levels(np.array([[10.0, 7.0]]))).tolist()
        [[10.0, 1.0]]
    """

    kind: ClassVar[str] = "columns"
    holds: ClassVar[str] = "rows of numbers"
    word: ClassVar[str] = "tables"
    numeric: ClassVar[bool] = True
    one_file: ClassVar[str] = "rows.csv"
    # The class is taken out of another table too; what columns it has is for `adopted` to say.
    reads: ClassVar[Mapping[str, Any]] = {"size": None}

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def of_json(cls, fields: Mapping[str, Any]) -> Columns:
        """See `Meaning`."""
        return cls(*(tuple(fields[key]) for key in ("names", "low", "high")))

    def levels(self, rows: NDArray[Any]) -> NDArray[np.uint16]:
        """Rows [N, D] as stored pictures [N, 1, D, 1]; what lies beyond a column's range is stored at its edge."""
        low, high = np.array(self.low), np.array(self.high)
        share = np.clip((np.asarray(rows, np.float64) - low) / (high - low), 0, 1)
        return np.floor(share * _TOP + 0.5).astype(np.uint16)[:, None, :, None]

    def numbers(self, pictures: NDArray[Any]) -> NDArray[np.float64]:
        """The inverse: rows [N, D] of stored pictures [N, 1, D, 1]."""
        return self.rows(super().numbers(pictures))

    def rows(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Rows [N, D] of what a model gives, [N, 1, 1, D] or [N, D] in [-1, 1], with all its digits."""
        low, high = np.array(self.low), np.array(self.high)
        share = (np.asarray(values, np.float64).reshape(len(values), -1) + 1) / 2
        return low + np.clip(share, 0, 1) * (high - low)

    def save_values(self, files: Sequence[Path], chunks: Iterable[NDArray[Any]]) -> None:
        """Write all rows as one CSV, with six digits; see `Meaning`."""
        rows = []
        for values in chunks:
            self.stored(values)  # which refuses what is not finite
            rows.append(self.rows(values))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.names)
        writer.writerows([f"{value:.6g}" for value in row] for row in np.concatenate(rows))
        atomic.write_text(files[0], text.getvalue())

    def adopted(self, pictures: NDArray[Any], given: Meaning, where: str) -> NDArray[Any]:
        """Rows of another table in this one's range, if its columns have the same names; see `Meaning`."""
        if given == self:
            return pictures
        names = given.names if isinstance(given, Columns) else None
        if names != self.names:
            held = "no table" if names is None else f"the columns {', '.join(names)}"
            raise DataError(f"{where} holds {held}; this run takes the columns {', '.join(self.names)}.")
        return self.levels(given.numbers(pictures))


def from_rows(rows: NDArray[Any], names: Sequence[str], where: str, **more: Any) -> RawArrays:
    """A set of rows.

    Args:
        rows: [N, D] numbers.
        names: of the D columns.
        where: for messages.
        more: further fields of `RawArrays`.

    Raises:
        DataError: there is no row, or a value is not a finite number.

    Example:
        >>> made = from_rows(np.array([[0.0, 5.0], [10.0, 5.0]]), ("a", "b"), "here")
        >>> made.pictures.shape, made.meaning.low
        ((2, 1, 2, 1), (-0.5, 4.0))
    """
    values = np.asarray(rows, np.float64)
    if 0 in values.shape:
        raise DataError(f"{where} holds no row of numbers.")
    odd = np.argwhere(~np.isfinite(values))
    if len(odd):
        row, column = odd[0]
        raise DataError(
            f'{where} has no finite number in row {row + 1:,}, column "{names[column]}" ({len(odd):,} such places); '
            "fill them in, or take these rows out."
        )
    least, most = values.min(0), values.max(0)
    room = np.where(most > least, _MARGIN * (most - least), 1.0)
    columns = Columns(tuple(names), tuple((least - room).tolist()), tuple((most + room).tolist()))
    return RawArrays(columns.levels(values), meaning=columns, **more)


def read_table(path: Path, config: DataConfig) -> RawArrays:
    """A .csv file; its first line names the columns, unless it holds numbers only. `config.labels` names the class.

    Raises:
        DataError: it is no table of numbers.
    """
    try:
        lines = [row for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))) if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a table ({error}); save it as CSV in UTF-8.") from error
    if not lines:
        raise DataError(f"{path} is empty.")
    headed = not all(_is_number(cell) for cell in lines[0])
    names = [cell.strip() for cell in lines[0]] if headed else [f"x{k}" for k in range(len(lines[0]))]
    body = lines[1:] if headed else lines
    for number, row in enumerate(body, 1 + headed):
        if len(row) != len(names):
            raise DataError(f"Line {number:,} of {path} has {len(row)} values, and there are {len(names)} columns.")
    if len(set(names)) < len(names):
        raise DataError(f"{path} has two columns of one name; rename one.")
    labels, classes = None, tuple[str, ...]()
    if config.labels is not None:
        if config.labels not in names:
            raise DataError(f'{path} has no column "{config.labels}" for the class; {suggest(config.labels, names)}')
        at = names.index(config.labels)
        marks = [row[at].strip() for row in body]
        classes = tuple(sorted(set(marks) - {""}))
        labels = np.array([classes.index(mark) if mark else -1 for mark in marks], np.int64)
        names, body = names[:at] + names[at + 1 :], [row[:at] + row[at + 1 :] for row in body]
    words = next((k for k in range(len(names)) for row in body if row[k].strip() and not _is_number(row[k])), None)
    if words is not None:
        raise DataError(
            f'The column "{names[words]}" of {path} holds words; take it as the class with --set data.labels='
            f"{names[words]}, or take it out."
        )
    values = np.array([[float(cell) if cell.strip() else np.nan for cell in row] for row in body]).reshape(
        -1, len(names)
    )
    return from_rows(values, names, str(path), labels=labels, classes=classes)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
