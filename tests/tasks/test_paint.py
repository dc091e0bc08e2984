"""Styles by weights and masks against hand computation, and parts that fit together."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch

from mezzotint.engine.model import PictureSpec, build
from mezzotint.nn.transfer import moments
from mezzotint.nn.vgg import Reach
from mezzotint.tasks._flicker import Steady
from mezzotint.tasks._paint import Style, paint


class Pixels:
    """Features are the pixels themselves."""

    spec = PictureSpec(3, 8, 8)

    def reach(self) -> Reach:
        return Reach(1, 0, 0)

    def content(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def draw(self, x: torch.Tensor) -> torch.Tensor:
        return x


def looks(mean: float, deviation: float) -> torch.Tensor:
    return torch.tensor([mean, deviation])[None, :, None].expand(1, 2, 3).clone()


def picture(height: int = 20, width: int = 30) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1)) - 0.5


def test_a_style_gives_its_mean_and_deviation() -> None:
    made = paint(Pixels(), picture(), [Style(looks(0.25, 0.5))])
    torch.testing.assert_close(moments(made), looks(0.25, 0.5), rtol=1e-3, atol=1e-3)


def test_several_styles_share_by_weight() -> None:
    made = paint(Pixels(), picture(), [Style(looks(0.0, 0.2), 3.0), Style(looks(1.0, 0.6), 1.0)])
    torch.testing.assert_close(moments(made), looks(0.25, 0.3), rtol=1e-3, atol=1e-3)


def test_alpha_leaves_the_rest_as_it_is() -> None:
    x = picture()
    whole = paint(Pixels(), x, [Style(looks(1.0, 0.2))])
    torch.testing.assert_close(paint(Pixels(), x, [Style(looks(1.0, 0.2))], 0.25), 0.75 * x + 0.25 * whole)


def test_a_mask_keeps_its_style_to_its_place() -> None:
    """What is masked has the style's moments by itself, and the rest is the other style's, or its own."""
    x, mask = picture(), torch.zeros(1, 1, 20, 30)
    mask[..., :15] = 1
    alone = paint(Pixels(), x, [Style(looks(0.5, 0.1), mask=mask)])
    torch.testing.assert_close(moments(alone[..., :15]), looks(0.5, 0.1), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(alone[..., 15:], x[..., 15:])
    both = paint(Pixels(), x, [Style(looks(0.5, 0.1), mask=mask), Style(looks(-0.5, 0.3))])
    torch.testing.assert_close(both[..., :15], alone[..., :15])
    torch.testing.assert_close(both[..., 15:], paint(Pixels(), x, [Style(looks(-0.5, 0.3))])[..., 15:])


def test_masks_that_overlap_share_their_place() -> None:
    x, mask = picture(), torch.ones(1, 1, 20, 30)
    made = paint(Pixels(), x, [Style(looks(0.0, 0.2), mask=mask), Style(looks(1.0, 0.2), mask=mask)])
    torch.testing.assert_close(moments(made), looks(0.5, 0.2), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("levels", [3, 4])
@pytest.mark.parametrize("size", [(131, 174), (64, 96), (40, 203)])
def test_parts_give_the_picture_that_is_drawn_at_once(levels: int, size: tuple[int, int]) -> None:
    model: Any = build("adain", {"width": 4, "levels": levels}, PictureSpec(3, 32, 32), seed=2).eval()
    x = picture(*size)
    styles = [Style(model.styles(picture(50, 60) * 2))]
    whole = paint(model, x, styles)
    torch.testing.assert_close(whole, model.stylize(x, styles[0].moments), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(paint(model, x, styles, whole=0, tile=32), whole, rtol=1e-4, atol=1e-4)


def test_what_a_feature_sees_is_no_more_than_reach_says() -> None:
    """A pixel that is changed changes only features within reach, and there some; so it is with decoding."""
    model: Any = build("adain", {"width": 4}, PictureSpec(3, 32, 32), seed=2).eval().double()
    x = torch.rand(1, 3, 160, 160, dtype=torch.float64)
    changed = x.clone()
    changed[:, :, 80, 80] += 1
    a, b = model.encoder(x)[-1], model.encoder(changed)[-1]
    rows = (a != b).any(1).any(2)[0].nonzero().flatten()
    step, sees, around = model.reach()
    assert rows.min() * step + step - 1 + sees >= 80
    assert rows.max() * step - sees <= 80
    assert len(rows) >= 2 * (sees // step) - 1
    y = model.encoder(x)[-1]
    other = y.clone()
    other[:, :, 10, 10] += 1
    pixels = (model.decoder(y) != model.decoder(other)).any(1).any(2)[0].nonzero().flatten()
    assert int(pixels.min()) // step >= 10 - around
    assert int(pixels.max()) // step <= 10 + around


def test_a_film_that_stands_still_does_not_flicker() -> None:
    frame, steady = picture(), Steady(0.8)
    drawn = [torch.full_like(frame, float(k % 2)) for k in range(12)]
    made = [steady.picture(frame, lambda each=each: each) for each in drawn]  # type: ignore[misc]
    jumps = [(a - b).abs().mean().item() for a, b in pairwise(made)]
    assert max(jumps) < 0.25
    cut = steady.picture(frame + 2, lambda: torch.full_like(frame, 9.0))
    assert cut.eq(9).all()


def test_moments_of_a_film_change_slowly_and_begin_anew_after_a_cut() -> None:
    frame, steady = picture(), Steady(0.75)
    a, b = looks(0.0, 1.0), looks(1.0, 1.0)
    steady.picture(frame, lambda: steady.moments(a).mean() * frame)
    steady.picture(frame, lambda: steady.moments(b).mean() * frame)
    assert steady._moments is not None
    torch.testing.assert_close(steady._moments, looks(0.25, 1.0))
    steady.picture(frame + 2, lambda: steady.moments(b).mean() * frame)
    torch.testing.assert_close(steady._moments, b)
