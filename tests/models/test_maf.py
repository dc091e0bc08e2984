"""What is said of the flow: probabilities that add up to one, an exact way back, samplers of other models' codes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mezzotint.core.errors import ConfigError
from mezzotint.engine.model import PictureSpec, build
from mezzotint.nn.likelihoods import LEVELS


def made(spec: PictureSpec, **settings: Any) -> Any:
    model: Any = build("maf", {"layers": 2, "hidden": (16,), **settings}, spec, seed=3).eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    model.mean.fill_(0.3)
    model.spread.fill_(1.7)
    return model


def test_the_probabilities_of_all_grey_levels_add_up_to_one() -> None:
    """Of a picture of one pixel; within a level the density is averaged. What lies beyond black and white is lost."""
    model = made(PictureSpec(1, 1, 1))
    model.spread.fill_(0.5)
    levels = (torch.arange(LEVELS) / 127.5 - 1).view(-1, 1, 1, 1)
    shares = (torch.arange(50) + 0.5) / 50
    each = torch.stack([model._log_p(levels, share, None) for share in shares]).exp().mean(0)
    assert each.sum().item() == pytest.approx(1, abs=2e-3)
    assert (model.log_likelihood(levels, seed=1).exp() - each).abs().max() < 0.3 * each.max()


def test_the_way_back_is_exact_for_every_grey_level() -> None:
    model = made(PictureSpec(1, 4, 4))
    pictures = (torch.arange(256) / 127.5 - 1).view(16, 1, 4, 4)
    torch.testing.assert_close(model.decode(model.encode(pictures)), pictures, rtol=0, atol=2e-4)


def test_classes_have_densities_of_their_own_which_are_summed_out() -> None:
    model = made(PictureSpec(1, 2, 2, ("a", "b")), conditional=True)
    pictures = torch.rand(3, 1, 2, 2, generator=torch.Generator().manual_seed(1)) * 2 - 1
    noise = torch.full((), 0.5)
    each = torch.stack([model._log_p(pictures, noise, torch.eye(2)[k].expand(3, -1)) for k in range(2)], 1)
    assert (each[:, 0] - each[:, 1]).abs().min() > 1e-3
    mean = each.exp().mean(1).log()
    model._log_p_of = model._log_p
    model._log_p = lambda pictures, _, classes: model._log_p_of(pictures, noise, classes)
    torch.testing.assert_close(model.log_likelihood(pictures), mean)


def test_large_pictures_are_refused_in_a_sentence() -> None:
    with pytest.raises(ConfigError, match=r"at most 12,288 values; these have 49,152\. Use --size"):
        build("maf", {}, PictureSpec(3, 128, 128))
