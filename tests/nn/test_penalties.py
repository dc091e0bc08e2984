"""Penalties of a critic's slope, against closed forms for linear and quadratic critics."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mezzotint.nn import fastconv
from mezzotint.nn.fastconv import FastConv2d
from mezzotint.nn.penalties import gradient_penalty, slopes, squared_lengths

SHAPE = (5, 2, 3, 4)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("size", [1e-3, 1.0, 40.0])
def test_of_a_linear_critic(size: float) -> None:
    """D(x) = w.x has the gradient w everywhere: the penalty is (|w| - 1)^2, its derivative 2 (|w| - 1) w / |w|."""
    w = (size * normal(24)).requires_grad_()
    real, fake, mix = normal(*SHAPE, seed=1), normal(*SHAPE, seed=2), torch.rand(5, 1, 1, 1).double()
    penalty = gradient_penalty(lambda x: x.flatten(1) @ w, real, fake, mix)
    length = w.detach().norm()
    assert penalty.item() == pytest.approx((length.item() - 1) ** 2, rel=1e-6)
    (slope,) = torch.autograd.grad(penalty, w)
    assert torch.allclose(slope, 2 * (length - 1) * w.detach() / length, rtol=1e-6)


def test_of_a_quadratic_critic() -> None:
    """D(x) = x'Ax / 2 + b.x with A symmetric has the gradient Ax + b."""
    root, b = normal(24, 24, seed=3), normal(24, seed=4)
    matrix = ((root + root.t()) / 2).requires_grad_()
    real, fake = normal(*SHAPE, seed=1), normal(*SHAPE, seed=2)
    mix = torch.tensor([0.0, 0.25, 0.5, 0.9, 1.0]).double().view(5, 1, 1, 1)

    def critic(x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten(1)
        return 0.5 * ((flat @ matrix) * flat).sum(1) + flat @ b

    between = (mix * real + (1 - mix) * fake).flatten(1)
    gradient = between @ matrix.detach() + b
    lengths = gradient.norm(dim=1)
    penalty = gradient_penalty(critic, real, fake, mix)
    assert penalty.item() == pytest.approx((lengths - 1).square().mean().item(), rel=1e-6)
    assert gradient_penalty(critic, real, fake, mix, one_sided=True).item() == pytest.approx(
        (lengths - 1).clamp(min=0).square().mean().item(), rel=1e-6
    )
    # d/dA of mean (|g| - 1)^2 = mean 2 (|g| - 1) / |g| * g x', made symmetric as the quadratic form sees it
    outer = torch.einsum("n,ni,nj->ij", 2 * (lengths - 1) / lengths, between, gradient) / 5
    (slope,) = torch.autograd.grad(penalty, matrix)
    assert torch.allclose((slope + slope.t()) / 2, (outer + outer.t()) / 2, rtol=1e-6, atol=1e-9)
    assert torch.allclose(slopes(critic, real), (real.flatten(1) @ matrix.detach() + b).square().sum(1))


def test_scores_computed_already_are_used() -> None:
    x = normal(*SHAPE).requires_grad_()
    w = normal(24, seed=9)
    assert torch.allclose(
        squared_lengths((x.flatten(1) @ w).square(), x), slopes(lambda y: (y.flatten(1) @ w).square(), x)
    )


def test_a_flat_critic_can_be_lifted() -> None:
    """At slope zero the root has no derivative; the penalty must still give finite numbers."""
    w = torch.zeros(24, dtype=torch.float64, requires_grad=True)
    penalty = gradient_penalty(
        lambda x: x.flatten(1) @ w, normal(*SHAPE), normal(*SHAPE, seed=1), torch.ones(5, 1, 1, 1)
    )
    assert penalty.item() == pytest.approx(1, abs=1e-5)
    assert torch.isfinite(torch.autograd.grad(penalty, w)[0]).all()


def test_slopes_ask_for_no_gradient_of_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    own = fastconv._weight_grad
    monkeypatch.setattr(fastconv, "_measured", lambda dtype: True)
    monkeypatch.setattr(fastconv, "_weight_grad", lambda *args: calls.append("weights") or own(*args))
    layer = FastConv2d(2, 64, 4, 2, 1)
    lengths = slopes(lambda x: layer(x).flatten(1).sum(1), normal(2, 2, 8, 8).float())
    assert calls == []
    lengths.sum().backward()
    assert len(calls) == 1, "the penalty itself does"
    assert layer.weight.grad is not None
    layer(normal(2, 2, 8, 8).float()).sum().backward()
    assert len(calls) == 2, "and so does what follows"


def test_the_fast_convolutions_have_the_same_second_derivative() -> None:
    """The penalty's gradient through the forms that training uses equals that through torch's own layers."""
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(2, 64, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(64, 256, 4, 2, 1), nn.Flatten())
    fast = nn.Sequential(FastConv2d(2, 64, 4, 2, 1), nn.LeakyReLU(0.2), FastConv2d(64, 256, 4, 2, 1), nn.Flatten())
    fast.load_state_dict(plain.state_dict())
    real, fake = normal(4, 2, 8, 8).float(), normal(4, 2, 8, 8, seed=1).float()
    found = []
    for net in (plain, fast):
        penalty = gradient_penalty(lambda x, net=net: net(x).sum(1), real, fake, torch.full((4, 1, 1, 1), 0.3))
        penalty.backward()
        found.append([penalty.detach(), *(p.grad for p in net.parameters() if p.grad is not None)])
    for a, b in zip(*found, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-6)
