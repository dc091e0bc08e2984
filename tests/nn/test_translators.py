"""Translating networks beside the published sizes, and what they must keep."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mezzotint.nn.contrast import PatchHeads, patch_contrast
from mezzotint.nn.history import History
from mezzotint.nn.translators import Blurred, PatchCritic, ResnetTranslator, UNet, least_side, reflect


def weights(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_sizes_are_those_of_the_well_known_program() -> None:
    """It prints 11.378 M for the generator with nine blocks and 2.765 M for the discriminator of 70 x 70 pixels.

    It has biases before normalisation too, which change nothing.
    """
    biases = 64 + 128 + 256 + 18 * 256 + 128 + 64
    assert round((weights(ResnetTranslator(3, 64, 9)) + biases) / 1e6, 3) == 11.378
    assert round((weights(PatchCritic(3, 64)) + 128 + 256 + 512) / 1e6, 3) == 2.765
    convs = sum(m.weight.numel() for m in UNet(3, 3, 64, 8).modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d))
    assert round(convs / 1e6, 1) == 54.4


def test_a_patch_is_of_70_pixels() -> None:
    """Gradients of one score reach 70 x 70 pixels, where nothing is normalised over the whole picture."""
    critic = PatchCritic(1, 8)
    critic.norms = nn.ModuleList(nn.Identity() for _ in critic.norms)
    x = torch.randn(1, 1, 160, 160, requires_grad=True)
    scores = critic(x)
    scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2].backward()
    assert x.grad is not None
    touched = x.grad[0, 0] != 0
    assert touched.any(0).sum() == 70
    assert touched.any(1).sum() == 70


@pytest.mark.parametrize("net", [ResnetTranslator(3, 4, 1), ResnetTranslator(3, 4, 1, smooth=True), UNet(3, 3, 4, 3)])
@pytest.mark.parametrize("size", [(16, 16), (37, 50), (9, 8)])
def test_a_picture_of_any_size_keeps_it(net: nn.Module, size: tuple[int, int]) -> None:
    made = net.eval()(torch.randn(2, 3, *size))
    assert made.shape == (2, 3, *size)
    assert made.abs().max() <= 1


def test_smooth_layers_do_not_see_the_place_of_a_pixel() -> None:
    """A shift by one pixel before halving is a shift by half a pixel after it, where a strided layer jumps."""
    x = torch.zeros(1, 1, 32, 32)
    x[0, 0, 10:20, 10:20] = 1
    halve = Blurred(1)
    apart = (halve(x) + halve(x.roll(2, 3))) / 2 - halve(x.roll(1, 3))
    assert apart.abs().max() < 0.3
    torch.testing.assert_close(halve(torch.ones(1, 1, 8, 8)), torch.ones(1, 1, 4, 4))


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_the_least_side_is_enough(layers: int) -> None:
    critic = PatchCritic(1, 4, layers).train()
    assert critic(torch.randn(1, 1, least_side(layers), least_side(layers))).numel() > 0


def test_a_history_shows_the_old_half_of_the_time_and_loses_nothing() -> None:
    history = History(10, (1, 1, 1))
    generator = torch.Generator().manual_seed(0)
    old, shown_before = 0, []
    for k in range(500):
        new = torch.full((2, 1, 1, 1), float(k))
        coins, places = torch.rand(2, generator=generator), torch.rand(2, generator=generator)
        shown = history.exchange(new, coins, places)
        if k < 5:
            assert torch.equal(shown, new), "until it is full every picture is shown as it is"
        else:
            old += int((shown != new).sum())
            shown_before += (k - shown.flatten()).tolist()
    assert 0.45 < old / 990 < 0.55
    assert max(shown_before) > 10
    assert len(history.state_dict()) == 2
    assert torch.equal(History(0, (1, 1, 1)).exchange(new, coins, places), new)


def test_the_likeness_of_patches_is_that_of_the_definition_and_knows_the_right_patch() -> None:
    heads = PatchHeads((3,), size=8, patches=6)
    before, after = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    where = torch.rand(2, 6)
    found = patch_contrast([lambda x: x], heads, before, after, where)
    places = (where * 16).long()

    def features(x: Tensor, n: int) -> Tensor:
        return F.normalize(heads.layers[0](x[n].flatten(1).mT[places[n]]), dim=1)

    losses = []
    for n in range(2):
        like = features(after, n) @ features(before, n).mT / 0.07
        losses += [-(like[p, p] - like[p].logsumexp(0)) for p in range(6)]
    torch.testing.assert_close(found, torch.stack(losses).mean())
    same = patch_contrast([lambda x: x], heads, before, before, where)
    assert same < found


def test_edges_keep_the_number_format_under_autocast() -> None:
    """torch's own padding would make it float32, which takes longer than the convolution that follows."""
    x = torch.rand(1, 2, 8, 8).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        y = reflect(x, (2, 1, 3, 0))
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, F.pad(x, (2, 1, 3, 0), mode="reflect"))
