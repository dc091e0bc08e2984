"""What is said of the VAE: its sizes, its bound, its units."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal, kl_divergence

from mezzotint.engine.model import PictureSpec, build

SMALL = {"latent": 4, "width": 4, "hidden": (16,)}
LIKELIHOODS = ["bernoulli", "gaussian", "logistic"]


@pytest.mark.parametrize("network", ["conv", "mlp"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sizes_from_8_to_256(channels: int, network: str) -> None:
    for height, width in ((8, 8), (9, 8), (31, 33), (8, 256), (256, 8), (100, 127), (255, 256), (256, 256)):
        with torch.no_grad():
            model: Any = build("vae", {**SMALL, "network": network}, PictureSpec(channels, height, width))
            mean, log_variance = model.encoder(torch.zeros(2, channels, height, width))
            assert mean.shape == log_variance.shape == (2, 4)
            assert model.decoder(mean).shape == (2, channels, height, width)


def test_the_elbo_is_that_of_the_definition() -> None:
    """E_q[log p(x|z)] - KL(q(z|x) || p(z)) with torch.distributions, for the same draw of z."""
    model: Any = build("vae", SMALL, PictureSpec(3, 8, 8), seed=1).eval()
    x, noise = torch.rand(5, 3, 8, 8) * 2 - 1, torch.randn(5, 4)
    with torch.no_grad():
        model.scale[0].fill_(-0.3)
        got, kl = model.elbo_terms(x, noise)
        mean, log_variance = model.encoder(x)
        q = Independent(Normal(mean, (0.5 * log_variance).exp()), 1)
        sigma = torch.full_like(x, math.exp(_softened(-0.3)))
        p = Independent(Normal(model.decoder(mean + (0.5 * log_variance).exp() * noise), sigma), 3)
    assert torch.allclose(got, p.log_prob(x), rtol=1e-4)
    prior = Independent(Normal(torch.zeros(5, 4), torch.ones(5, 4)), 1)
    assert torch.allclose(kl, kl_divergence(q, prior), atol=1e-4)


def _softened(log_scale: float) -> float:
    least = -math.log(255)
    return least + math.log1p(math.exp(log_scale - least))


def test_the_gaussian_bits_are_those_of_grey_levels() -> None:
    """A density at every grey level, times the level's width, sums to one: so its bits are those of a code for them."""
    model: Any = build("vae", SMALL, PictureSpec(1, 8, 8))
    levels = torch.arange(256) / 255 * 2 - 1
    density = Normal(torch.tensor(0.1), torch.tensor(0.2)).log_prob(levels)
    bits = model.bits_per_dim(64 * density)  # each level in all of the 64 values
    assert (2.0**-bits).sum().item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_a_uniform_guess_costs_eight_bits(likelihood: str) -> None:
    """log2(256) for the logistic; the gaussian's levels are 2 / 255 wide, of which 255 make the range."""
    model: Any = build("vae", {**SMALL, "likelihood": likelihood}, PictureSpec(3, 8, 8))
    nats = {"logistic": -math.log(256), "gaussian": -math.log(2), "bernoulli": -math.log(2)}[likelihood]
    bits = {"logistic": 8, "gaussian": math.log2(255), "bernoulli": 1}[likelihood]
    assert model.bits_per_dim(torch.full((2,), model.spec.values * nats)).tolist() == pytest.approx([bits, bits])


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_the_bound_is_below_the_likelihood(likelihood: str) -> None:
    """The ELBO is the mean of the log weights, whose weights' mean gives a tighter bound (Burda et al. 2016)."""
    model: Any = build("vae", {**SMALL, "likelihood": likelihood}, PictureSpec(1, 8, 8), seed=2).eval()
    x = (torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 255).round() / 127.5 - 1
    draws = torch.stack([_weights(model, x, seed) for seed in range(200)]).double()
    elbos = torch.stack([model.log_likelihood(x, seed=seed) for seed in range(200)]).double()
    elbo, tighter = elbos.mean(0), draws.logsumexp(0) - math.log(200)
    noise = (draws.var(0) / 200 + elbos.var(0) / 200).sqrt()
    assert ((elbo - draws.mean(0)).abs() < 4 * noise).all()
    assert (elbo <= tighter + 4 * noise).all()
    assert (elbo >= tighter - 0.1 * tighter.abs() - 5).all(), "and not far below, with an encoder near the prior"


@torch.no_grad()
def _weights(model: Any, x: Tensor, seed: int) -> Tensor:
    """log p(x, z) / q(z|x) for one draw."""
    mean, log_variance = model.encoder(x)
    q = Normal(mean, (0.5 * log_variance).exp())
    z = mean + q.scale * torch.randn(mean.shape, generator=torch.Generator().manual_seed(seed))
    prior = Normal(0.0, 1.0).log_prob(z).sum(1)
    return model.log_p(x, model.decoder(z)) + prior - q.log_prob(z).sum(1)


def test_pictures_of_any_float_are_taken_and_codes_do_not_depend_on_company() -> None:
    model: Any = build("vae", SMALL, PictureSpec(1, 8, 8)).eval()
    x = torch.rand(5, 1, 8, 8, dtype=torch.float64) * 2 - 1
    assert torch.equal(model.encode(x), model.encode(x.float()))
    assert torch.allclose(model.log_likelihood(x)[:2], model.log_likelihood(x[:2]), rtol=1e-5)
