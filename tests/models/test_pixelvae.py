"""PixelVAE as a product of conditionals: probabilities of all pictures add up to 1, and draws follow them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

from mezzotint.engine.model import PictureSpec
from mezzotint.models.pixelvae import PixelVAE, PixelVAEConfig
from mezzotint.models.vae import VAE, VAEConfig

SMALL: dict[str, Any] = {"network": "mlp", "hidden": (8,), "latent": 2, "context_width": 8, "context_layers": 3}


def made(likelihood: Any = "bernoulli", spec: PictureSpec = PictureSpec(1, 2, 3), **options: Any) -> PixelVAE:
    """A model whose context says something, as after training."""
    torch.manual_seed(0)
    model = PixelVAE(PixelVAEConfig(likelihood=likelihood, **(SMALL | options)), spec)
    torch.nn.init.normal_(model.context.head.weight, 0, 1.5)
    return model.eval()


def all_pictures() -> torch.Tensor:
    return torch.tensor(list(itertools.product([-1.0, 1.0], repeat=6))).view(64, 1, 2, 3)


@torch.no_grad()
def test_probabilities_of_all_pictures_add_up_to_one() -> None:
    model, pictures = made(), all_pictures()
    said = model.output(torch.randn(1, 2)).expand(64, -1, -1, -1)
    assert model.log_p(pictures, said).exp().sum().item() == pytest.approx(1, abs=1e-5)


@torch.no_grad()
def test_draws_follow_the_probabilities() -> None:
    model, pictures = made(), all_pictures()
    z = torch.randn(1, 2, generator=torch.Generator().manual_seed(1))
    expected = model.log_p(pictures, model.output(z).expand(64, -1, -1, -1)).exp()
    n = 20_000
    latents = torch.cat((z.expand(n, -1), model.latent(n)[:, 2:]), 1)
    index = ((model.generate(latents).flatten(1) > 0).long() * 2 ** torch.arange(5, -1, -1)).sum(1)
    counts = torch.bincount(index, minlength=64)
    spread = (n * expected * (1 - expected)).sqrt().clamp(min=1)
    assert float(((counts - n * expected) / spread).abs().max()) < 5


def test_several_draws_of_the_latent_are_scored_as_each_alone() -> None:
    model, pictures = made(), all_pictures()[:4]
    said = model.output(torch.randn(12, 2)).unflatten(0, (4, 3))
    together = model.log_p(pictures[:, None], said)
    alone = torch.stack([model.log_p(pictures, said[:, k]) for k in range(3)], 1)
    torch.testing.assert_close(together, alone)


def test_it_begins_as_a_vae() -> None:
    spec = PictureSpec(3, 8, 8)
    torch.manual_seed(0)
    plain = VAE(VAEConfig(width=8, latent=4, likelihood="logistic"), spec).eval()
    torch.manual_seed(0)
    rich = PixelVAE(PixelVAEConfig(width=8, latent=4), spec).eval()
    pictures = torch.rand(5, 3, 8, 8) * 2 - 1
    assert torch.equal(plain.log_likelihood(pictures), rich.log_likelihood(pictures))


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian", "logistic"])
def test_a_reconstruction_is_the_same_each_time_and_alone(likelihood: str) -> None:
    model = made(likelihood, PictureSpec(2, 4, 3))
    pictures = torch.rand(6, 2, 4, 3) * 2 - 1
    found = model.reconstruct(pictures)
    assert torch.equal(found, model.reconstruct(pictures))
    torch.testing.assert_close(found[:2], model.reconstruct(pictures[:2]))
    if likelihood == "logistic":  # on one of the 256 levels
        levels = (found + 1) * 127.5
        torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0)
