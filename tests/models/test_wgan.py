"""What is said of the Wasserstein models: clipping, turns, the estimate of the distance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from mezzotint.core.errors import ConfigError
from mezzotint.engine.draw import Draw
from mezzotint.engine.model import MODELS, PictureSpec, build
from mezzotint.engine.phase import Turn
from mezzotint.nn.penalties import gradient_penalty
from mezzotint.testing._make import make_pictures, make_trainer

SMALL = {"latent": 8, "width": 4, "discriminator_width": 4}


def test_weights_are_clipped_after_each_of_the_critics_turns() -> None:
    trainer = make_trainer(MODELS.get("wgan"), make_pictures(), steps=2)
    trainer.run()
    model: Any = trainer.model
    largest = [p.detach().abs().max().item() for p in model.discriminator.parameters()]
    assert max(largest) == pytest.approx(model.config.clip)
    assert max(p.detach().abs().max().item() for p in model.generator.parameters()) > model.config.clip


def test_the_critic_takes_its_turns_on_fresh_pictures() -> None:
    trainer = make_trainer(MODELS.get("wgan_gp"), make_pictures(), steps=3)
    trainer.run()
    turns = trainer.model.config.turns
    assert turns > 1
    assert trainer.examples == 3 * turns * trainer.config.batch_size, "the generator shares the critic's last batch"


def test_the_estimate_is_the_loss_without_the_penalty() -> None:
    model: Any = build("wgan_gp", {**SMALL, "gradient_penalty": 10.0}, PictureSpec(1, 8, 8))
    turn = Turn(torch.rand(6, 1, 8, 8) * 2 - 1, None, Draw(0, ("test",)), 0)
    turn.prepared = model.fakes(turn)
    terms = model.discriminator_loss(turn)
    assert set(terms) == {"real", "fake", "gradient_penalty"}
    gap = model.critic(turn.pictures).mean() - model.critic(turn.prepared.detach()).mean()
    assert turn.notes["gap"].item() == pytest.approx(gap.item(), abs=1e-6)
    assert -(terms["real"] + terms["fake"]).item() == pytest.approx(gap.item(), abs=1e-6)


def test_the_estimate_tracks_the_earth_movers_distance() -> None:
    """Two clouds of 64 points, the exact distance W by an optimal assignment, and a critic trained with the penalty.

    A slope s costs lambda (s - 1)^2 and brings s W; so the best one is 1 + W / (2 lambda), and the critic gives a
    little more than W.
    """
    rng = np.random.default_rng(0)
    found, exact = [], []
    for shift in (0.5, 1.0, 2.0):
        a, b = rng.normal(size=(64, 2)), rng.normal(size=(64, 2)) * [1.0, 0.5] + [shift, 0.0]
        cost = np.linalg.norm(a[:, None] - b[None], axis=-1)
        exact.append(float(cost[linear_sum_assignment(cost)].mean()))
        found.append(_estimate(torch.tensor(a).float(), torch.tensor(b).float()))
    assert found == pytest.approx([w + w * w / 20 for w in exact], rel=0.1)
    assert found == sorted(found)


def _estimate(real: torch.Tensor, fake: torch.Tensor) -> float:
    torch.manual_seed(0)
    critic = torch.nn.Sequential(
        torch.nn.Linear(2, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1)
    )

    def score(x: torch.Tensor) -> torch.Tensor:
        return critic(x.flatten(1)).flatten()

    optimizer = torch.optim.Adam(critic.parameters(), 2e-3, (0.0, 0.9))
    real, fake = real.view(-1, 1, 1, 2), fake.view(-1, 1, 1, 2)
    for _ in range(1500):
        loss = score(fake).mean() - score(real).mean()
        loss = loss + 10 * gradient_penalty(score, real, fake, torch.rand(len(real), 1, 1, 1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float((score(real).mean() - score(fake).mean()).detach())


@pytest.mark.parametrize("size", [(8, 8), (9, 14), (31, 33), (64, 64)])
@pytest.mark.parametrize("channels", [1, 3])
def test_residual_networks_of_any_size(size: tuple[int, int], channels: int) -> None:
    with torch.no_grad():
        model: Any = build("wgan_gp", {**SMALL, "network": "residual"}, PictureSpec(channels, *size))
        pictures = model.generator(torch.randn(2, 8))
        assert pictures.shape == (2, channels, *size)
        assert model.discriminator(pictures).shape == (2,)


def test_the_residual_networks_are_the_papers_for_cifar() -> None:
    """Appendix C: three up blocks of 128, two down and two plain blocks of 128; 1.2 and 1.0 million weights."""
    settings = {"network": "residual", "latent": 128, "width": 128, "discriminator_width": 128, "most": 1}
    model: Any = build("wgan_gp", settings, PictureSpec(3, 32, 32))
    assert len(model.generator.blocks) == 3
    assert sum(p.numel() for p in model.generator.parameters()) == pytest.approx(1.2e6, rel=0.1)
    assert sum(p.numel() for p in model.discriminator.parameters()) == pytest.approx(1.05e6, rel=0.1)


def test_each_picture_has_its_own_score() -> None:
    """A penalty on single pictures wants a critic that sees them singly, also while it trains."""
    for network in ("conv", "residual"):
        model: Any = build("wgan_gp", {**SMALL, "network": network}, PictureSpec(1, 8, 8)).train()
        x = torch.rand(6, 1, 8, 8) * 2 - 1
        assert torch.allclose(model.discriminator(x)[:2], model.discriminator(x[:2]), atol=1e-6)


@pytest.mark.parametrize("network", ["residual", "mlp"])
def test_settings_of_the_convolutional_network_alone_are_refused(network: str) -> None:
    with pytest.raises(ConfigError, match="network=conv"):
        build("wgan_gp", {"network": network, "dense": 16}, PictureSpec(1, 8, 8))
