"""What is said of the VAE: its sizes, its bound, its units."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from mezzotint.core.errors import ConfigError
from mezzotint.data.open import open_pictures
from mezzotint.data.types import DataConfig
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.draw import Draw
from mezzotint.engine.loop import Trainer
from mezzotint.engine.model import PictureSpec, build
from mezzotint.engine.phase import Turn

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


def _linear(log_variance: float, off: float) -> tuple[Any, MultivariateNormal]:
    """Probabilistic PCA as a VAE, and its likelihood in closed form (Tipping and Bishop 1999, eq. 2.5 and 2.10).

    x = W z + b + e, e ~ N(0, s^2), so x ~ N(b, W W' + s^2) and p(z|x) = N(M^-1 W'(x - b), s^2 M^-1), M = W'W + s^2.
    The encoder has that mean, moved by `off`, and of the variances the diagonal, changed by `log_variance`.
    """
    model: Any = build(
        "vae", {"network": "mlp", "hidden": (), "latent": 3}, PictureSpec(1, 4, 4), seed=3
    ).eval().requires_grad_(False)  # fmt: skip
    w = torch.randn(16, 3, generator=torch.Generator().manual_seed(5)) * 0.3
    b, sigma = torch.linspace(-0.3, 0.3, 16), math.exp(_softened(-1.2))
    model.scale[0].fill_(-1.2)
    model.decoder.head.weight.copy_(w)
    model.decoder.head.bias.copy_(b)
    inverse = (w.T @ w + sigma**2 * torch.eye(3)).inverse()
    model.encoder.begin_at(b.view(1, 4, 4))  # it sees half of x - b
    model.encoder.head.weight.copy_(torch.cat((2 * inverse @ w.T, torch.zeros(3, 16))))
    spread = (sigma**2 * inverse).diagonal().log() + log_variance
    model.encoder.head.bias.copy_(torch.cat((torch.full((3,), off), spread)))
    return model, MultivariateNormal(b.double(), (w @ w.T + sigma**2 * torch.eye(16)).double())


def _drawn(exact: MultivariateNormal, n: int) -> Tensor:
    """[n, 1, 4, 4] of the model itself, always the same."""
    noise = torch.randn(n, 16, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    return (exact.loc + noise @ exact.scale_tril.T).float().view(n, 1, 4, 4)


@pytest.mark.parametrize(("log_variance", "off"), [(0.0, 0.0), (0.5, 0.1), (-0.1, -0.1)])
def test_the_likelihood_by_importance_sampling_is_that_of_probabilistic_pca(log_variance: float, off: float) -> None:
    """To 0.05 nats for every picture, with encoders that are wrong in several ways; the ELBO is far from that."""
    model, exact = _linear(log_variance, off)
    x = _drawn(exact, 40)
    truth = exact.log_prob(x.flatten(1).double())
    found = model.importance_log_likelihood(x, samples=20_000)
    assert (found - truth).abs().max() < 0.05
    assert (model.importance_log_likelihood(x) - truth).mean().abs() < 0.05, "and on average with the usual 5,000"
    bound = torch.stack([model.log_likelihood(x, seed=seed) for seed in range(50)]).mean()
    assert bound < truth.mean() - 0.1, "the encoder is not so good that nothing is tested"


def test_more_samples_rise_from_the_bound_to_the_likelihood() -> None:
    """Theorem 1 of Burda et al. 2016, on average over draws, each step by more than its own standard error."""
    model, exact = _linear(0.7, 0.15)
    x = _drawn(exact, 200)
    bound = torch.stack([model.log_likelihood(x, seed=seed) for seed in range(30)]).mean(0)
    rising = [bound] + [
        torch.stack([model.importance_log_likelihood(x, k, seed) for seed in range(30)]).mean(0) for k in (1, 4, 16, 64)
    ]
    # one sample estimates the ELBO itself, with the KL drawn too
    gap = (rising[1] - rising[0]).double()
    assert abs(gap.mean()) < 4 * gap.std() / math.sqrt(200)
    for few, more in pairwise(rising[1:]):
        gain = (more - few).double()
        assert gain.mean() > 3 * gain.std() / math.sqrt(200)
    assert rising[-1].mean() < exact.log_prob(x.flatten(1).double()).mean() + 0.05


@pytest.mark.parametrize("network", ["conv", "mlp"])
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_the_likelihood_is_the_integral(likelihood: str, network: str) -> None:
    """With one latent log p(x) is an integral over a line, which the trapezoidal rule gives."""
    settings = {**SMALL, "latent": 1, "likelihood": likelihood, "network": network}
    model: Any = build("vae", settings, PictureSpec(2, 8, 8), seed=4).eval()
    x = (torch.rand(3, 2, 8, 8, generator=torch.Generator().manual_seed(1)) * 255).round() / 127.5 - 1
    z = torch.linspace(-8, 8, 2001)[:, None]
    with torch.no_grad():
        output = model.decoder(z)
        joint = torch.stack([model.log_p(each.expand(2001, -1, -1, -1), output) for each in x]).double()
    best = joint.max()  # or the exponential would be nought
    integral = torch.trapezoid((joint - best + Normal(0.0, 1.0).log_prob(z[:, 0])).exp(), z[:, 0].double())
    found = model.importance_log_likelihood(x, samples=30_000)
    assert torch.allclose(found.double(), integral.log() + best, atol=0.05)


def test_an_estimate_does_not_depend_on_how_it_is_cut_into_blocks() -> None:
    """Row k with 600 samples is the mean of its weights, drawn here in one go."""
    model: Any = build("vae", SMALL, PictureSpec(1, 8, 8), seed=2).eval()
    x = torch.rand(3, 1, 8, 8) * 2 - 1
    together = model.importance_log_likelihood(x, samples=600, seed=7)
    alone = torch.cat([model.importance_log_likelihood(x[:k], samples=600, seed=7)[-1:] for k in (1, 2, 3)])
    assert torch.allclose(together, alone, rtol=1e-5)
    many = torch.rand(300, 1, 8, 8) * 2 - 1
    some = model.importance_log_likelihood(many, samples=3, seed=7)
    assert torch.allclose(some[:5], model.importance_log_likelihood(many[:5], samples=3, seed=7), rtol=1e-5)
    assert model.importance_log_likelihood(x[:0]).shape == (0,)


def test_pictures_are_made_black_and_white_anew_in_training_and_always_alike_in_scoring() -> None:
    settings = {**SMALL, "likelihood": "bernoulli", "binarise": True}
    model: Any = build("vae", settings, PictureSpec(1, 8, 8), seed=2).eval()
    plain: Any = build("vae", {**SMALL, "likelihood": "bernoulli"}, PictureSpec(1, 8, 8), seed=2).eval()
    seen: list[Tensor] = []
    model.encoder.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    x = torch.rand(6, 1, 8, 8) * 2 - 1
    for path in (("train", 1), ("train", 1), ("train", 2)):
        model.loss(Turn(x, None, Draw(0, path), 0))
    assert all(set(each.unique().tolist()) == {-1.0, 1.0} for each in seen)
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])
    model.log_likelihood(x, seed=1), model.importance_log_likelihood(x, 10, seed=1), model.log_likelihood(x, seed=2)
    assert torch.equal(seen[3], seen[4])
    assert not torch.equal(seen[3], seen[5])
    black_and_white = seen[3]
    assert torch.equal(model.log_likelihood(x, seed=1), plain.log_likelihood(black_and_white, seed=1))
    again = model.importance_log_likelihood(black_and_white, 10, seed=1)
    assert torch.equal(again, plain.importance_log_likelihood(black_and_white, 10, seed=1))


@pytest.mark.parametrize("likelihood", ["gaussian", "logistic"])
def test_only_a_bernoulli_likelihood_is_of_black_and_white(likelihood: str) -> None:
    with pytest.raises(ConfigError, match=r"set model\.likelihood=bernoulli too"):
        build("vae", {"binarise": True, "likelihood": likelihood}, PictureSpec(1, 8, 8))


def test_the_activation_is_the_one_asked_for() -> None:
    """Two layers of tanh by hand, the net of Burda et al."""
    model: Any = build("vae", {"network": "mlp", "hidden": (6, 5), "activation": "tanh"}, PictureSpec(1, 4, 4)).eval()
    weights = {name: value.double().numpy() for name, value in model.encoder.state_dict().items()}
    x = np.linspace(-1, 1, 16) / 2
    for layer in ("body.0", "body.2"):
        x = np.tanh(weights[f"{layer}.weight"] @ x + weights[f"{layer}.bias"])
    expected = weights["head.weight"] @ x + weights["head.bias"]
    got = torch.cat(model.encoder(torch.linspace(-1, 1, 16).view(1, 1, 4, 4)), 1)[0]
    assert np.allclose(got.detach().numpy(), expected, atol=1e-5)


def test_pictures_of_any_float_are_taken_and_codes_do_not_depend_on_company() -> None:
    model: Any = build("vae", SMALL, PictureSpec(1, 8, 8)).eval()
    x = torch.rand(5, 1, 8, 8, dtype=torch.float64) * 2 - 1
    assert torch.equal(model.encode(x), model.encode(x.float()))
    assert torch.allclose(model.log_likelihood(x)[:2], model.log_likelihood(x[:2]), rtol=1e-5)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_a_fully_connected_one_begins_at_the_mean_picture(likelihood: str) -> None:
    """Whatever the latent, the first pictures are the mean one; and a resumed training keeps what it began with."""
    pictures = np.random.default_rng(0).integers(40, 200, (50, 8, 8, 1), dtype=np.uint8)
    pictures[:, :4] //= 2
    settings = {**SMALL, "likelihood": likelihood, "network": "mlp"}
    data = open_pictures(pictures, DataConfig(validation=0))
    model: Any = build("vae", settings, PictureSpec(1, 8, 8), seed=0)
    Trainer(model, data, TrainConfig(batch_size=10, steps=1), torch.device("cpu"))
    mean = torch.from_numpy(pictures).permute(0, 3, 1, 2).float().mean(0) / 127.5 - 1
    assert torch.allclose(model.encoder.centre, mean, atol=1e-5)
    with torch.no_grad():
        found = model.generate(torch.zeros(1, 4))[0]
    assert (found - mean).abs().max() < 1e-3 + (0.02 if likelihood == "bernoulli" else 0)
