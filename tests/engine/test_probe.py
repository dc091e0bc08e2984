"""What is measured while training, against other libraries and closed forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist, pdist
from sklearn.linear_model import LogisticRegression

from mezzotint.engine.model import MODELS
from mezzotint.engine.probe import Probe, active_units, energy, mean_distance, shrunk, told_apart
from mezzotint.testing._make import make_pictures, make_trainer


def test_mean_distances_are_scipys() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 5)), rng.normal(size=(20, 5))
    assert mean_distance(x) == pytest.approx(pdist(x).mean(), rel=1e-12)
    assert mean_distance(x, y) == pytest.approx(cdist(x, y).mean(), rel=1e-12)


def test_energy_of_normal_distributions() -> None:
    """E|X - Y| of N(0, s^2) and N(0, t^2) is sqrt(2 (s^2 + t^2) / pi)."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2000, 1)), 3 * rng.normal(size=(2000, 1))
    across, one, other = (math.sqrt(2 * v / math.pi) for v in (10, 2, 18))
    expected = (2 * across - one - other) / (2 * across)
    assert energy(mean_distance(x, y), mean_distance(x), mean_distance(y)) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("shift", [0.0, 1.0, 6.0])
def test_calibration_is_logistic_regression(shift: float) -> None:
    """Scikit-learn fits hard targets, Platt's are a little softer; with 4,000 pictures it makes no difference."""
    rng = np.random.default_rng(0)
    real, fake = (rng.normal(size=4000) * 2 + 5 + 2 * side * shift for side in (0.5, -0.5))
    accuracy, probability = told_apart(real, fake)
    logits, truth = np.concatenate([real, fake])[:, None], np.repeat([1, 0], 4000)
    fit = LogisticRegression(C=1e6).fit(logits, truth)
    if fit.coef_[0, 0] > 0:
        right = fit.predict_proba(logits)[np.arange(8000), truth]
        assert accuracy == pytest.approx(float((right > 0.5).mean()), abs=2e-3)
        assert probability == pytest.approx(float(right.mean()), abs=2e-3)
    assert (accuracy > 0.99) == (shift == 6.0)


def test_a_discriminator_that_is_fooled_knows_nothing() -> None:
    assert told_apart(np.array([0.1, 0.2, 0.3]), np.array([0.8, 0.9, 0.7])) == (0.5, 0.5)
    assert told_apart(np.full(4, 0.7), np.full(4, 0.7)) == (0.5, 0.5)
    sure = told_apart(np.full(100, 16.0), np.full(100, -16.0))
    assert sure[0] == 1.0
    assert 0.98 < sure[1] < 1.0


def test_active_units_of_known_variance() -> None:
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(5000, 4)) * np.sqrt([1.0, 0.02, 0.005, 0.0])
    assert active_units(latents, rng.normal(size=(5000, 4))) == 2


def test_small_pictures_keep_their_shape_and_large_ones_their_means() -> None:
    small, large = torch.rand(2, 1, 8, 12), torch.rand(2, 3, 64, 32)
    assert np.array_equal(shrunk(small), small.flatten(1).double().numpy())
    expected = large.double().unflatten(2, (16, 4)).unflatten(4, (8, 4)).mean((3, 5))
    assert shrunk(large) == pytest.approx(expected.flatten(1).numpy(), abs=1e-6)


class _Perfect:
    """Draws the held-out pictures themselves, and tells nothing apart."""

    def __init__(self, trainer: Any, rows: Any) -> None:
        self.trainer, self.rows = trainer, rows
        self.spec, self.name = trainer.model.spec, "perfect"

    def latent(self, n: int, seed: int = 0, truncation: float = 1.0) -> torch.Tensor:
        return torch.arange(n, dtype=torch.float32)[:, None]

    def generate(self, latents: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        pictures = self.trainer.pictures.pictures[self.rows[latents[:, 0].long().numpy()]]
        return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1

    def sample(self, n: int, **_: Any) -> torch.Tensor:
        return self.generate(self.latent(n))

    def discriminate(self, pictures: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        return torch.full((len(pictures),), 0.7)


def test_a_perfect_model_has_perfect_measures() -> None:
    trainer = make_trainer(MODELS.get("vae"), make_pictures(count=80))
    probe = Probe(trainer)
    perfect: Any = _Perfect(trainer, probe.held)
    found = probe._generated(perfect, perfect.discriminate)
    assert found["diversity"] == pytest.approx(1.0, abs=1e-6)
    assert found["difference"] == pytest.approx(0.0, abs=0.06)  # a picture and itself are 0 apart, once in twenty
    assert found["memorising"] == pytest.approx(0.5, abs=0.02)  # ties, but for rounding
    assert (found["discriminator/accuracy"], found["discriminator/probability"]) == (0.5, 0.5)


def test_what_a_model_cannot_do_is_left_out() -> None:
    measures = Probe(make_trainer(MODELS.get("dcgan"), make_pictures(count=80))).measure()
    assert {"discriminator/accuracy", "diversity", "memorising"} <= measures.keys()
    assert not {"active_units", "loss/held_out", "kl"} & measures.keys()


def test_units_are_those_that_an_encoder_can_know() -> None:
    """InfoGAN's noise is zero for every picture: it is not counted as a part of the latent that is never used."""
    measures = Probe(make_trainer(MODELS.get("infogan"), make_pictures(count=80))).measure()
    assert measures["units"] == 12
    measures = Probe(make_trainer(MODELS.get("vae"), make_pictures(count=80))).measure()
    assert measures["units"] == 4
