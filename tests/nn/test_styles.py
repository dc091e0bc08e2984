"""Networks of styles beside the published sizes and hand computations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mezzotint.nn.styles import AdaIN, DomainNetwork, MappingNetwork, SlowLinear, StyledTranslator, halvings


def weights(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_sizes_are_those_of_the_well_known_program() -> None:
    """For pictures of 256 pixels in two domains it prints these four numbers."""
    size, domains = (256, 256), 2
    assert weights(StyledTranslator(3, 64, 4, halvings(size), 64)) == 33_892_995
    assert weights(MappingNetwork(16, 512, domains, 64, 0.01)) == 2_438_272
    assert weights(DomainNetwork(3, 64, 6, size, domains, 64)) == 20_916_928
    assert weights(DomainNetwork(3, 64, 6, size, domains)) == 20_852_290


def test_adain_gives_each_channel_the_mean_and_deviation_that_the_style_asks_for() -> None:
    layer = AdaIN(3, 5)
    x, style = torch.randn(2, 3, 7, 6) * 4 + 9, torch.randn(2, 5)
    made = layer(x, style).detach().numpy().astype(np.float64)
    values, code = x.numpy().astype(np.float64), style.numpy().astype(np.float64)
    weight, bias = (p.detach().numpy().astype(np.float64) for p in layer.affine.parameters())
    asked = code @ weight.T + bias
    for n in range(2):
        for c in range(3):
            channel = values[n, c]
            wanted = (1 + asked[n, c]) * (channel - channel.mean()) / channel.std() + asked[n, 3 + c]
            np.testing.assert_allclose(made[n, c], wanted, atol=1e-4)
            assert made[n, c].mean() == pytest.approx(asked[n, 3 + c], abs=1e-4)
            assert made[n, c].std() == pytest.approx(abs(1 + asked[n, c]), abs=1e-4)


def test_a_slow_layer_computes_the_same_and_moves_less() -> None:
    fast, slow = nn.Linear(4, 3), SlowLinear(4, 3, rate=0.01)
    with torch.no_grad():
        slow.weight.copy_(fast.weight / 0.01)
        slow.bias.copy_(fast.bias / 0.01)
    x = torch.randn(8, 4)
    torch.testing.assert_close(slow(x), fast(x))
    before = fast(x).detach()
    for layer in (fast, slow):
        optimizer = torch.optim.Adam(layer.parameters(), 1e-3)
        layer(x).square().sum().backward()
        optimizer.step()
    moved = [(layer(x) - before).abs().mean().item() for layer in (fast, slow)]
    assert moved[1] == pytest.approx(0.01 * moved[0], rel=0.02)


def test_every_domain_has_styles_and_outputs_of_its_own() -> None:
    torch.manual_seed(0)
    mapping = MappingNetwork(3, 32, 2, 4, 0.01)
    noise = torch.randn(5, 3)
    first, second = (mapping(noise, torch.eye(2)[[k] * 5]) for k in (0, 1))
    assert (first - second).abs().min(1).values.max() > 0
    each = torch.eye(2)[[0, 1, 1, 0, 1]]
    torch.testing.assert_close(mapping(noise, each), torch.where(each[:, :1] > 0, first, second))
    critic = DomainNetwork(1, 8, 2, (12, 9), 3)
    x = torch.randn(2, 1, 12, 9)
    scores = critic(x, torch.eye(3)[[1, 1]])
    assert scores.shape == (2, 1)
    scores.sum().backward()
    gradient = critic.last.weight.grad
    assert gradient is not None
    assert [bool(row.any()) for row in gradient] == [False, True, False]


@pytest.mark.parametrize("size", [(16, 16), (37, 50), (9, 8), (1, 3)])
def test_a_picture_of_any_size_keeps_it_and_takes_the_style(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    net = StyledTranslator(3, 8, 2, 2, 4).eval()
    x, styles = torch.rand(2, 3, *size), torch.randn(2, 4)
    made = net(x, styles)
    assert made.shape == x.shape
    assert (made - net(x, styles.flip(0))).abs().max() > 1e-2
    torch.testing.assert_close(made[:1], net(x[:1], styles[:1]), atol=1e-4, rtol=1e-4)
