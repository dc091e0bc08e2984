"""Running moments against NumPy's, whatever the batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from mezzotint.core.errors import DataError
from mezzotint.metrics.moments import Moments


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(1, 6), st.integers(0, 99))
def test_batches_of_any_size_give_what_numpy_gives(sizes: list[int], dims: int, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(sum(sizes), dims)) * 3 + 100
    moments = Moments(dims)
    for batch in np.split(rows, np.cumsum(sizes)[:-1]):
        moments.update(batch)
    assert moments.count == len(rows)
    if len(rows):
        np.testing.assert_allclose(moments.mean, rows.mean(0), rtol=1e-12)
    if len(rows) > 1:
        np.testing.assert_allclose(moments.covariance, np.cov(rows.T).reshape(dims, dims), rtol=1e-9, atol=1e-12)


def test_merging_is_seeing_both_and_changes_neither() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 4))
    a, b = Moments.of(rows[:13]), Moments.of(rows[13:])
    whole = a.merge(b)
    np.testing.assert_allclose(whole.covariance, np.cov(rows.T), rtol=1e-12)
    np.testing.assert_allclose(a.covariance, np.cov(rows[:13].T), rtol=1e-12)
    np.testing.assert_allclose(Moments(4).merge(a).scatter, a.scatter)


def test_a_large_mean_costs_no_digits() -> None:
    rows = np.random.default_rng(0).normal(size=(1000, 3))
    far = Moments(3)
    for batch in np.array_split(rows + 1e6, 7):
        far.update(batch)
    np.testing.assert_allclose(far.covariance, np.cov(rows.T), rtol=1e-8, atol=1e-9)


def test_float32_tensors_are_summed_in_float64() -> None:
    rows = torch.full((5000, 1), 16777217.0).float() + torch.tensor([[0.0], [2.0]]).repeat(2500, 1)
    got = Moments.of(rows)
    assert got.mean.dtype == np.float64
    np.testing.assert_allclose(got.covariance, np.cov(rows.double().numpy().T).reshape(1, 1), rtol=1e-12)


def test_bytes_give_back_the_same() -> None:
    a = Moments.of(np.random.default_rng(0).normal(size=(9, 3)))
    b = Moments.from_bytes(a.to_bytes())
    assert b.count == a.count
    assert (b.mean == a.mean).all()
    assert (b.scatter == a.scatter).all()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense" * 9,
        save({"mean": np.zeros(2)}),
        save({"count": np.array(3), "mean": np.zeros(2), "scatter": np.zeros((3, 3))}),
        save({"count": np.array(3), "mean": np.zeros((2, 2)), "scatter": np.zeros((2, 2))}),
    ],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(DataError, match="not saved moments"):
        Moments.from_bytes(data)


def test_what_cannot_be_is_refused_in_words() -> None:
    with pytest.raises(DataError, match="at least 2 pictures; got 1"):
        _ = Moments.of(np.zeros((1, 2))).covariance
    with pytest.raises(DataError, match="of 2 features; got 3"):
        Moments(2).update(np.zeros((4, 3)))
    with pytest.raises(DataError, match="cannot be joined"):
        Moments(2).merge(Moments(3))
    with pytest.raises(DataError, match=r"1 of 4 pictures .* not finite"):
        Moments(2).update(np.where(np.eye(4, 2) * [[1], [0], [0], [0]] > 0, np.nan, 0.0))
    with pytest.raises(DataError, match=r"\[N, D\]"):
        Moments.of(np.zeros(3))
