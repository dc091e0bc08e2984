"""DINOv2's small transformer: its published size, its block against torch's own, and the resized places."""

from __future__ import annotations

from math import floor, prod

import pytest
import torch
from torch import Tensor, nn

from mezzotint.core.errors import DataError
from mezzotint.metrics.extractors import dinov2
from mezzotint.metrics.extractors.dinov2 import DIMS, DinoV2


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: 0.05 * torch.randn(shape, generator=generator) for name, shape in dinov2.shapes().items()}


@pytest.fixture(scope="module")
def network(weights: dict[str, Tensor]) -> DinoV2:
    return DinoV2(weights, "0" * 64)


def test_the_size_is_the_published_one() -> None:
    shapes = dinov2.shapes()
    assert sum(map(prod, shapes.values())) == 22_056_576  # as its model cards state
    assert shapes["blocks.11.attn.qkv.weight"] == (1152, 384)
    assert shapes["pos_embed"] == (1, 1370, 384)


@torch.no_grad()
def test_a_block_is_a_transformer_layer(network: DinoV2, weights: dict[str, Tensor]) -> None:
    layer = nn.TransformerEncoderLayer(DIMS, 6, 4 * DIMS, 0.0, "gelu", 1e-6, batch_first=True, norm_first=True).eval()
    own = {name.removeprefix("blocks.3."): value for name, value in weights.items() if name.startswith("blocks.3.")}
    # The scales of the two branches go into the layers before them.
    first, second = own.pop("ls1.gamma"), own.pop("ls2.gamma")
    names = {"attn.qkv.weight": "self_attn.in_proj_weight", "attn.qkv.bias": "self_attn.in_proj_bias"}
    names |= {f"attn.proj.{part}": f"self_attn.out_proj.{part}" for part in ("weight", "bias")}
    names |= {f"mlp.fc{k}.{part}": f"linear{k}.{part}" for k in (1, 2) for part in ("weight", "bias")}
    for name, gain in (("attn.proj", first), ("mlp.fc2", second)):
        own[f"{name}.weight"], own[f"{name}.bias"] = own[f"{name}.weight"] * gain[:, None], own[f"{name}.bias"] * gain
    layer.load_state_dict({names.get(name, name): value for name, value in own.items()})
    x = torch.randn(2, 9, DIMS, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(network.block("blocks.3", x), layer(x), rtol=1e-4, atol=1e-5)


def cubic(values: list[float], place: float) -> float:
    """Cubic convolution (Keys 1981, eq. 4 with a = -3/4), the border repeated."""

    def weight(distance: float) -> float:
        t, a = abs(distance), -0.75
        if t <= 1:
            return (a + 2) * t**3 - (a + 3) * t**2 + 1
        return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a

    near = range(floor(place) - 1, floor(place) + 3)
    return sum(values[min(max(i, 0), len(values) - 1)] * weight(place - i) for i in near)


def test_places_are_resized_by_16_1_over_37(weights: dict[str, Tensor]) -> None:
    """Place i lies at (i + 1/2) * 37 / 16.1 - 1/2."""
    rows = torch.randn(37, generator=torch.Generator().manual_seed(3))
    places = torch.zeros(1370, DIMS)
    places[0] = 5
    places[1:, 0], places[1:, 1] = rows.repeat_interleave(37), rows.repeat(37)
    got = DinoV2({**weights, "pos_embed": places[None]}, "")._places[0]
    assert (got[0] == 5).all()
    square = got[1:].unflatten(0, (16, 16))
    expected = torch.tensor([cubic(rows.tolist(), (i + 0.5) * 37 / 16.1 - 0.5) for i in range(16)])
    torch.testing.assert_close(square[:, 4, 0], expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(square[7, :, 1], expected, rtol=1e-3, atol=1e-3)


def test_a_picture_has_the_same_features_in_any_batch(network: DinoV2) -> None:
    pictures = torch.randint(0, 256, (2, 4, 20, 30), dtype=torch.uint8, generator=torch.Generator().manual_seed(4))
    both = network(pictures)
    assert both.features.shape == (2, DIMS)
    assert both.logits is None
    torch.testing.assert_close(network(pictures[1:]).features, both.features[1:], rtol=1e-4, atol=1e-4)
    # The last normalisation is the last thing done: its bias moves the features, and nothing else.
    assert not torch.allclose(both.features[0], both.features[1])


def test_a_missing_weight_is_named(weights: dict[str, Tensor]) -> None:
    with pytest.raises(DataError, match=r"norm\.bias should be"):
        DinoV2({name: value for name, value in weights.items() if name != "norm.bias"}, "")
    with pytest.raises(DataError, match=r"dinov2_vits14_pretrain\.pth"):
        DinoV2.open()
