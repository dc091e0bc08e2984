"""Sheets with names above their columns."""

from __future__ import annotations

import numpy as np
import pytest

from mezzotint.core.errors import DataError
from mezzotint.data.captions import headed
from mezzotint.data.output import grid

PICTURES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)


def strip(sheet: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """What stands above the pictures."""
    below = grid(np.zeros((rows * columns, 8, 8, sheet.shape[2]), np.uint8), columns)
    assert sheet.shape[1] == below.shape[1]
    return sheet[: sheet.shape[0] - below.shape[0]]


def test_pictures_stand_below_names_as_in_a_grid() -> None:
    sheet = headed(PICTURES, ("source", "day", "night"))
    above = strip(sheet, 2, 3)
    np.testing.assert_array_equal(sheet[len(above) :], grid(PICTURES, 3))
    thirds = np.array_split(above[..., 0] < 128, 3, axis=1)
    assert all(part.any() for part in thirds)
    middles = [float(np.flatnonzero(part.any(0)).mean()) / part.shape[1] for part in thirds]
    assert middles == pytest.approx([0.5] * 3, abs=0.05)
    bare = headed(PICTURES, ("source", "", ""))
    assert not (strip(bare, 2, 3)[:, sheet.shape[1] // 2 :, 0] < 128).any()


def test_rows_stand_beside_each_other() -> None:
    sheet = headed(PICTURES, ("a", "b"), across=2)
    above = strip(sheet, 2, 4)
    blank = np.full((2, 8, 8, 3), 255, np.uint8)
    np.testing.assert_array_equal(sheet[len(above) :], grid(np.concatenate((PICTURES, blank)), 4))
    np.testing.assert_array_equal(headed(PICTURES[:2], ("a", "b"), across=5), headed(PICTURES[:2], ("a", "b")))


def test_long_names_are_cut_and_unknown_letters_are_numbers() -> None:
    long = strip(headed(PICTURES, ("source", "x" * 500, "y")), 2, 3)
    quarter = long.shape[1] // 3
    ends = (long[:, quarter - 3 : quarter + 3], long[:, 2 * quarter - 3 : 2 * quarter + 3])
    assert not any((end < 128).any() for end in ends)
    np.testing.assert_array_equal(headed(PICTURES, ("a", "冬", "b")), headed(PICTURES, ("a", "1", "b")))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_any_channels(channels: int) -> None:
    sheet = headed(np.zeros((2, 8, 8, channels), np.uint8), ("a", "b"))
    assert sheet.shape[2] == channels
    if channels in (2, 4):
        assert (strip(sheet, 1, 2)[..., -1] == 255).all()


@pytest.mark.parametrize(("count", "names"), [(0, ("a",)), (3, ("a", "b")), (2, ())])
def test_what_is_no_sheet_is_refused(count: int, names: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match="no whole rows"):
        headed(PICTURES[:count], names)
