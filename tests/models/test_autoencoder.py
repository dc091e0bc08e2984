"""What is said of the autoencoder: its density, its slope, and what each of its kinds is good at."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mezzotint.engine.draw import Draw
from mezzotint.engine.model import PictureSpec, build
from mezzotint.engine.phase import Turn

MLP = {"latent": 3, "network": "mlp", "hidden": (8,), "activation": "silu"}


def made(spec: PictureSpec | None = None, **settings: Any) -> Any:
    return build("autoencoder", {**MLP, **settings}, spec or PictureSpec(1, 8, 8), seed=3)


def pictures(n: int, seed: int = 1) -> Tensor:
    """Of few ways to vary, so that codes depend on each other."""
    generator = torch.Generator().manual_seed(seed)
    ways = torch.randn(2, 64, generator=torch.Generator().manual_seed(9))
    return torch.tanh(torch.randn(n, 2, generator=generator) @ ways).unflatten(1, (1, 8, 8))


def turn(x: Tensor, key: str = "test") -> Turn:
    return Turn(x, None, Draw(0, (key,)), 0)


def trained(model: Any, rounds: int = 300) -> Any:
    adam = torch.optim.Adam(model.parameters(), 3e-3)
    for step in range(rounds):
        adam.zero_grad()
        torch.stack(tuple(model.train().loss(turn(pictures(64, step), str(step))).values())).sum().backward()
        adam.step()
    return model.eval()


def test_latents_of_pictures_are_about_standard_normal_and_samples_vary_as_pictures_do() -> None:
    model = trained(made())
    held = pictures(2000, seed=10_000)
    before = model.reconstruct(held)
    model.finish(lambda n: (held[:n], None))
    torch.testing.assert_close(model.reconstruct(held), before, atol=1e-3, rtol=0)
    latents = model.encode(held).double()
    assert latents.mean(0).abs().max() < 1e-3
    torch.testing.assert_close(torch.cov(latents.t()), torch.eye(3, dtype=torch.float64), atol=0.05, rtol=0)
    real, drawn = torch.cov(held.flatten(1).t()), torch.cov(model.sample(2000).flatten(1).t())
    assert (real - drawn).norm() < 0.35 * real.norm()
    model.start()
    assert torch.equal(model.spread, torch.eye(3))


def test_the_slope_is_the_jacobians_frobenius_norm() -> None:
    """On average over projections, against the Jacobian of the code in units of the batch's standard deviation."""
    model, x = made().train(), pictures(6)
    seen = x.clone().requires_grad_()
    (raw,) = model.encoder(seen)
    found = [model._slope(turn(x, str(k)), raw, seen).item() for k in range(3000)]
    scale = raw.detach().var(0, unbiased=False).add(model.bottleneck.eps).rsqrt()
    exact = 0.0
    for row in x:
        jacobian = torch.autograd.functional.jacobian(lambda p: model.encoder(p[None])[0][0], row)
        exact += float((jacobian.flatten(1) * scale[:, None]).square().sum()) / 3
    assert sum(found) / len(found) == pytest.approx(exact / len(x), rel=0.05)


def test_contraction_makes_the_code_less_steep_and_sparsity_makes_it_sparse() -> None:
    def steepness(model: Any) -> float:
        x = pictures(64, seed=77)
        changed = model.encode(x + 0.01 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0)))
        return float((changed - model.encode(x)).norm())

    plain, contractive, sparse = (trained(made(**kind)) for kind in ({}, {"contraction": 0.3}, {"sparsity": 1.0}))
    assert steepness(contractive) < 0.7 * steepness(plain)
    x = pictures(500, seed=78)
    assert sparse.encode(x).abs().mean() < plain.encode(x).abs().mean()


def test_a_denoising_one_takes_more_noise_away_than_a_plain_one() -> None:
    clean = pictures(200, seed=5)
    noisy = clean + 0.7 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(4))
    plain, denoising = (trained(made(noise=level)) for level in (0.0, 0.7))
    errors = [float((model.reconstruct(noisy) - clean).square().mean()) for model in (plain, denoising)]
    assert errors[1] < 0.8 * errors[0]


def test_many_units_are_taken_as_independent() -> None:
    model = made(latent=1100).eval()
    held = pictures(50)
    model.finish(lambda n: (held[:n], None))
    assert model.spread.shape == (1100,)
    assert torch.isfinite(model.sample(2)).all()
