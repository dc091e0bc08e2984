"""What is said of InfoVAE: its corners, and its estimate of the divergence by a discriminator."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mezzotint.core.errors import ConfigError
from mezzotint.engine.draw import Draw
from mezzotint.engine.model import PictureSpec, build
from mezzotint.engine.phase import Turn

MLP = {"latent": 3, "network": "mlp", "hidden": (8,), "likelihood": "bernoulli"}


def made(name: str = "infovae", **settings: Any) -> Any:
    return build(name, {**MLP, **settings}, PictureSpec(1, 8, 8), seed=3)


def turn(pictures: Tensor, key: str = "test") -> Turn:
    return Turn(pictures, None, Draw(0, (key,)), 0)


def blacks(n: int = 6) -> Tensor:
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(1)).round() * 2 - 1


def test_with_alpha_0_and_lambda_1_it_is_the_vae() -> None:
    infovae, vae, x = made(alpha=0.0, lam=1.0), made("vae"), blacks()
    infovae.load_state_dict(vae.state_dict())
    with torch.no_grad():
        ours, theirs = infovae.loss(turn(x)), vae.loss(turn(x))
    assert set(ours) == {"reconstruction", "weighted_kl"}
    assert ours["weighted_kl"].item() == pytest.approx(theirs["kl"].item())
    assert ours["reconstruction"].item() == pytest.approx(theirs["reconstruction"].item(), rel=1e-5)


def test_with_alpha_1_nothing_is_paid_for_each_picture() -> None:
    terms = made(alpha=1.0, lam=7.0).loss(noted := turn(blacks(32)))
    assert set(terms) == {"reconstruction", "divergence"}
    assert terms["divergence"].item() == pytest.approx(7 * noted.notes["from_prior"].item(), rel=1e-5)


def test_weights_that_drive_latents_away_are_refused() -> None:
    with pytest.raises(ConfigError, match="alpha"):
        made(alpha=0.2, lam=0.3)


def test_the_discriminators_logit_becomes_the_kl_divergence_of_latents_from_the_prior() -> None:
    """An encoder that gives N(1, 1) in one unit: KL(N(1, 1) || N(0, 1)) = 1/2 nat, closed form."""
    model, x = made(divergence="adversarial", latent=1), blacks(512)
    with torch.no_grad():
        model.encoder.head.weight.zero_()
        model.encoder.head.bias.copy_(torch.tensor([1.0, 0.0]))
    adam = torch.optim.Adam(model.discriminator.parameters(), 1e-3)
    for step in range(400):
        adam.zero_grad()
        torch.stack(tuple(model.discriminator_loss(turn(x, str(step))).values())).sum().backward()
        adam.step()
    with torch.no_grad():
        found = [model.loss(noted := turn(x, f"end {k}")) and noted.notes["from_prior"].item() for k in range(20)]
    assert sum(found) / 20 == pytest.approx(0.5, abs=0.1)
