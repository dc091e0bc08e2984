"""The maximum mean discrepancy against its definition, and against what it must be for known distributions."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from mezzotint.nn.discrepancy import Kernel, kernel, mmd

KINDS: tuple[Kernel, ...] = ("imq", "rbf")


def draws(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def one(a: Tensor, b: Tensor, kind: Kernel) -> float:
    """k(a, b) of two vectors, written out."""
    square, c = ((a - b) ** 2).sum().item(), 2 * len(a)
    scales = (0.1, 0.2, 0.5, 1, 2, 5, 10)
    if kind == "imq":
        return sum(s * c / (s * c + square) for s in scales) / 7
    return sum(float(torch.exp(torch.tensor(-square / (s * c)))) for s in scales) / 7


@pytest.mark.parametrize("kind", KINDS)
def test_the_estimate_is_that_of_the_definition(kind: Kernel) -> None:
    x, y = draws(5, 3, 0), draws(4, 3, 1) + 0.5
    within = sum(one(a, b, kind) for a, b in itertools.permutations(x, 2)) / 20
    there = sum(one(a, b, kind) for a, b in itertools.permutations(y, 2)) / 12
    across = sum(one(a, b, kind) for a in x for b in y) / 20
    assert mmd(x, y, kind).item() == pytest.approx(within + there - 2 * across, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_zero_on_average_for_two_draws_of_one_distribution_and_grows_with_a_shift(kind: Kernel) -> None:
    alike = torch.stack([mmd(draws(64, 4, 2 * k), draws(64, 4, 2 * k + 1), kind) for k in range(200)])
    assert abs(alike.mean()) < 3 * alike.std() / 200**0.5
    shifted = [mmd(draws(256, 4, 0), draws(256, 4, 1) + shift, kind).item() for shift in (0.5, 1.0, 3.0)]
    assert shifted == sorted(shifted)
    assert shifted[0] > 0.005


@pytest.mark.parametrize("kind", KINDS)
def test_a_kernel_is_one_at_zero_and_falls(kind: Kernel) -> None:
    values = kernel(torch.tensor([0.0, 1.0, 10.0, 1e6]), 3, kind)
    assert values[0] == 1
    assert (values.diff() < 0).all()
    assert values[-1] < 1e-3
