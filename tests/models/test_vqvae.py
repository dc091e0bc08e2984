"""What is said of the VQ-VAE: latents name codes exactly, the prior's draws follow it, and codes are in use."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from mezzotint.core.errors import ConfigError
from mezzotint.data.types import PictureSet
from mezzotint.engine.model import MODELS, PictureSpec, build
from mezzotint.testing._make import make_pictures, make_trainer

SMALL = {"cell": 2, "codes": 8, "size": 4, "width": 8, "blocks": 1, "prior_width": 8, "prior_layers": 2}
KINDS: tuple[dict[str, Any], ...] = ({}, {"books": 3}, {"levels": [3, 4]}, {"conditional": True})


def made(settings: dict[str, Any], sharp: float = 1.0) -> Any:
    """A model whose prior is `sharp` times surer of itself than a fresh one."""
    model: Any = build("vqvae", {**SMALL, **settings}, PictureSpec(1, 12, 10, ("a", "b")), seed=3).eval()
    for head in model.prior.heads:
        head.weight.data.mul_(sharp)
    return model


@pytest.mark.parametrize("settings", KINDS)
@pytest.mark.parametrize("sharp", [1.0, 100.0])
def test_latents_name_codes_exactly(settings: dict[str, Any], sharp: float) -> None:
    """Also those that a sure prior thinks impossible, and whatever else is in the batch."""
    model = made(settings, sharp)
    pictures = torch.rand(9, 1, 12, 10, generator=torch.Generator().manual_seed(1)) * 2 - 1
    latents = model.encode(pictures)
    assert latents.shape == (9, model.latent_size)
    assert torch.isfinite(latents).all()
    assert torch.equal(model.decode(latents), model.reconstruct(pictures))
    torch.testing.assert_close(model.decode(latents[4:5]), model.reconstruct(pictures)[4:5])


def known(model: Any) -> Tensor:
    """Give every code the same probabilities everywhere, and return them."""
    chances = torch.arange(1.0, model.quantiser.count + 1)
    chances /= chances.sum()
    for head in model.prior.heads:
        torch.nn.init.zeros_(head.weight)
        head.bias.data.copy_(chances.log())
    return chances


def test_samples_follow_the_prior() -> None:
    model = made({"books": 2})
    chances, seen = known(model), []
    model.from_indices = lambda indices: (seen.append(indices), torch.zeros(len(indices), 1, 12, 10))[1]
    model.sample(200)
    codes = torch.cat(seen)
    share = torch.bincount(codes.flatten(), minlength=8) / codes.numel()
    assert codes.shape == (200, 6, 5, 2)
    assert (share - chances).abs().max() < 5 * (0.25 / codes.numel()) ** 0.5


def test_bits_are_the_priors() -> None:
    model = made({})
    chances = known(model)
    pictures = torch.rand(4, 1, 12, 10, generator=torch.Generator().manual_seed(1)) * 2 - 1
    expected = -chances[model.indices(pictures)].log2().flatten(1).sum(1)
    torch.testing.assert_close(model.code_bits(pictures), expected)


def two_tiles(count: int) -> PictureSet:
    """Pictures of 2 x 2 tiles, each of one of four greys: four codes say all there is."""
    pictures = make_pictures(count=count)
    greys = torch.randint(4, (count, 4, 4), generator=torch.Generator().manual_seed(0)) * 80
    tiles = greys.repeat_interleave(2, 1).repeat_interleave(2, 2).to(torch.uint8)[..., None].numpy()
    pictures.pictures[:] = tiles
    return pictures


@pytest.mark.parametrize("settings", [{}, {"codes": 2, "books": 2}, {"levels": [4]}])
def test_as_many_codes_as_the_pictures_need_say_all(settings: dict[str, Any]) -> None:
    trainer = _trainer(settings)
    for _ in range(300):
        trainer.round()
    with trainer.using() as model:
        x, _ = trainer.held_out(24)
        error = (model.reconstruct(x) - x).square().mean()
        bits = model.code_bits(x).mean().item()
        codes = model.indices(x)
    assert error < 0.02 * x.var()
    assert len(codes.flatten(0, 2).unique(dim=0)) == 4
    assert bits == pytest.approx(16 * 2, rel=0.02)  # sixteen tiles of two bits, and nothing to be known beforehand


def _trainer(settings: dict[str, Any]) -> Any:
    cls = MODELS.get("vqvae")

    class Sized(cls):  # type: ignore[misc, valid-type]
        tiny = {**SMALL, "codes": 4, "width": 32, "lr": 3e-3, **settings}

    return make_trainer(Sized, two_tiles(1200), batch_size=32)


@pytest.mark.parametrize(
    ("settings", "size", "said"),
    [
        ({"cell": 16}, (16, 12), "whole picture of 16 x 12; set model.cell"),
        ({"levels": [1, 5]}, (16, 16), "levels are of at least 2"),
        ({"levels": [8, 8], "books": 2}, (16, 16), "without further books"),
        ({"conditional": True}, (16, 16), "needs classes"),
    ],
)
def test_what_cannot_be_is_said(settings: dict[str, Any], size: tuple[int, int], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build("vqvae", {**SMALL, **settings}, PictureSpec(1, *size))


def test_a_code_costs_no_more_than_an_even_distribution_would_at_first() -> None:
    """A fresh prior knows nothing: about log2 K bits a code."""
    model = made({})
    bits = model.code_bits(torch.zeros(2, 1, 12, 10))
    assert bits.mean().item() == pytest.approx(30 * math.log2(8), rel=0.1)
