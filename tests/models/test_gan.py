"""What is said of the modern baseline: its sizes, its first weights, what it chooses by itself."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from mezzotint.core.errors import ConfigError
from mezzotint.data.points import MIXTURES
from mezzotint.engine.advice import choices
from mezzotint.engine.draw import Draw
from mezzotint.engine.model import MODELS, PictureSpec, build
from mezzotint.engine.phase import Turn
from mezzotint.models._modern import Block
from mezzotint.models.gan import GAN, GANConfig

SMALL = {"latent": 8, "width": 4, "discriminator_width": 4, "most": 2}


@pytest.mark.parametrize("patch", [1, 2])
@pytest.mark.parametrize("channels", [1, 4])
def test_sizes_from_8_to_256(channels: int, patch: int) -> None:
    for height, width in ((8, 8), (9, 8), (31, 33), (8, 256), (100, 27), (255, 256)):
        with torch.no_grad():
            model: Any = build("gan", {**SMALL, "patch": patch}, PictureSpec(channels, height, width))
            pictures = model.generator(torch.randn(2, 8))
            assert pictures.shape == (2, channels, height, width)
            assert model.discriminator(pictures).shape == (2,)


@pytest.mark.parametrize("size", [(7, 8), (8, 257)])
def test_other_sizes_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="8 to 256"):
        build("gan", SMALL, PictureSpec(1, *size))


@pytest.mark.parametrize(("block", "power"), [("plain", -1 / 2), ("grouped", -1 / 4)])
def test_the_first_blocks_keep_what_comes_in(block: str, power: float) -> None:
    """Fixup: a block of m layers begins as the identity; inner weights are He's times L^(-1 / (2m - 2))."""
    model: Any = build("gan", {"block": block, "blocks": 2, "discriminator_width": 32}, PictureSpec(3, 32, 32))
    blocks = [module for module in model.discriminator.modules() if isinstance(module, Block)]
    assert len(blocks) == 6
    for each in blocks:
        *inner, last = each.layers
        assert not last.weight.any()
        for layer in inner:
            std = math.sqrt(2 / 1.04 / layer.weight[0].numel()) * 6**power
            assert layer.weight.std().item() == pytest.approx(std, rel=0.1)
            assert not layer.bias.any()
    x = torch.randn(2, 64, 8, 8)
    assert torch.equal(blocks[2](x), x)
    with torch.no_grad():
        pictures = model.generator(torch.randn(64, 64))
        scores = model.discriminator(pictures)
    assert 0.2 < pictures.std() < 2
    assert 0.1 < scores.std() < 5


def test_no_network_normalises() -> None:
    """What it makes of a picture does not depend on the others of its batch."""
    model: Any = build("gan", SMALL, PictureSpec(1, 16, 16)).train()
    for parameter in model.parameters():
        parameter.data.add_(0.1)
    pictures = torch.randn(4, 1, 16, 16)
    torch.testing.assert_close(model.discriminator(pictures)[:1], model.discriminator(pictures[:1]))


def test_the_mean_at_an_odd_edge_is_of_the_pixels_there() -> None:
    """A flat picture gives flat features: no zeros come in from outside by halving."""
    model: Any = build("gan", {**SMALL, "patch": 1}, PictureSpec(1, 17, 9))
    seen = []
    model.discriminator.stages[-1].register_forward_hook(lambda module, inputs, output: seen.append(output))
    model.discriminator(torch.ones(1, 1, 17, 9))
    assert seen[0].flatten(2).std(2).max() < 1e-6


def chosen(pictures: int, side: int, device: str = "cpu", given: dict[str, Any] | None = None) -> dict[str, Any]:
    spec = PictureSpec(3, side, side)
    found = choices(MODELS.get("gan"), given or {}, pictures, spec, torch.device(device), None)
    assert all(str(each).endswith(".") and each.why for each in found)
    return {f"{each.section}.{each.name}": each.value for each in found}


def test_it_chooses_by_size_and_device() -> None:
    small, large = chosen(10_000, 32), chosen(10_000, 256)
    assert small["model.r1"] == small["model.r2"] < large["model.r1"]
    assert chosen(300, 32)["model.r1"] < small["model.r1"]
    assert small["train.batch_size"] > large["train.batch_size"]
    assert "model.width" not in small
    assert chosen(10_000, 32, "cuda")["model.width"] > GANConfig().width
    assert "model.augment" not in small


def test_what_a_person_gives_is_not_chosen() -> None:
    given = {"model": {"r1": 7.0}, "train": {"batch_size": 8}}
    assert not {"model.r1", "train.batch_size"} & chosen(10_000, 32, given=given).keys()
    assert "model.r2" in chosen(10_000, 32, given=given)


def test_a_model_that_chooses_nothing_cannot_be_asked_to() -> None:
    spec, cpu = PictureSpec(1, 8, 8), torch.device("cpu")
    assert choices(MODELS.get("vae"), {}, 9, spec, cpu, None) == ()
    assert choices(MODELS.get("gan"), {}, 9, spec, cpu, False) == ()
    with pytest.raises(ConfigError, match="leave --auto out"):
        choices(MODELS.get("vae"), {}, 9, spec, cpu, True)


def test_the_critic_of_points_sees_waves_beside_them() -> None:
    spec = PictureSpec(1, 1, 2)
    model: Any = build("gan", {"network": "mlp", "hidden": (8,), "waves": 3.0}, spec)
    critic = model.discriminator
    points = torch.rand(7, 1, 1, 2) * 2 - 1
    angles = points.flatten(1) @ critic.frequencies
    features = torch.cat((points.flatten(1), angles.sin(), angles.cos()), 1)
    expected = critic.last(torch.nn.functional.leaky_relu(critic.layers[0](features), 0.2)).flatten()
    torch.testing.assert_close(critic(points), expected)
    turns = critic.frequencies / (2 * math.pi)
    assert 2 < float(turns.std()) < 4
    assert "discriminator.frequencies" in model.state_dict(), "or a loaded model would see other waves"


def test_penalties_fall_by_the_same_factor_in_each_round() -> None:
    settings = {"network": "mlp", "hidden": (8,), "r1": 4.0, "r2": 0.0, "penalty_fall": 0.01, "penalty_rounds": 100}
    model: Any = build("gan", settings, PictureSpec(1, 1, 2))
    pictures = torch.rand(6, 1, 1, 2) * 2 - 1

    def weight(step: int) -> float:
        turn = Turn(pictures, None, Draw(0, ("test",), torch.device("cpu")), step, prepared=pictures.flip(0))
        return float(model.discriminator_loss(turn)["r1"].detach())

    first = weight(0)
    for step, share in ((50, 0.1), (100, 0.01), (1000, 0.01)):
        assert weight(step) == pytest.approx(first * share, rel=1e-4)


def test_it_chooses_other_settings_for_points() -> None:
    grid = MIXTURES["grid"].points
    chosen = choices(GAN, {}, 40_000, PictureSpec(1, 1, 2, meaning=grid), torch.device("cpu"), None)
    found = {choice.name: choice.value for choice in chosen}
    assert found["network"] == "mlp"
    assert found["waves"] > 0
    assert found["penalty_fall"] < 0.1
    rows = choices(GAN, {}, 40_000, PictureSpec(1, 1, 12), torch.device("cpu"), None)
    assert {choice.name for choice in rows}.isdisjoint({"waves", "penalty_fall"})
