"""The embedded extractor: what it is made of, that folding changes nothing, and that its distances follow damage."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from safetensors.torch import load_file, save_file

from mezzotint.core.errors import DataError
from mezzotint.data.shapes import render, sample_factors
from mezzotint.metrics.extractors import embedded
from mezzotint.metrics.extractors.embedded import LAYERS, Embedded
from mezzotint.metrics.frechet import frechet_distance

ROOT = Path(__file__).parents[2]
FILE = Path(embedded.__file__).with_name("mezzotint-1.safetensors")


@pytest.fixture(scope="module")
def extractor() -> Embedded:
    return Embedded.open()


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The training script as a module."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    spec = importlib.util.spec_from_file_location("train_extractor", ROOT / "scripts" / "train_extractor.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "train_extractor", module)
    spec.loader.exec_module(module)
    return module


def test_the_record_beside_the_weights_is_of_these_weights(extractor: Embedded) -> None:
    record = json.loads(FILE.with_suffix(".json").read_text(encoding="utf-8"))
    content = FILE.read_bytes()
    assert record["sha256"] == hashlib.sha256(content).hexdigest() == extractor.digest
    assert record["bytes"] == len(content) < 4e6
    assert (ROOT / record["script"]).is_file()
    assert len(record["classes"]) == load_file(FILE)["classes.bias"].shape[0]
    assert all(part["licence"] for part in record["data"])
    # Sets that may be used but not shipped had no part in it.
    names = " ".join(part["name"] for part in record["data"]).lower()
    assert not any(
        word in names.replace("fashion-mnist", "").replace("pneumoniamnist", "") for word in ("mnist", "cifar")
    )


def test_it_is_small_enough_for_a_laptop() -> None:
    side, multiplications = 32, 0
    for layer in LAYERS:
        side //= layer.stride
        multiplications += side**2 * 9 * layer.inputs * layer.outputs
    assert 2 * multiplications < 40e6


@torch.no_grad()
def test_folding_the_normalisation_changes_nothing(script: ModuleType) -> None:
    torch.manual_seed(0)
    network = script.Network(classes=7)
    for norm in (*network.norms.values(), network.scale):
        norm.running_mean.normal_(0, 0.2)
        norm.running_var.uniform_(0.5, 2)
        if norm.affine:
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.normal_(0, 0.2)
    network.eval()
    pictures = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)
    features = network(pictures.float() / 127.5 - 1)
    got = Embedded(network.folded(), "")(pictures)
    torch.testing.assert_close(got.features, features, rtol=1e-4, atol=1e-4)
    assert got.logits is not None
    torch.testing.assert_close(got.logits, network.classes(features), rtol=1e-4, atol=1e-4)
    assert [tuple(x.shape[1:]) for x in got.maps] == [(16, 32, 32), (32, 16, 16), (64, 8, 8), (128, 4, 4)]


def test_damage_of_training_keeps_what_is_not_damaged(script: ModuleType) -> None:
    """At severity 0 nothing much happens, and more severity is more change, for every kind."""
    damage = sys.modules["_extractor_damage"]
    x = torch.from_numpy(render(sample_factors(40, 3))).permute(0, 3, 1, 2).float() / 255
    for kind in damage.KINDS:
        changes = []
        for severity in (0.0, 0.3, 1.0):
            made = damage.apply(kind, x, torch.full((40,), severity), seed=1)
            assert made.shape == x.shape
            assert made.min() >= 0
            assert made.max() <= 1
            changes.append(float((made - x).abs().mean()))
        assert changes[0] < changes[1] < changes[2], kind


def test_grey_is_colour_without_colour(extractor: Embedded) -> None:
    grey = torch.randint(0, 256, (3, 1, 20, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    one, three = extractor(grey), extractor(grey.expand(-1, 3, -1, -1).contiguous())
    assert torch.equal(one.features, three.features)
    see_through = torch.cat([grey, torch.zeros_like(grey)], 1)
    white = extractor(torch.full_like(grey, 255))
    torch.testing.assert_close(extractor(see_through).features, white.features)


def test_larger_pictures_are_averaged(extractor: Embedded) -> None:
    """Stripes that are far too fine to be seen at 32 pixels look grey: the resize is antialiased."""
    stripes = (torch.arange(256) % 2 * 255).to(torch.uint8).expand(1, 1, 256, 256)
    grey = torch.full((1, 1, 32, 32), 127, dtype=torch.uint8)
    other = torch.full((1, 1, 32, 32), 255, dtype=torch.uint8)
    features = [extractor(x).features for x in (stripes, grey, other)]
    assert (features[0] - features[1]).norm() < 0.2 * (features[2] - features[1]).norm()


def blurred(pictures: torch.Tensor, radius: float) -> torch.Tensor:
    images = [Image.fromarray(x).filter(ImageFilter.GaussianBlur(radius)) for x in pictures.permute(0, 2, 3, 1).numpy()]
    return torch.from_numpy(np.stack([np.asarray(image) for image in images])).permute(0, 3, 1, 2)


def test_distances_grow_with_damage(extractor: Embedded) -> None:
    pictures = torch.from_numpy(render(sample_factors(600, 77))).permute(0, 3, 1, 2)
    real, whole = extractor(pictures[:300]).features, pictures[300:]
    grain = torch.randn(whole.shape, generator=torch.Generator().manual_seed(1))
    rows = {
        "blur": [blurred(whole, radius) for radius in (0.5, 1, 2)],
        "noise": [(whole + sigma * grain).clamp(0, 255).byte() for sigma in (8, 25, 60)],
        "memorising": [whole[torch.arange(300) % k] for k in (100, 30, 8)],
    }
    for name, sets in rows.items():
        values = [frechet_distance(real, extractor(x).features, interval=False).value for x in (whole, *sets)]
        assert values == sorted(values), (name, values)
        assert values[-1] > 2 * values[0], (name, values)


def test_files_that_are_not_the_weights(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is missing"):
        Embedded.open(tmp_path / "absent.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"no header here")
    with pytest.raises(DataError, match="cannot be read as safetensors"):
        Embedded.open(tmp_path / "broken.safetensors")
    weights = load_file(FILE)
    save_file({**weights, "conv3.bias": torch.zeros(5)}, tmp_path / "other.safetensors")
    with pytest.raises(DataError, match=r"conv3\.bias is wrong"):
        Embedded.open(tmp_path / "other.safetensors")


def test_damaged_weights_of_the_package_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray(FILE.read_bytes())
    content[-1] ^= 1
    (tmp_path / "flipped.safetensors").write_bytes(content)
    monkeypatch.setattr(embedded, "_FILE", tmp_path / "flipped.safetensors")
    with pytest.raises(DataError, match="is damaged"):
        Embedded.open()
