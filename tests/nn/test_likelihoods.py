"""Likelihoods against torch.distributions and against their own sum."""

from __future__ import annotations

import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from mezzotint.nn.likelihoods import bernoulli, discretised_logistic, gaussian, gaussian_kl


def test_bernoulli() -> None:
    logits, x = torch.randn(5, 1, 3, 4), torch.randint(0, 2, (5, 1, 3, 4)) * 2.0 - 1
    expected = Bernoulli(logits=logits).log_prob((x + 1) / 2).flatten(1).sum(1)
    assert torch.allclose(bernoulli(logits, x), expected, atol=1e-5)


def test_gaussian() -> None:
    mean, x, log_scale = torch.randn(5, 2, 3, 4), torch.rand(5, 2, 3, 4) * 2 - 1, torch.tensor(-0.7)
    expected = Normal(mean, log_scale.exp()).log_prob(x).flatten(1).sum(1)
    assert torch.allclose(gaussian(mean, log_scale, x), expected, atol=1e-4)


def test_discretised_logistic_is_a_distribution() -> None:
    """Over the 256 grey levels the probabilities add up to one, wide, narrow, and far off centre."""
    levels = (torch.arange(256, dtype=torch.float64) / 255 * 2 - 1)[:, None]
    for mean in (-3.0, -1.0, 0.013, 1.0):
        for log_scale in (-7.0, -3.0, 0.0, 2.0):
            parameters = torch.full((256, 1), mean, dtype=torch.float64), torch.full((256, 1), log_scale).double()
            total = discretised_logistic(*parameters, levels).exp().sum()
            assert torch.allclose(total, torch.ones((), dtype=torch.float64), atol=1e-9), (mean, log_scale)


def test_discretised_logistic_stays_finite() -> None:
    mean = torch.tensor([[0.0], [1.0], [-1.0]], requires_grad=True)
    log_scale = torch.full((3, 1), -7.0, requires_grad=True)
    nats = discretised_logistic(mean, log_scale, torch.tensor([[1.0], [-1.0], [0.5]]))
    nats.sum().backward()
    for value in (nats, mean.grad, log_scale.grad):
        assert value is not None
        assert torch.isfinite(value).all()


def test_kl() -> None:
    mean, log_variance = torch.randn(6, 3), torch.randn(6, 3)
    q, p = Normal(mean, (0.5 * log_variance).exp()), Normal(torch.zeros(3), torch.ones(3))
    assert torch.allclose(gaussian_kl(mean, log_variance), kl_divergence(q, p).sum(1), atol=1e-5)
