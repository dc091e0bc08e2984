"""StarGAN's losses by their definition, unknown attributes, and what it is asked for."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from mezzotint.core.errors import ConfigError
from mezzotint.engine.draw import Draw
from mezzotint.engine.model import PictureSpec, build
from mezzotint.engine.phase import Turn
from mezzotint.tasks.translate import translate, wanted_attributes

TINY = {"width": 4, "critic_width": 4, "blocks": 1}
CLASSES = PictureSpec(3, 16, 16, classes=("a", "b", "c"))
ATTRIBUTES = PictureSpec(3, 16, 16, attributes=("smile", "hat"))


def turn(model: Any, labels: torch.Tensor | None = None, targets: torch.Tensor | None = None) -> Turn:
    x = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    given = Turn(x, labels, Draw(0, ("test",)), 0, targets=targets)
    given.prepared = model.translated(given)
    return given


def test_the_losses_are_those_of_the_paper() -> None:
    model: Any = build("stargan", {**TINY, "gradient_penalty": 0.0}, CLASSES, seed=1)
    labels = torch.tensor([0, 1, 2, 0])
    given = turn(model, labels)
    x, own, wanted, fake = given.prepared
    assert sorted(wanted.argmax(1).tolist()) == sorted(labels.tolist()), "what others of the batch are"
    with torch.no_grad():
        score, logits = model.discriminator(x)
        critic = -score.mean() + model.discriminator(fake)[0].mean() + F.cross_entropy(logits, labels)
        torch.testing.assert_close(sum(model.discriminator_loss(given).values()), critic)
        score, logits = model.discriminator(fake)
        back = (model.changed(fake, own) - x).abs().mean()
        generator = -score.mean() + F.cross_entropy(logits, wanted.argmax(1)) + 10 * back
        torch.testing.assert_close(sum(model.generator_loss(given).values()), generator)


def test_an_unknown_attribute_counts_for_nothing() -> None:
    model: Any = build("stargan", TINY, ATTRIBUTES, seed=1)
    targets = torch.tensor([[1.0, 0.0], [math.nan, 1.0], [0.0, math.nan], [1.0, 1.0]])
    given = turn(model, targets=targets)
    _, own, wanted, _ = given.prepared
    assert bool(own.isnan().any())
    assert set(wanted.flatten().tolist()) <= {0.0, 1.0}
    for loss in (model.discriminator_loss(given), model.generator_loss(given)):
        assert all(bool(torch.isfinite(value)) for value in loss.values())
    logits = torch.randn(4, 2)
    rows, columns = [0, 0, 1, 2, 3, 3], [0, 1, 1, 0, 0, 1]
    known = F.binary_cross_entropy_with_logits(logits[rows, columns], targets[rows, columns], reduction="sum")
    torch.testing.assert_close(model.told(logits, targets), known / 4)


def test_the_generator_sees_what_it_is_asked_for() -> None:
    """An instance normalisation in the first layer would take maps of one value away."""
    model: Any = build("stargan", TINY, CLASSES, seed=0).eval()
    x = torch.rand(1, 3, 16, 16)
    made = [model.translate(x, torch.eye(3)[[k]]) for k in range(3)]
    assert (made[0] - made[1]).abs().max() > 1e-3
    assert (made[1] - made[2]).abs().max() > 1e-3
    assert model.read(torch.rand(2, 3, 40, 24)).sum(1).tolist() == pytest.approx([1, 1])


def test_attributes_that_are_not_asked_for_stay(tmp_path: Path) -> None:
    model: Any = build("stargan", TINY, ATTRIBUTES, seed=0).eval()
    seen = []
    model.read = lambda x: torch.tensor([[0.9, 0.1]])
    model.translate = lambda x, to: seen.append(to.tolist()) or x
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    translate(model, tmp_path / "a.png", tmp_path / "out", to="hat=1")
    assert seen == [[[1.0, 1.0]]]
    for to, says in (("hta=1", 'no attribute "hta"'), ("hat=2", "1 or 0")):
        with pytest.raises(ConfigError, match=says):
            wanted_attributes(("smile", "hat"), to)


def test_without_domains_it_is_said() -> None:
    with pytest.raises(ConfigError, match="have none"):
        build("stargan", TINY, PictureSpec(3, 16, 16))
