"""The games' losses: against their formulas with probabilities, their optima, and PyTorch's own losses."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from mezzotint.nn.games import GAMES

REAL, FAKE = torch.tensor([1.5, -0.3, 0.2]).double(), torch.tensor([-2.0, 0.7, 0.1]).double()


def test_non_saturating_is_cross_entropy() -> None:
    terms = GAMES["non_saturating"].discriminator(REAL, FAKE, 0.0)
    assert terms["real"] == pytest.approx(F.binary_cross_entropy(REAL.sigmoid(), torch.ones(3).double()).item())
    assert terms["fake"] == pytest.approx(F.binary_cross_entropy(FAKE.sigmoid(), torch.zeros(3).double()).item())
    smooth = GAMES["non_saturating"].discriminator(REAL, FAKE, 0.1)
    assert smooth["real"] == pytest.approx(
        F.binary_cross_entropy(REAL.sigmoid(), torch.full((3,), 0.9).double()).item()
    )
    assert smooth["fake"] == terms["fake"], "one-sided"


@pytest.mark.parametrize(
    ("name", "discriminator", "generator"),
    [
        ("hinge", lambda r, f: max(0, 1 - r) + max(0, 1 + f), lambda r, f: -f),
        ("least_squares", lambda r, f: ((r - 1) ** 2 + f**2) / 2, lambda r, f: (f - 1) ** 2 / 2),
        ("wasserstein", lambda r, f: f - r, lambda r, f: -f),
        ("relativistic", lambda r, f: -math.log(1 / (1 + math.exp(f - r))), lambda r, f: math.log1p(math.exp(r - f))),
    ],
)
def test_the_formulas(name, discriminator, generator) -> None:
    game, pairs = GAMES[name], list(zip(REAL.tolist(), FAKE.tolist(), strict=True))
    want = sum(discriminator(r, f) for r, f in pairs) / 3
    assert float(sum(game.discriminator(REAL, FAKE, 0.0).values())) == pytest.approx(want)
    want = sum(generator(r, f) for r, f in pairs) / 3
    assert float(sum(game.generator(FAKE, REAL).values())) == pytest.approx(want)


@pytest.mark.parametrize("name", GAMES)
def test_players_want_what_they_should(name: str) -> None:
    """The discriminator lifts real and lowers generated scores, the generator lifts generated ones."""
    game = GAMES[name]
    real, fake = torch.zeros(4, requires_grad=True), torch.zeros(4, requires_grad=True)
    up, down = torch.autograd.grad(sum(game.discriminator(real, fake, 0.0).values()), (real, fake))
    assert (up < 0).all()
    assert (down >= 0).all()
    assert name == "least_squares" or (down > 0).all()
    (lift,) = torch.autograd.grad(sum(game.generator(fake, real).values()), fake)
    assert (lift < 0).all()


def test_the_best_score_is_the_log_odds() -> None:
    """Goodfellow et al. (2014), proposition 1: D* = p / (p + q), so at the logit log p / q the loss is flat."""
    p, q = torch.tensor([0.5, 0.3, 0.2]).double(), torch.tensor([0.1, 0.3, 0.6]).double()
    scores = (p / q).log().requires_grad_()
    one = GAMES["non_saturating"].discriminator
    terms = [one(score, score, 0.0) for score in scores.split(1)]
    loss = sum(p[k] * term["real"] + q[k] * term["fake"] for k, term in enumerate(terms))
    assert torch.allclose(torch.autograd.grad(loss, scores)[0], torch.zeros(3).double(), atol=1e-12)
