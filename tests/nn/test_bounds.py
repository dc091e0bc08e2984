"""The parts of a variational bound against torch's distributions and closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from mezzotint.nn.bounds import free_bits, gaussian_kl, gaussian_kl_units, importance_bound, risen


def test_the_divergence_of_each_unit_is_torchs() -> None:
    generator = torch.Generator().manual_seed(0)
    mean, log_variance = torch.randn(5, 3, generator=generator), torch.randn(5, 3, generator=generator)
    wanted = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(gaussian_kl_units(mean, log_variance), wanted)
    torch.testing.assert_close(gaussian_kl(mean, log_variance), wanted.sum(1))


def test_free_bits_leave_no_gradient_to_a_unit_below_them() -> None:
    units = torch.tensor([[0.1, 2.0], [0.3, 4.0]], requires_grad=True)
    free_bits(units, 0.5).backward()
    assert units.grad is not None
    assert units.grad.tolist() == [[0.0, 0.5], [0.0, 0.5]]
    assert free_bits(units.detach(), 0.0).item() == pytest.approx(3.2)


def test_a_weight_rises_evenly_and_stays() -> None:
    assert [risen(step, 4) for step in range(6)] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]


def test_the_importance_bound_rises_with_the_draws_to_the_logarithm_of_the_mean() -> None:
    """Log-normal weights: log E[w] = s^2 / 2, and the bound of one draw is 0 on average."""
    scale = 1.0
    log_weights = scale * torch.randn(4000, 512, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    bounds = [importance_bound(log_weights[:, :k]).mean().item() for k in (1, 8, 64, 512)]
    assert bounds == sorted(bounds)
    assert bounds[0] == pytest.approx(0, abs=0.06)
    assert bounds[-1] == pytest.approx(scale**2 / 2, abs=0.01)
    assert importance_bound(torch.zeros(1, 7)).item() == pytest.approx(0, abs=1e-6)
    assert math.isfinite(importance_bound(torch.tensor([[-1e4, -1e5]])).item())
