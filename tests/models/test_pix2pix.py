"""pix2pix's losses by their definition, and that pairs stay pairs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from mezzotint.core.errors import ConfigError
from mezzotint.engine.draw import Draw
from mezzotint.engine.model import PictureSpec, build
from mezzotint.engine.phase import Turn

TINY = {"width": 4, "critic_width": 4, "depth": 2, "dropout": 0.0}
SPEC = PictureSpec(1, 16, 16, classes=("labels", "photos"))


def turn(model: Any, pictures: torch.Tensor) -> Turn:
    given = Turn(pictures, None, Draw(0, ("test",)), 0)
    given.prepared = model.translated(given)
    return given


@pytest.mark.parametrize("to", ["second", "first"])
def test_the_losses_are_those_of_the_paper(to: str) -> None:
    model: Any = build("pix2pix", {**TINY, "to": to}, SPEC, seed=1)
    both = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    x, y = (both[0::2], both[1::2]) if to == "second" else (both[1::2], both[0::2])
    with torch.no_grad():
        made = model.translator(x)
        real, fake = (model.discriminator(torch.cat((x, other), 1)) for other in (y, made))
        ones, zeros = torch.ones_like(real), torch.zeros_like(real)
        bce = F.binary_cross_entropy_with_logits
        generator = bce(fake, ones) + 100 * (made - y).abs().mean()
        torch.testing.assert_close(sum(model.generator_loss(turn(model, both)).values()), generator)
        critic = 0.5 * (bce(real, ones) + bce(fake, zeros))
        torch.testing.assert_close(sum(model.discriminator_loss(turn(model, both)).values()), critic)
    assert model.domains() == (("photos",) if to == "second" else ("labels",))


def test_both_of_a_pair_are_cut_alike() -> None:
    model: Any = build("pix2pix", {**TINY, "crop": 8}, SPEC)
    places = torch.arange(256.0).view(1, 1, 16, 16).expand(40, -1, -1, -1)
    seen = model.seen(Turn(places, None, Draw(0, ("test",)), 0))
    assert seen.shape == (40, 1, 8, 8)
    assert torch.equal(seen[0::2], seen[1::2])
    assert len(set(seen[0::2, 0, 0, 0].tolist())) > 5


def test_dropout_is_there_in_training_only() -> None:
    model: Any = build("pix2pix", {**TINY, "dropout": 0.5}, SPEC).train()
    x = torch.rand(1, 1, 16, 16)
    assert not torch.equal(model.translator(x), model.translator(x))
    model.eval()
    assert torch.equal(model.translator(x), model.translator(x))


def test_without_two_folders_it_is_said() -> None:
    with pytest.raises(ConfigError, match="two folders"):
        build("pix2pix", TINY, PictureSpec(1, 16, 16))
