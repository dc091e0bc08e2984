"""Inception-v3 of FID: its published sizes, its blocks against torch's own layers, and what may be read."""

from __future__ import annotations

import dataclasses
import hashlib
from math import floor, prod
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mezzotint.core.errors import DataError
from mezzotint.metrics.extractor import Weights
from mezzotint.metrics.extractors import inception
from mezzotint.metrics.extractors.inception import BLOCKS, Inception, resize_tf1


def random_weights() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for name, shape in inception.shapes().items():
        value = torch.randn(shape, generator=generator)
        if name.endswith(("running_var", "bn.weight")):
            value = 1 + 0.3 * torch.rand(shape, generator=generator)
        weights[name] = value * (2 / prod(shape[1:])) ** 0.5 if len(shape) > 1 else value
    return weights


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    return random_weights()


@pytest.fixture(scope="module")
def network(weights: dict[str, Tensor]) -> Inception:
    return Inception(weights, "0" * 64)


def test_the_sizes_are_the_published_ones() -> None:
    shapes = inception.shapes()
    learned = sum(prod(shape) for name, shape in shapes.items() if "running" not in name)
    # torchvision publishes 27,161,264 for Inception-v3 with its side branch and 1,000 classes. The branch is two
    # convolutions (768 to 128, 1 x 1, and 128 to 768, 5 x 5) and a layer of 768 to 1,000.
    branch = (768 * 128 + 2 * 128) + (128 * 768 * 25 + 2 * 768) + (768 * 1000 + 1000)
    assert learned == 27_161_264 - branch + 8 * (2048 + 1)
    assert sum(name.endswith(".conv.weight") for name in shapes) == 94
    assert shapes["Mixed_5b.branch_pool.conv.weight"] == (32, 192, 1, 1)
    assert shapes["Mixed_6b.branch7x7dbl_2.conv.weight"] == (128, 128, 7, 1)
    assert shapes["Mixed_7a.branch7x7x3_4.conv.weight"] == (192, 192, 3, 3)
    assert shapes["Mixed_7b.branch3x3dbl_1.conv.weight"] == (448, 1280, 1, 1)
    assert shapes["Mixed_7c.branch3x3_2a.conv.weight"] == (384, 384, 1, 3)


def test_maps_have_the_sizes_of_the_paper(network: Inception) -> None:
    sizes = {"Mixed_5d": (288, 35), "Mixed_6a": (768, 17), "Mixed_6e": (768, 17), "Mixed_7a": (1280, 8)}
    x = torch.zeros(1, 192, 35, 35)
    for name, branches in BLOCKS.items():
        x = network.block(name, branches, x)
        if name in sizes:
            channels, side = sizes[name]
            assert x.shape == (1, channels, side, side)
    assert x.shape == (1, 2048, 8, 8)
    assert network.pooled(torch.zeros(1, 3, 299, 299)).shape == (1, 2048)


def layers(weights: dict[str, Tensor], name: str, padding: tuple[int, int]) -> nn.Module:
    kernel = weights[f"{name}.conv.weight"]
    conv = nn.Conv2d(kernel.shape[1], kernel.shape[0], tuple(kernel.shape[2:]), padding=padding, bias=False)
    norm = nn.BatchNorm2d(kernel.shape[0], eps=0.001)
    conv.load_state_dict({"weight": kernel})
    parts = ("weight", "bias", "running_mean", "running_var")
    norm.load_state_dict({part: weights[f"{name}.bn.{part}"] for part in parts}, strict=False)
    return nn.Sequential(conv, norm, nn.ReLU()).eval()


def windows(x: Tensor) -> tuple[Tensor, Tensor]:
    """All 3 x 3 neighbourhoods [N, C, 9, H, W], with which of them lie inside."""
    ones = torch.ones_like(x)
    cut = [nn.functional.unfold(each, 3, padding=1).unflatten(1, (x.shape[1], 9)) for each in (x, ones)]
    return cut[0].unflatten(3, x.shape[2:]), cut[1].unflatten(3, x.shape[2:]) > 0


