"""The packed array while it is being written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mezzotint.core.errors import DataError
from mezzotint.data.decode import Plan


class RowFile:
    """A .npy file of known row shape that is written in any order and closed up at the end.

    When the plan leaves the channels open, rows are grey until the first row with colour comes; the rows before
    it are then rewritten.
    """

    def __init__(self, path: Path, plan: Plan, count: int) -> None:
        self._path, self._count = path, count
        self._dtype = np.dtype(plan.dtype).newbyteorder("<")
        self.shape = (plan.height, plan.width, plan.channels or 1)
        self._handle: FileIO

    def __enter__(self) -> RowFile:
        self._open(self._path)
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.close()

    def write(self, places: Sequence[int], rows: Sequence[NDArray[Any]]) -> None:
        """Write each row [H, W, C] at its place; neighbours go in one piece. Grey is spread over all channels."""
        if any(row.shape[-1] > self.shape[-1] for row in rows):
            self._widen(max(row.shape[-1] for row in rows))
        wide = [row if row.shape == self.shape else np.repeat(row, self.shape[-1], axis=2) for row in rows]
        at = 0
        while at < len(wide):
            end = at + 1
            while end < len(wide) and places[end] == places[end - 1] + 1:
                end += 1
            self._seek(places[at])
            self._write(np.stack(wide[at:end]).data.cast("B"))
            at = end

    def _widen(self, channels: int) -> None:
        """Start again with more channels, and take over what has been written."""
        old, start, size = self.shape, self._start, self._row_bytes
        written = max(0, self._handle.seek(0, os.SEEK_END) - start) // size
        self._handle.close()
        aside = self._path.with_suffix(".narrow")
        os.replace(self._path, aside)
        self.shape = (*old[:2], channels)
        self._open(self._path)
        with aside.open("rb") as narrow:
            narrow.seek(start)
            for place in range(written):
                row = np.frombuffer(narrow.read(size), self._dtype).reshape(old)
                self._seek(place)
                self._write(np.repeat(row, channels, axis=2).data.cast("B"))
        aside.unlink()

    def finish(self, good: Sequence[int]) -> None:
        """Keep only the rows `good` (sorted), and see to it that they are on the disk."""
        for target, place in enumerate(good):
            if target != place:
                self._seek(place)
                row = self._handle.read(self._row_bytes)
                self._seek(target)
                self._write(memoryview(row))
        self._handle.truncate(self._start + len(good) * self._row_bytes)
        self._handle.seek(0)
        if self._head(len(good)) != self._start:
            raise DataError(f"The head of {self._path} has changed its length, which is a bug; please report it.")
        os.fsync(self._handle.fileno())

    def _open(self, path: Path) -> None:
        self._handle = path.open("w+b", buffering=0)
        self._row_bytes = int(np.prod(self.shape)) * self._dtype.itemsize
        self._start = self._head(self._count)

    def _seek(self, place: int) -> None:
        self._handle.seek(self._start + place * self._row_bytes)

    def _write(self, data: memoryview) -> None:
        while len(data):
            data = data[self._handle.write(data) :]

    def _head(self, count: int) -> int:
        head = {"descr": self._dtype.str, "fortran_order": False, "shape": (count, *self.shape)}
        npy.write_array_header_1_0(self._handle, head)
        return self._handle.tell()
