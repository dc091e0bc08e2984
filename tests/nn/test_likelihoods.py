"""Likelihoods against torch.distributions and against their own sum."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from mezzotint.engine.model import PictureSpec, build
from mezzotint.nn.bounds import gaussian_kl
from mezzotint.nn.likelihoods import (
    bernoulli,
    binarised,
    bounded_log_variance,
    discretised_logistic,
    gaussian,
    least_scale,
    quantile,
)


def test_bernoulli() -> None:
    logits, x = torch.randn(5, 1, 3, 4), torch.randint(0, 2, (5, 1, 3, 4)) * 2.0 - 1
    expected = Bernoulli(logits=logits).log_prob((x + 1) / 2).flatten(1).sum(1)
    assert torch.allclose(bernoulli(logits, x), expected, atol=1e-5)


def test_gaussian() -> None:
    mean, x, log_scale = torch.randn(5, 2, 3, 4), torch.rand(5, 2, 3, 4) * 2 - 1, torch.tensor(-0.7)
    expected = Normal(mean, log_scale.exp()).log_prob(x).flatten(1).sum(1)
    assert torch.allclose(gaussian(mean, log_scale, x), expected, atol=1e-4)


def test_one_picture_beside_many_opinions() -> None:
    """Pictures [2, 1, ...] and opinions [2, 5, ...] give what each pair alone gives."""
    x, opinions, scales = torch.rand(2, 1, 3, 4, 4) * 2 - 1, torch.randn(2, 5, 3, 4, 4), torch.randn(2, 5, 3, 4, 4)
    for kind in (lambda y, _, pictures: bernoulli(y, pictures), gaussian, discretised_logistic):
        many = kind(opinions, scales, x)
        each = [kind(opinions[:, k], scales[:, k], x[:, 0]) for k in range(5)]
        assert many.shape == (2, 5)
        assert torch.allclose(many, torch.stack(each, 1), rtol=1e-4)


def test_greys_become_black_or_white_by_their_share() -> None:
    """The share of white is the grey level, to four standard deviations; black and white stay what they are."""
    greys = torch.tensor([-1.0, -0.6, 0.0, 0.9, 1.0])
    drawn = binarised(greys.expand(40_000, 5), torch.rand(40_000, 5, generator=torch.Generator().manual_seed(0)))
    assert set(drawn.unique().tolist()) == {-1.0, 1.0}
    share, wanted = (drawn > 0).double().mean(0), (greys.double() + 1) / 2
    assert ((share - wanted).abs() <= 4 * (wanted * (1 - wanted) / 40_000).sqrt()).all()


def test_discretised_logistic_is_a_distribution() -> None:
    """Over the 256 grey levels the probabilities add up to one, wide, narrow, and far off centre."""
    levels = (torch.arange(256, dtype=torch.float64) / 255 * 2 - 1).view(256, 1, 1, 1)
    for mean in (-3.0, -1.0, 0.013, 1.0):
        for log_scale in (-7.0, -3.0, 0.0, 2.0):
            parameters = (torch.full_like(levels, value) for value in (mean, log_scale))
            total = discretised_logistic(*parameters, levels).exp().sum()
            assert torch.allclose(total, torch.ones((), dtype=torch.float64), atol=1e-9), (mean, log_scale)


def test_discretised_logistic_stays_finite() -> None:
    mean = torch.tensor([0.0, 1.0, -1.0]).view(3, 1, 1, 1).requires_grad_()
    log_scale = torch.full((3, 1, 1, 1), -7.0, requires_grad=True)
    nats = discretised_logistic(mean, log_scale, torch.tensor([1.0, -1.0, 0.5]).view(3, 1, 1, 1))
    nats.sum().backward()
    for value in (nats, mean.grad, log_scale.grad):
        assert value is not None
        assert torch.isfinite(value).all()


def test_kl() -> None:
    mean, log_variance = torch.randn(6, 3), torch.randn(6, 3)
    q, p = Normal(mean, (0.5 * log_variance).exp()), Normal(torch.zeros(3), torch.ones(3))
    assert torch.allclose(gaussian_kl(mean, log_variance), kl_divergence(q, p).sum(1), atol=1e-5)


def test_the_learned_scale_has_a_floor_and_is_free_above_it() -> None:
    least = -math.log(255)
    assert least_scale(torch.tensor(-1000.0)) == pytest.approx(least, abs=1e-6)
    assert least_scale(torch.tensor(-1.0)) == pytest.approx(-1.0, abs=0.011)
    assert least_scale(torch.tensor(30.0)) == pytest.approx(30.0, abs=1e-5)


def test_log_variance_is_bounded_only_beyond_reason() -> None:
    inside = torch.linspace(-300, 5, 100, requires_grad=True)
    assert torch.equal(bounded_log_variance(inside), inside)
    beyond = torch.tensor([5.5, 90.0, 1e30], requires_grad=True)
    bounded = bounded_log_variance(beyond)
    bounded.sum().backward()
    assert bounded.exp().isfinite().all()
    assert beyond.grad is not None
    assert (beyond.grad > 0).all()


@pytest.mark.parametrize("network", ["conv", "mlp"])
def test_a_vae_survives_an_encoder_gone_astray(network: str) -> None:
    """Training on `shapes` once ended with an infinite kl: the encoder had said e^92."""
    settings = {"network": network, "latent": 4, "width": 8, "hidden": (16,)}
    model = build("vae", settings, PictureSpec(1, 8, 8), seed=0)
    with torch.no_grad():
        model.encoder.head.bias[4:] = 200.0
        model.scale[0].fill_(-100.0)
    reconstruction, kl = model.elbo_terms(torch.rand(3, 1, 8, 8) * 2 - 1, torch.randn(3, 4))
    (kl - reconstruction).mean().backward()
    for value in (reconstruction, kl, *(p.grad for p in model.parameters())):
        assert value is not None
        assert value.isfinite().all()
    assert model.encoder.head.bias.grad[4:].abs().min() > 0


@pytest.mark.parametrize("kind", ["bernoulli", "gaussian", "logistic"])
def test_quantiles_of_even_numbers_follow_the_distribution(kind: str) -> None:
    """Their histogram is what `bernoulli`, `discretised_logistic` and the normal distribution say of each value."""
    n = 200_000
    u = ((torch.arange(n, dtype=torch.float64) + 0.5) / n)[:, None]
    output = {"bernoulli": [0.7], "gaussian": [0.1], "logistic": [0.2, -1.5]}[kind]
    scale = torch.tensor(-2.0, dtype=torch.float64)
    x = quantile(kind, torch.tensor([output], dtype=torch.float64).expand(n, -1), u, scale)
    if kind == "gaussian":
        assert x.mean().item() == pytest.approx(0.1, abs=1e-4)
        assert x.std().item() == pytest.approx(math.exp(-2), rel=1e-3)
        return
    values, counts = x.flatten().unique(return_counts=True)
    said = torch.tensor(output, dtype=torch.float64).view(1, -1, 1, 1)
    at = values.view(-1, 1, 1, 1)
    log_p = bernoulli(said, at) if kind == "bernoulli" else discretised_logistic(said[:, :1], said[:, 1:], at)
    torch.testing.assert_close(counts.double() / n, log_p.exp(), atol=1e-4, rtol=0)