@torch.no_grad()
def test_mean_pools_leave_out_the_padding(network: Inception, weights: dict[str, Tensor]) -> None:
    x = torch.rand(2, 192, 6, 5, generator=torch.Generator().manual_seed(1)) + 1
    near, inside = windows(x)
    pooled = (near * inside).sum(2) / inside.sum(2)
    chain = {name: layers(weights, f"Mixed_5b.{name}", pads) for name, pads in (("branch_pool", (0, 0)),)}
    chain |= {f"branch3x3dbl_{k}": layers(weights, f"Mixed_5b.branch3x3dbl_{k}", (int(k > 1),) * 2) for k in (1, 2, 3)}
    double = x
    for k in (1, 2, 3):
        double = chain[f"branch3x3dbl_{k}"](double)
    got = network.block("Mixed_5b", BLOCKS["Mixed_5b"], x)
    torch.testing.assert_close(got[:, 64 + 64 : 64 + 64 + 96], double, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(got[:, -32:], chain["branch_pool"](pooled), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_the_last_block_pools_by_maximum(network: Inception, weights: dict[str, Tensor]) -> None:
    x = torch.randn(1, 2048, 3, 4, generator=torch.Generator().manual_seed(2))
    near, inside = windows(x)
    pooled = near.masked_fill(~inside, -torch.inf).amax(2)
    expected = layers(weights, "Mixed_7c.branch_pool", (0, 0))(pooled)
    got = network.block("Mixed_7c", BLOCKS["Mixed_7c"], x)
    torch.testing.assert_close(got[:, -192:], expected, rtol=1e-4, atol=1e-4)
    first = layers(weights, "Mixed_7c.branch3x3_1", (0, 0))(x)
    sides = [layers(weights, f"Mixed_7c.branch3x3_2{k}", p)(first) for k, p in (("a", (0, 1)), ("b", (1, 0)))]
    torch.testing.assert_close(got[:, 320 : 320 + 768], torch.cat(sides, 1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("height", "width", "side"), [(3, 5, 7), (9, 4, 6), (1, 1, 3), (8, 8, 8)])
def test_resize_by_its_definition(height: int, width: int, side: int) -> None:
    picture = torch.randint(0, 256, (1, 1, height, width), generator=torch.Generator().manual_seed(3)).double()

    def at(values: list[float], place: float) -> float:
        low = floor(place)
        return values[low] + (values[min(low + 1, len(values) - 1)] - values[low]) * (place - low)

    rows = [[at(row, i * width / side) for i in range(side)] for row in picture[0, 0].tolist()]
    columns = [[at(list(column), i * height / side) for i in range(side)] for column in zip(*rows, strict=True)]
    expected = torch.tensor(columns).T
    torch.testing.assert_close(resize_tf1(picture, side)[0, 0], expected, rtol=1e-5, atol=1e-3)


def test_a_picture_has_the_same_features_in_any_batch(network: Inception, weights: dict[str, Tensor]) -> None:
    pictures = torch.randint(0, 256, (2, 1, 20, 30), dtype=torch.uint8, generator=torch.Generator().manual_seed(4))
    both = network(pictures)
    single = network(pictures[1:])
    torch.testing.assert_close(single.features, both.features[1:], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(both.logits, both.features @ weights["fc.weight"].T, rtol=1e-4, atol=1e-3)


def test_no_file_and_another_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"needs its file of weights, pt_inception-2015-12-05-6726825d\.pth"):
        Inception.open()
    with pytest.raises(DataError, match="There is no file"):
        Inception.open(tmp_path / "absent.pth")
    (tmp_path / "other.pth").write_bytes(b"other")
    with pytest.raises(DataError, match="its SHA-256 differs"):
        Inception.open(tmp_path / "other.pth")


class Trap:
    """Unpickling it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.mkdir, (self.path,)  # type: ignore[return-value]


@pytest.mark.parametrize("kind", ["code", "bytes", "a list"])
def test_a_file_that_is_no_tensors_runs_nothing(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights.pth"
    if kind == "bytes":
        path.write_bytes(b"not a file of torch")
    else:
        torch.save(Trap(tmp_path / "trapped") if kind == "code" else [torch.zeros(1)], path)
    assert isinstance(Inception.weights, Weights)
    known = dataclasses.replace(Inception.weights, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr(Inception, "weights", known)
    with pytest.raises(DataError, match="name another file"):
        Inception.open(path)
    assert not (tmp_path / "trapped").exists()


def test_weights_of_another_network_are_named(weights: dict[str, Tensor]) -> None:
    fewer = {name: value for name, value in weights.items() if name != "fc.bias"}
    with pytest.raises(DataError, match=r"fc.bias should be \(1008,\) and is absent"):
        Inception(fewer, "")
    counted = {**weights, "Conv2d_1a_3x3.bn.num_batches_tracked": torch.tensor(0)}
    assert Inception(counted, "").dims == 2048  # converted files have it or not
