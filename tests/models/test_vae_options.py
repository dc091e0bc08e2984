"""What the options of the VAE change: the bound, the weight of its second part, the class, the map."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.distributions import Bernoulli, Independent, Normal

import mezzotint as mz
from mezzotint.core.errors import ConfigError
from mezzotint.engine.draw import Draw
from mezzotint.engine.model import PictureSpec, build
from mezzotint.engine.phase import Turn
from mezzotint.nn.bounds import resampled
from mezzotint.tasks.sample import sample_files

MLP = {"latent": 3, "network": "mlp", "hidden": (8,), "likelihood": "bernoulli"}
TWO = ("cat", "dog")


def made(spec: PictureSpec | None = None, **settings: Any) -> Any:
    return build("vae", {**MLP, **settings}, spec or PictureSpec(1, 8, 8), seed=3)


def turn(pictures: Tensor, labels: Tensor | None = None, step: int = 0) -> Turn:
    return Turn(pictures, labels, Draw(0, ("test",)), step)


def blacks(n: int = 6) -> Tensor:
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(1)).round() * 2 - 1


def total(terms: Any) -> float:
    return float(sum(value.detach() for value in terms.values()))


def test_the_importance_weighted_loss_is_that_of_the_definition() -> None:
    """-log 1/K sum_k p(x|z_k) p(z_k) / q(z_k|x) with torch.distributions, for the same draws."""
    model, x = made(bound="importance", draws=5), blacks()
    with torch.no_grad():
        found = total(model.loss(turn(x)))
        mean, log_variance = model.posterior(x)
        noise = Draw(0, ("test",)).normal(len(x), 15).unflatten(1, (5, 3))
        q = Independent(Normal(mean[:, None], (0.5 * log_variance).exp()[:, None]), 1)
        z = mean[:, None] + (0.5 * log_variance).exp()[:, None] * noise
        logits = model.output(z.flatten(0, 1)).unflatten(0, (len(x), 5))
        log_p = Independent(Bernoulli(logits=logits), 3).log_prob((x[:, None] + 1) / 2)
        log_w = log_p + Independent(Normal(torch.zeros(3), torch.ones(3)), 1).log_prob(z) - q.log_prob(z)
        wanted = -(log_w.exp().mean(1).log()).mean()
    assert found == pytest.approx(wanted.item(), abs=1e-3)


def test_more_draws_tighten_the_importance_bound_and_one_is_the_elbo_by_sampling() -> None:
    x = blacks(64)
    with torch.no_grad():
        losses = [total(made(bound="importance", draws=k).loss(turn(x))) for k in (1, 10, 200)]
        several = total(made(draws=200).loss(turn(x)))
    assert losses[0] > losses[1] > losses[2]
    assert losses[0] == pytest.approx(several, abs=0.3), "both estimate the ELBO"


def test_draws_grow_from_one_to_all() -> None:
    x, settings = blacks(), {"bound": "importance", "draws_rounds": 100}
    growing = made(draws=64, **settings)
    with torch.no_grad():
        for step, draws in ((0, 1), (50, 8), (100, 64), (900, 64)):
            wanted = total(made(bound="importance", draws=draws).loss(turn(x)))
            assert total(growing.loss(turn(x, step=step))) == wanted


def test_beta_warmup_and_free_bits_weigh_the_second_part_alone() -> None:
    x = blacks()
    with torch.no_grad():
        plain = made().loss(turn(x))
        weighed = made(beta=3.0).loss(turn(x))
        early = made(warmup=100).loss(turn(x, step=25))
        free = made(free_bits=50.0).loss(turn(x))
    assert weighed["reconstruction"] == plain["reconstruction"]
    assert weighed["weighted_kl"].item() == pytest.approx(3 * plain["kl"].item(), rel=1e-5)
    assert early["weighted_kl"].item() == pytest.approx(plain["kl"].item() / 4, rel=1e-5)
    assert free["weighted_kl"].item() == pytest.approx(150.0)


def test_the_capacity_pulls_from_both_sides_and_rises() -> None:
    x = blacks()
    with torch.no_grad():
        kl = made().loss(turn(x))["kl"].item()
        for step, wanted in ((0, kl), (50, abs(kl - 5)), (100, abs(kl - 10)), (900, abs(kl - 10))):
            found = made(capacity=10.0, capacity_rounds=100, beta=7.0).loss(turn(x, step=step))
            assert found["capacity"].item() == pytest.approx(7 * wanted, rel=1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        {"bound": "importance", "beta": 2.0},
        {"capacity": 1.0, "warmup": 5},
        {"layout": "map"},
        {"backward": 2},
        {"draws_rounds": 2},
        {"gradient": "path", "beta": 2.0},
    ],
)
def test_options_that_exclude_each_other_are_said(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        made(**settings)


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_the_class_is_a_code_that_is_read_and_set(network: str) -> None:
    """White pictures are cats and black ones dogs, by weights that look at nothing else."""
    model = made(PictureSpec(1, 8, 8, TWO), conditional=True, network=network, width=4).eval()
    assert model.latent_size == 5
    assert model.codes()[-1].name == "class"
    latents = model.latent(40, seed=1)
    assert set(model.get_codes(latents)["class"].tolist()) == {0, 1}
    assert torch.equal(latents[:7], model.latent(7, seed=1))
    set_to = model.set_codes(latents, {"class": 1})
    assert torch.equal(model.generate(latents, torch.ones(40, dtype=torch.int64)), model.generate(set_to))
    first = model.decoder.body[0] if network == "mlp" else model.decoder.first
    with torch.no_grad():
        first.weight[:, :3] = 0
        x = model.generate(model.set_codes(latents[:2], {"class": 0}))
        y = model.generate(model.set_codes(latents[:2], {"class": 1}))
    read = model.get_codes(model.encode(torch.cat((x, y)).sign()))["class"].tolist()
    assert read == [0, 0, 1, 1]


def test_classes_are_summed_out_of_the_likelihood() -> None:
    """log p(x) = log 1/2 sum_y int p(x|z, y) N(z; 0, 1) dz of a latent of one unit, by a fine sum over z."""
    model, x = made(PictureSpec(1, 8, 8, TWO), conditional=True, latent=1).eval(), blacks()
    z = torch.linspace(-8, 8, 2001)[:, None]
    with torch.no_grad():
        parts = []
        for label in (0, 1):
            marks = F.one_hot(torch.full((len(z),), label), 2).float()
            log_p = model.log_p(x[:, None], model.output(z, marks)[None])
            parts.append(log_p + Normal(0.0, 1.0).log_prob(z[:, 0]) + math.log(16 / 2000))
        wanted = torch.logsumexp(torch.stack(parts), (0, 2)) - math.log(2)
        found = model.importance_log_likelihood(x, samples=5000)
        below = torch.stack([model.log_likelihood(x, seed) for seed in range(50)]).mean(0)
    torch.testing.assert_close(found, wanted, atol=0.05, rtol=0)
    assert (below < wanted + 0.05).all()


def test_a_map_keeps_places() -> None:
    """A change in one corner of the picture leaves the far corner of the latent alone, and the way back too."""
    spec = PictureSpec(1, 32, 32)
    model = build("vae", {"latent": 2, "width": 4, "layout": "map"}, spec).eval()
    assert isinstance(model, torch.nn.Module)
    any_model: Any = model
    assert any_model.latent_size == 2 * 4 * 4
    x = torch.zeros(1, 1, 32, 32)
    changed = x.clone()
    changed[..., :4, :4] = 1
    a, b = (any_model.encode(each).unflatten(1, (2, 4, 4)) for each in (x, changed))
    assert not torch.equal(a[..., 0, 0], b[..., 0, 0])
    assert torch.equal(a[..., 3, 3], b[..., 3, 3])


def test_commands_draw_the_class_that_the_code_says(tmp_path: Path) -> None:
    """Pictures of cats are white and those of dogs black; the code picks one,."""
    x = np.concatenate([np.full((40, 8, 8), 255, np.uint8), np.zeros((40, 8, 8), np.uint8)])
    settings = {"model": {**MLP, "conditional": True, "lr": 1e-2}}
    labels = np.repeat([0, 1], 40)
    np.savez(tmp_path / "set.npz", images=x, labels=labels)
    run = mz.train("vae", tmp_path / "set.npz", out=tmp_path / "run", steps=400, settings=settings, quiet=True)
    means = []
    for label in (0, 1):
        files = sample_files(run, 6, out=tmp_path / str(label), codes={"class": label})
        means.append(np.mean([np.asarray(Image.open(file)) for file in files], (1, 2)))
    assert means[0].min() > means[1].max() + 30
    again = [np.asarray(Image.open(file)).mean() for file in sample_files(run, 6, out=tmp_path / "c", labels="1")]
    np.testing.assert_allclose(again, means[1])


def encoder_gradients(copies: int = 20_000, **settings: Any) -> tuple[Tensor, Tensor]:
    """The gradient by the mean and the log variance of q [6], as a mean over draws, and its standard error."""
    model = made(**settings)
    x = blacks(1).expand(copies, -1, -1, -1)
    mean = torch.tensor([[0.4, -0.3, 0.9]]).repeat(copies, 1).requires_grad_()
    log_variance = torch.tensor([[-1.0, 0.2, -0.4]]).repeat(copies, 1).requires_grad_()
    model.posterior = lambda *_: (mean, log_variance)
    total_of = sum(model.loss(turn(x)).values())
    assert isinstance(total_of, Tensor)
    each = torch.cat(torch.autograd.grad(total_of * copies, (mean, log_variance)), 1)
    return each.mean(0), each.std(0) / copies**0.5


@pytest.mark.parametrize(
    "bound", [{}, {"draws": 3}, {"bound": "importance", "draws": 1}, {"bound": "importance", "draws": 8}]
)
def test_the_path_gradient_and_that_of_chosen_draws_are_the_gradient_on_average(bound: dict[str, Any]) -> None:
    wanted, error = encoder_gradients(**bound)
    ways: list[dict[str, Any]] = [{"gradient": "path"}]
    if bound.get("bound"):
        ways += [{"backward": 2}, {"backward": 2, "gradient": "path"}]
    for way in ways:
        found, other = encoder_gradients(**bound, **way)
        apart = (found - wanted).abs() / (error.square() + other.square()).sqrt()
        assert apart.max() < 4.5, (way, apart)


def test_the_path_gradient_has_no_noise_where_q_is_the_posterior() -> None:
    """A decoder that ignores z has p(z|x) = p(z): at q = p(z) each draw's is 0, and the total one's is not."""
    for way, silent in (("path", True), ("total", False)):
        model = made(bound="importance", draws=3, gradient=way)
        model.output = lambda z, classes=None: torch.zeros(len(z), 1, 8, 8)
        mean, log_variance = torch.zeros(5, 3, requires_grad=True), torch.zeros(5, 3, requires_grad=True)
        model.posterior = lambda *_, q=(mean, log_variance): q
        model.loss(turn(blacks(5)))["bound"].backward()
        assert mean.grad is not None
        assert bool(mean.grad.abs().max() < 1e-6) == silent


def test_the_losses_are_those_of_the_bound_whatever_gradients_flow_through() -> None:
    x = blacks()
    for plain, ways in (({}, {"gradient": "path"}), ({"bound": "importance", "draws": 6}, {"backward": 2})):
        with torch.no_grad():
            wanted = total(made(**plain).loss(turn(x)))
        assert total(made(**plain, **ways).loss(turn(x))) == pytest.approx(wanted, rel=1e-5)


def test_draws_are_taken_as_often_as_their_shares_say() -> None:
    shares = torch.tensor([[0.1, 0.0, 0.65, 0.25]])
    u = torch.rand(20_000, generator=torch.Generator().manual_seed(0))
    taken = resampled(shares.expand(20_000, -1), 3, u)
    often = torch.bincount(taken.flatten(), minlength=4) / 60_000
    torch.testing.assert_close(often, shares[0], atol=0.01, rtol=0)
    each = torch.stack([(taken == k).sum(1) for k in range(4)], 1)
    assert (each - 3 * shares).abs().max() < 1
