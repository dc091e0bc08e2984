"""Streams: the same by name, independent otherwise."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.core.rng import derive, normal, stream

parts = st.lists(st.integers(-(2**62), 2**62) | st.text(st.characters(exclude_categories=["Cs"])), max_size=4)


def test_streams_stay_what_they_are() -> None:
    """These numbers are a promise to every run that was ever started: change them and no resume is exact."""
    assert derive(0) == 3938860082335825607
    assert derive(0, "train", 7) == 6938232009034079314
    assert derive(-1, "zufällig", 2**40) == 14151957370274368893
    assert stream(3, "demo").integers(0, 2**32, 3).tolist() == [1074923911, 3989912018, 2619617637]


@given(seed=st.integers(0, 2**63), path=parts)
def test_same_name_same_stream(seed: int, path: list[str | int]) -> None:
    assert derive(seed, *path) == derive(seed, *path)
    assert 0 <= derive(seed, *path) < 2**64
    assert np.array_equal(stream(seed, *path).random(4), stream(seed, *path).random(4))


@given(a=parts, b=parts)
def test_other_name_other_stream(a: list[str | int], b: list[str | int]) -> None:
    assert (derive(0, *a) == derive(0, *b)) == (a == b)


@pytest.mark.parametrize(
    ("a", "b"),
    [((1,), ("1",)), (("ab", "c"), ("a", "bc")), (("ab",), ("a", "b")), ((1, 2), (2, 1)), (("",), ()), ((0,), ())],
)
def test_names_that_look_alike(a: tuple[str | int, ...], b: tuple[str | int, ...]) -> None:
    assert derive(0, *a) != derive(0, *b)


def test_numpy_integers_name_the_same_stream() -> None:
    for kind in (np.int32, np.int64, np.uint8):
        assert derive(kind(5), "step", kind(7)) == derive(5, "step", 7)
    with pytest.raises(TypeError):
        derive(0, 1.5)  # type: ignore[arg-type]


def test_another_process_draws_the_same() -> None:
    program = "from mezzotint.core.rng import stream; print(stream(5, 'x', 1).integers(0, 2**62))"
    for hash_seed in "0", "1":
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": hash_seed},
        )
        assert int(done.stdout) == stream(5, "x", 1).integers(0, 2**62)


def test_streams_leave_the_global_state_alone() -> None:
    before = np.random.get_state()  # noqa: NPY002
    stream(0, "x").random(100)
    assert str(np.random.get_state()) == str(before)  # noqa: NPY002


def test_neighbouring_streams_are_independent() -> None:
    """Steps 0..63 of two phases: means, spread and correlations are those of independent numbers."""
    rows = np.stack([normal((4000,), 0, "train", step, phase) for step in range(64) for phase in ("d", "g")])
    correlation = np.corrcoef(rows) - np.eye(len(rows))
    # 8128 pairs, each with standard deviation 1/sqrt(4000); 5.5 of them is beyond what chance gives
    assert np.abs(correlation).max() < 5.5 / np.sqrt(4000)
    assert abs(rows.mean()) < 5 / np.sqrt(rows.size)
    assert abs(rows.std() - 1) < 5 / np.sqrt(2 * rows.size)


def test_seeds_are_spread_evenly() -> None:
    seeds = [derive(0, "x", number) for number in range(4096)]
    assert len(set(seeds)) == 4096
    ones = np.array([[(seed >> bit) & 1 for bit in range(64)] for seed in seeds]).mean(axis=0)
    assert np.abs(ones - 0.5).max() < 5 * 0.5 / np.sqrt(4096)


@given(n=st.integers(0, 40), more=st.integers(0, 40), width=st.integers(1, 5))
def test_first_rows_do_not_depend_on_how_many(n: int, more: int, width: int) -> None:
    few, many = normal((n, width), 1, "rows"), normal((n + more, width), 1, "rows")
    assert few.dtype == np.float32
    assert few.shape == (n, width)
    assert np.array_equal(few, many[:n])


def test_order_of_drawing_does_not_matter() -> None:
    names = list(itertools.product(("a", "b"), range(3)))
    forth = {name: stream(9, *name).random() for name in names}
    back = {name: stream(9, *name).random() for name in reversed(names)}
    assert forth == back
    assert len(set(forth.values())) == len(names)
