"""CycleGAN's losses by their definition, its two domains, and a translation that must be found."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mezzotint.core.errors import ConfigError
from mezzotint.data.types import PictureSet
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.draw import Draw
from mezzotint.engine.loop import Trainer
from mezzotint.engine.model import PictureSpec, build
from mezzotint.engine.phase import Turn
from mezzotint.testing._make import make_pictures

SPEC = PictureSpec(3, 16, 16, classes=("a", "b"))
TINY = {"width": 4, "critic_width": 4, "blocks": 1, "critic_layers": 1}


def turn(model: Any, pictures: torch.Tensor) -> Turn:
    given = Turn(pictures, torch.tensor([0, 1] * (len(pictures) // 2)), Draw(0, ("test",)), 0)
    given.prepared = model.translated(given)
    return given


def test_the_losses_are_those_of_the_paper() -> None:
    model: Any = build("cyclegan", {**TINY, "history": 0}, SPEC, seed=1)
    x = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    a, b = x[0::2], x[1::2]
    with torch.no_grad():
        terms = model.generators_loss(turn(model, x))
        fake_b, fake_a = model.to_b(a), model.to_a(b)
        game = (model.critic_b(fake_b) - 1).square().mean() + (model.critic_a(fake_a) - 1).square().mean()
        cycle = (model.to_a(fake_b) - a).abs().mean() + (model.to_b(fake_a) - b).abs().mean()
        identity = (model.to_b(b) - b).abs().mean() + (model.to_a(a) - a).abs().mean()
        torch.testing.assert_close(sum(terms.values()), game + 10 * cycle + 5 * identity)
        critics = sum(model.discriminators_loss(turn(model, x)).values())
        wanted = sum(
            0.5 * ((critic(real) - 1).square().mean() + critic(fake).square().mean())
            for critic, real, fake in ((model.critic_a, a, fake_a), (model.critic_b, b, fake_b))
        )
        torch.testing.assert_close(critics, wanted)


def test_discriminators_teach_generators_nothing_in_their_own_turn() -> None:
    model: Any = build("cyclegan", TINY, SPEC, seed=1)
    sum(model.discriminators_loss(turn(model, torch.randn(4, 3, 16, 16))).values()).backward()
    assert all(p.grad is None for p in model.to_b.parameters())
    assert all(p.grad is not None for p in model.critic_b.parameters())


def test_each_picture_goes_to_the_domain_that_is_asked_for() -> None:
    model: Any = build("cyclegan", TINY, SPEC).eval()
    model.to_b.forward = lambda x: torch.ones_like(x)
    model.to_a.forward = lambda x: -torch.ones_like(x)
    made = model.translate(torch.zeros(3, 3, 20, 9), torch.eye(2)[[1, 0, 1]])
    assert made.mean((1, 2, 3)).tolist() == [1, -1, 1]
    assert model.domains() == ("a", "b")


def test_parts_are_cut_anew_and_lie_within() -> None:
    model: Any = build("cyclegan", {**TINY, "crop": 8}, PictureSpec(1, 16, 20, classes=("a", "b")))
    places = torch.arange(320.0).view(1, 1, 16, 20).expand(64, -1, -1, -1)
    seen = model.seen(Turn(places, None, Draw(0, ("test",)), 0))
    assert seen.shape == (64, 1, 8, 8)
    corners = seen[:, 0, 0, 0].long()
    assert {int(c) // 20 for c in corners} == set(range(9))
    assert {int(c) % 20 for c in corners} == set(range(13))
    assert bool((seen[:, 0, 1, 0] == corners + 20).all())


@pytest.mark.parametrize(
    ("spec", "settings", "says"),
    [
        (PictureSpec(3, 16, 16), {}, "no classes"),
        (PictureSpec(3, 16, 16, classes=("a", "b", "c")), {}, "3 classes"),
        (PictureSpec(3, 6, 16, classes=("a", "b")), {}, "at least 8 pixels"),
        (SPEC, {"crop": 20}, "larger than pictures"),
        (SPEC, {"keep": "contrast", "generator": "unet"}, "model.generator=resnet"),
    ],
)
def test_what_cannot_be_is_said(spec: PictureSpec, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build("cyclegan", settings, spec)


def test_domains_of_any_sizes_train(tmp_path: Any) -> None:
    """One picture in a domain, seven in the other."""
    whole = make_pictures(1, 8, 8, count=16)
    assert whole.labels is not None
    first = int((whole.labels == 0).nonzero()[0][0])
    rows = [first, *(whole.labels == 1).nonzero()[0][:7].tolist()]
    few = PictureSet(
        whole.pictures[rows], whole.labels[rows], whole.classes, tuple(map(str, rows)),
        {"train": torch.arange(8).numpy(), "validation": torch.arange(0).numpy(), "test": torch.arange(0).numpy()},
        "few", "",
    )  # fmt: skip
    model = build("cyclegan", {**TINY}, PictureSpec.of(few))
    trainer = Trainer(model, few, TrainConfig(steps=3, batch_size=4, precision="fp32"), torch.device("cpu"))
    trainer.run()
    assert all(bool(torch.isfinite(value)) for value in trainer.losses.values())


def test_parts_of_a_batch_that_would_lack_a_domain_are_refused() -> None:
    pictures = make_pictures(1, 8, 8)
    model = build("cyclegan", TINY, PictureSpec.of(pictures))
    with pytest.raises(ConfigError, match="use --batch-size 4"):
        Trainer(model, pictures, TrainConfig(steps=1, batch_size=2, accumulate=2), torch.device("cpu"))
