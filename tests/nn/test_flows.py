"""Flows: their slope by autograd, their inverse, who depends on whom, and a density that is known."""

from __future__ import annotations

import math

import pytest
import torch

from mezzotint.nn.flows import MADE, MaskedAutoregressiveFlow


def moved(flow: torch.nn.Module) -> torch.nn.Module:
    """With weights that are no longer the first ones, in double."""
    generator = torch.Generator().manual_seed(0)
    for parameter in flow.double().parameters():
        parameter.data.add_(0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return flow


@pytest.mark.parametrize("size", [1, 2, 5])
def test_each_value_depends_on_those_before_it_only(size: int) -> None:
    torch.manual_seed(0)
    made = moved(MADE(size, (64, 48)))
    x = torch.randn(size, dtype=torch.float64)
    for part in range(2):
        slope = torch.autograd.functional.jacobian(lambda x, part=part: made(x[None])[part][0], x)
        below = torch.ones(size, size).tril(-1) > 0
        assert (slope[~below] == 0).all()
        assert (slope[below] != 0).all()


@pytest.mark.parametrize("classes", [0, 3])
def test_the_slope_is_the_jacobians_and_the_inverse_leads_back(classes: int) -> None:
    torch.manual_seed(0)
    flow = moved(MaskedAutoregressiveFlow(4, 3, (16,), classes))
    x = torch.randn(5, 4, dtype=torch.float64)
    marks = torch.eye(classes, dtype=torch.float64)[torch.arange(5) % classes] if classes else None
    u, log_slope = flow(x, marks)
    for k in range(5):
        mark = None if marks is None else marks[k : k + 1]
        jacobian = torch.autograd.functional.jacobian(lambda x, mark=mark: flow(x[None], mark)[0][0], x[k])
        assert log_slope[k].item() == pytest.approx(jacobian.det().abs().log().item(), abs=1e-9)
    torch.testing.assert_close(flow.inverse(u, marks), x, rtol=1e-9, atol=1e-9)
    if marks is not None:
        assert not torch.allclose(flow(x, marks.flip(1))[0], u)


def test_it_comes_to_a_density_that_is_known() -> None:
    """y = x^2 + noise is no normal, and its entropy is: that of x, and of the noise."""
    torch.manual_seed(0)
    flow = MaskedAutoregressiveFlow(2, 4, (32,))
    adam = torch.optim.Adam(flow.parameters(), 5e-3)
    generator = torch.Generator().manual_seed(0)

    def batch(n: int) -> torch.Tensor:
        x, noise = torch.randn(2, n, generator=generator)
        return torch.stack((x, x.square() + 0.5 * noise), 1)

    def nats(n: int) -> torch.Tensor:
        u, log_slope = flow(batch(n))
        return (0.5 * (u.square() + math.log(2 * math.pi))).sum(1).mean() - log_slope.mean()

    for _ in range(400):
        adam.zero_grad()
        nats(256).backward()
        adam.step()
    exact = 2 * 0.5 * math.log(2 * math.pi * math.e) + math.log(0.5)
    with torch.no_grad():
        assert exact - 0.05 < nats(20_000).item() < exact + 0.1
