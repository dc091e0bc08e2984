"""What is said of DCGAN: its sizes, its first weights, its probability."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mezzotint.core.errors import ConfigError
from mezzotint.engine.model import PictureSpec, build

SMALL = {"latent": 8, "width": 4, "discriminator_width": 4}


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sizes_from_8_to_256(channels: int) -> None:
    """That the resolutions fit for every size is tested with them."""
    for height, width in ((8, 8), (9, 8), (31, 33), (8, 256), (256, 8), (100, 127), (255, 256), (256, 256)):
        with torch.no_grad():
            model: Any = build("dcgan", SMALL, PictureSpec(channels, height, width))
            pictures = model.generator(torch.randn(2, 8))
            assert pictures.shape == (2, channels, height, width)
            assert model.discriminator(pictures).shape == (2,)


@pytest.mark.parametrize("size", [(7, 8), (8, 257), (4, 4)])
def test_other_sizes_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="8 to 256"):
        build("dcgan", SMALL, PictureSpec(1, *size))


def test_it_is_the_papers_network_at_64() -> None:
    """Figure 1 of the paper, and the discriminator that everyone has built to it."""
    model: Any = build("dcgan", {}, PictureSpec(3, 64, 64))
    ups = [model.generator.first, *model.generator.ups, model.generator.last]
    assert [layer.out_channels for layer in ups] == [512, 256, 128, 64, 3]
    downs = [model.discriminator.first, *model.discriminator.downs, model.discriminator.last]
    assert [layer.out_channels for layer in downs] == [64, 128, 256, 512, 1]
    assert {layer.kernel_size for layer in (*ups, *downs)} == {(4, 4)}
    assert sum(p.numel() for p in model.generator.parameters()) == 3_576_704
    assert sum(p.numel() for p in model.discriminator.parameters()) == 2_765_568


def test_the_first_weights_are_the_papers() -> None:
    """Section 4: a normal distribution around zero with standard deviation 0.02; around one for batch norm's scale."""
    model = build("dcgan", {}, PictureSpec(3, 64, 64), seed=3)
    scales = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            weight = module.weight.detach()
            assert module.bias is None, name
            assert weight.std().item() == pytest.approx(0.02, rel=0.05), name
            assert abs(weight.mean().item()) < 4 * 0.02 / weight.numel() ** 0.5, name
        elif isinstance(module, nn.BatchNorm2d):
            scales.append(module.weight.detach())
            assert not module.bias.any(), name
    assert torch.cat(scales).mean().item() == pytest.approx(1, abs=0.005)
    assert torch.cat(scales).std().item() == pytest.approx(0.02, rel=0.1)


def test_the_calibration_is_platts() -> None:
    """Known logits instead of a discriminator: what is fitted is the posterior of two normals, which is logistic."""

    class Known(nn.Module):
        def forward(self, pictures: torch.Tensor, labels: Any = None) -> torch.Tensor:
            return pictures[:, 0, 0, 0]

    model: Any = build("dcgan", SMALL, PictureSpec(1, 8, 8)).eval()
    model.discriminator = Known()
    generator = torch.Generator().manual_seed(0)
    real = (torch.randn(512, 1, 1, 1, generator=generator) + 2.0).expand(-1, 1, 8, 8)
    fake = torch.randn(512, 1, 1, 1, generator=generator).expand(-1, 1, 8, 8)
    model.sample = lambda n, seed=0, labels=None: fake[:n]
    model.finish(lambda n: (real[:n], None))
    logits = torch.linspace(-1, 3, 9)
    # log N(x; 2, 1) - log N(x; 0, 1) = 2 x - 2
    got = model.discriminate(logits.view(-1, 1, 1, 1).expand(-1, 1, 8, 8))
    assert torch.allclose(got, torch.sigmoid(2 * logits - 2), atol=0.06)
    model.finish(lambda n: (fake[:n] - 5, None))
    assert F.mse_loss(model.discriminate(real), torch.full((512,), 0.5)) == 0, "it has been fooled and says one half"


@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_the_slope_is_the_options(slope: float) -> None:
    """An 8 x 8 picture passes two layers: the second sees what the first leaves of negative values."""
    model: Any = build("dcgan", {"width": 4, "discriminator_width": 4, "slope": slope}, PictureSpec(1, 8, 8))
    x = torch.rand(3, 1, 8, 8) * 2 - 1
    first, last = model.discriminator.first, model.discriminator.last
    hidden = torch.nn.functional.conv2d(x, first.weight, None, 2, 1)
    expected = torch.nn.functional.conv2d(torch.where(hidden > 0, hidden, slope * hidden), last.weight)
    torch.testing.assert_close(model.discriminator(x), expected.flatten(), rtol=1e-5, atol=1e-6)
