"""Tables as sources: CSV and arrays of rows, what they say of themselves, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mezzotint.core.errors import DataError
from mezzotint.data.meaning import PICTURES
from mezzotint.data.open import open_pictures
from mezzotint.data.tables import Columns
from mezzotint.data.types import DataConfig


def test_rows_come_back_to_a_fraction_of_their_range(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal((3, -200, 0), (1, 50, 1e-3), (500, 3))
    np.save(tmp_path / "a.npy", rows)
    for source in (rows, tmp_path / "a.npy"):
        found = open_pictures(source, DataConfig(validation=0.2))
        assert (found.pictures.shape, found.pictures.dtype) == ((500, 1, 3, 1), np.uint16)
        assert isinstance(found.meaning, Columns)
        assert found.meaning.names == ("x0", "x1", "x2")
        assert np.all(np.array(found.meaning.low) < rows.min(0))
        off = np.abs(found.meaning.numbers(found.pictures) - rows).max(0)
        assert np.all(off <= 0.51 * (np.array(found.meaning.high) - found.meaning.low) / 65535)
        assert len(found.splits["validation"]) == 100


def test_a_csv_file_with_and_without_a_head(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("height,weight,kind\n1.8,80,cat\n1.6,,dog\n", encoding="utf-8-sig")
    with pytest.raises(DataError, match=r'"kind" of .* holds words; take it as the class with --set data.labels=kind'):
        open_pictures(tmp_path / "a.csv")
    with pytest.raises(DataError, match='no finite number in row 2, column "weight"'):
        open_pictures(tmp_path / "a.csv", DataConfig(labels="kind"))
    (tmp_path / "a.csv").write_text("height,weight,kind\n1.8,80,cat\n1.6,50,dog\n1.7,60,\n")
    found = open_pictures(tmp_path / "a.csv", DataConfig(labels="kind", validation=0))
    assert (found.classes, found.meaning.names) == (("cat", "dog"), ("height", "weight"))
    assert found.labels.tolist() == [0, 1, -1]
    np.testing.assert_allclose(found.meaning.numbers(found.pictures), [[1.8, 80], [1.6, 50], [1.7, 60]], rtol=1e-4)
    (tmp_path / "b.csv").write_text("1,2\n3,4\n5,6\n")
    assert open_pictures(tmp_path / "b.csv", DataConfig(validation=0)).meaning.names == ("x0", "x1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n3\n", "Line 3 of .* has 1 values, and there are 2 columns"),
        ("a,a\n1,2\n", "two columns of one name"),
        ("a,b\n", "holds no row of numbers"),
        ("a,b\n1,inf\n2,3\n", 'row 1, column "b"'),
    ],
)
def test_what_is_no_table_of_numbers_is_said(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        open_pictures(tmp_path / "a.csv")


def test_options_of_pictures_do_not_fit(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b,c\n1,2,3\n3,4,5\n")
    with pytest.raises(DataError, match="holds rows of numbers, to which size does not apply"):
        open_pictures(tmp_path / "a.csv", DataConfig(size=8))
    with pytest.raises(DataError, match='no column "d" for the class'):
        open_pictures(tmp_path / "a.csv", DataConfig(labels="d"))
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read as a table"):
        open_pictures(tmp_path / "b.csv")


def test_what_a_model_gives_is_written_as_numbers(tmp_path: Path) -> None:
    columns = Columns(("a", "b"), (0.0, -1.0), (10.0, 1.0))
    values = np.array([[[[-1.0, 1.0]]], [[[0.0, 5.0]]], [[[1.0, 0.5]]]])
    assert columns.rows(values).tolist() == [[0.0, 1.0], [5.0, 1.0], [10.0, 0.5]]
    columns.save_values([tmp_path / "a.csv"] * 3, iter((values[:2], values[2:])))
    assert (tmp_path / "a.csv").read_text() == "a,b\n0,1\n5,1\n10,0.5\n"
    with pytest.raises(DataError, match="diverged"):
        columns.save_values([tmp_path / "b.csv"], [np.full((1, 1, 1, 2), np.nan)])
    assert not (tmp_path / "b.csv").exists()


def test_another_table_is_taken_where_its_columns_have_the_same_names() -> None:
    own, other = Columns(("a", "b"), (0.0, -1.0), (10.0, 1.0)), Columns(("a", "b"), (-5.0, -5.0), (20.0, 5.0))
    rows = np.array([[2.5, 0.5], [20.0, 0.0]])
    given = other.levels(rows)
    taken = own.adopted(given, other, "here")
    np.testing.assert_allclose(own.numbers(taken), [[2.5, 0.5], [10.0, 0.0]], atol=1e-3)
    assert own.adopted(taken, Columns(("a", "b"), (0.0, -1.0), (10.0, 1.0)), "here") is taken
    with pytest.raises(DataError, match="here holds the columns a, c; this run takes the columns a, b"):
        own.adopted(given, Columns(("a", "c"), (0.0, -1.0), (10.0, 1.0)), "here")
    with pytest.raises(DataError, match="here holds no table; this run takes the columns a, b"):
        own.adopted(given, PICTURES, "here")
    assert PICTURES.adopted(given, own, "here") is given
