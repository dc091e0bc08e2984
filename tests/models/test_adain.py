"""AdaIN's loss by its definition, its encoders, and pictures of any size."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from mezzotint.core.errors import ConfigError, DataError
from mezzotint.data.cache import VARIABLE
from mezzotint.engine.draw import Draw
from mezzotint.engine.model import PictureSpec, build
from mezzotint.engine.phase import Turn
from mezzotint.models import _encoders
from mezzotint.nn.vgg import StyleEncoder

SPEC = PictureSpec(3, 32, 32)
CONV3 = (
    Path(os.environ.get("MEZZOTINT_DATA", "/nowhere")).parent / "weights/vgg19-normalised/vgg_normalised_conv3_1.pth"
)
needs_vgg = pytest.mark.skipif(not CONV3.is_file(), reason=f"{CONV3} is not there")


def pictures(n: int = 4, height: int = 32, width: int = 32) -> torch.Tensor:
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


def turn(x: torch.Tensor, labels: torch.Tensor | None = None) -> Turn:
    return Turn(x, labels, Draw(0, ("test",)), 0)


def test_the_loss_is_the_papers() -> None:
    """With means and standard deviations as torch itself computes them."""
    model: Any = build("adain", {"width": 4}, SPEC, seed=1)
    x = pictures()
    content, style = x, x.roll(1, 0)
    f = [model.encoder(p) for p in (content, style)]

    def mu_sigma(z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        variance, mean = torch.var_mean(z, (2, 3), correction=0, keepdim=True)
        return mean, (variance + 1e-5).sqrt()

    (mean, deviation), (to_mean, to_deviation) = mu_sigma(f[0][3]), mu_sigma(f[1][3])
    t = to_deviation * (f[0][3] - mean) / deviation + to_mean
    seen = model.encoder(model.decoder(t))
    expected = (seen[3] - t).square().mean()
    for a, b in zip(seen, f[1], strict=True):
        expected = expected + 10 * sum((p - q).square().mean() for p, q in zip(mu_sigma(a), mu_sigma(b), strict=True))
    torch.testing.assert_close(sum(model.loss(turn(x)).values()), expected, rtol=1e-4, atol=1e-4)


def test_contents_and_styles_are_the_two_folders() -> None:
    spec = PictureSpec(3, 32, 32, classes=("contents", "styles"))
    model: Any = build("adain", {"width": 4}, spec)
    x = pictures(5)
    content, style = model.pairs(turn(x, torch.tensor([0, 1, 0, 0, 1])))
    assert torch.equal(content, x[[0, 2, 3]])
    assert torch.equal(style, x[[1, 4, 1]])
    content, style = model.pairs(turn(x, torch.zeros(5, dtype=torch.int64)))
    assert torch.equal(content, x)
    assert style is None


@pytest.mark.parametrize(("height", "width"), [(33, 47), (16, 100), (9, 9)])
def test_any_size_is_drawn(height: int, width: int) -> None:
    model: Any = build("adain", {"width": 4}, SPEC).eval()
    style = model.styles(pictures(1, 50, 21))
    assert model.stylize(pictures(2, height, width), style).shape == (2, 3, height, width)
    assert model.reconstruct(pictures(2, height, width)).shape == (2, 3, height, width)


def test_alpha_is_between_the_pictures_own_style_and_the_other() -> None:
    model: Any = build("adain", {"width": 4}, SPEC).eval()
    x = pictures(1)
    style = model.styles(pictures(1, 50, 50))
    torch.testing.assert_close(model.stylize(x, style, 0.0), model.reconstruct(x))
    assert not torch.allclose(model.stylize(x, style), model.reconstruct(x), atol=1e-3)


def test_the_own_encoder_is_in_every_new_model() -> None:
    own = _encoders.own_weights()
    model = build("adain", {"width": 4}, SPEC, seed=3)
    for name, value in model.encoder.state_dict().items():  # type: ignore[union-attr]
        assert torch.equal(value, own[f"encoder.{name}"])


@needs_vgg
def test_vgg19_says_what_its_own_layers_say() -> None:
    """The 1x1 convolution of the colours is taken into the first 3x3 one; here it is applied by itself."""
    encoder = StyleEncoder(64, 3)
    _encoders.read_vgg(encoder, str(CONV3))
    weights = list(torch.load(CONV3, weights_only=True).values())
    x = pictures(2, 24, 20)
    y = F.conv2d((x + 1) / 2, weights[0], weights[1])
    kept = []
    for k, (weight, bias) in enumerate(zip(weights[2::2], weights[3::2], strict=True)):
        if k in (2, 4):
            y = F.max_pool2d(y, 2)
        y = F.relu(F.conv2d(F.pad(y, (1, 1, 1, 1), mode="reflect"), weight, bias))
        if k in (0, 2, 4):
            kept.append(y)
    for ours, theirs in zip(encoder(x), kept, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


@needs_vgg
def test_a_file_of_other_depth_is_refused() -> None:
    with pytest.raises(DataError, match=r"relu4_1.*model\.levels=3"):
        _encoders.read_vgg(StyleEncoder(64, 4), str(CONV3))


def test_a_missing_file_is_asked_for_with_its_licence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(DataError, match=r"2\.2 MB, licence: CC BY 4\.0.*allow_download=true"):
        _encoders.read_vgg(StyleEncoder(64, 3))
    with pytest.raises(DataError, match="no public file"):
        _encoders.read_vgg(StyleEncoder(64, 4))
    with pytest.raises(DataError, match="There is no file"):
        _encoders.read_vgg(StyleEncoder(64, 3), str(tmp_path / "no.pth"))
    (tmp_path / "bad.pth").write_bytes(b"no tensors")
    with pytest.raises(DataError, match="cannot be read"):
        _encoders.read_vgg(StyleEncoder(64, 3), str(tmp_path / "bad.pth"))


def test_parts_larger_than_the_pictures_are_refused() -> None:
    with pytest.raises(ConfigError, match="Parts of 64 pixels"):
        build("adain", {"crop": 64}, SPEC)
