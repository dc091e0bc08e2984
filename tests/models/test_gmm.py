"""Mixtures of normal distributions against scikit-learn's, whose steps are the same, and against what they must be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import multivariate_normal
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

import mezzotint as mz
from mezzotint.core.errors import ConfigError
from mezzotint.data.open import open_pictures
from mezzotint.data.types import PictureSet
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.loop import Trainer
from mezzotint.engine.model import build
from mezzotint.testing._make import fitted, flat, make_pictures, spec_of

COVARIANCES = ["full", "tied", "diag", "spherical"]


def fit(pictures: PictureSet, **settings: Any) -> Any:
    return fitted("gmm", pictures, **({"components": 3, "least": 1e-3} | settings))


@pytest.fixture(scope="module")
def pictures() -> PictureSet:
    return make_pictures(1, 3, 4, count=400)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_every_fitted_number_is_scikit_learns(pictures: PictureSet, covariance: Any) -> None:
    """From the same first components, whatever the batches."""
    ours = fit(pictures, covariance=covariance, passes=25, tolerance=0, batch_size=37)
    begun = build("gmm", {"components": 3, "least": 1e-3, "covariance": covariance}, spec_of(pictures))
    trainer = Trainer(begun, pictures, TrainConfig(batch_size=37), torch.device("cpu"))
    first = trainer.model
    precisions = np.linalg.inv(first.covariances) if covariance in ("full", "tied") else 1 / first.covariances
    theirs = GaussianMixture(
        3,
        covariance_type=covariance,
        reg_covar=1e-3,
        tol=0,
        max_iter=25,
        weights_init=first.weights.numpy(),
        means_init=first.means.numpy(),
        precisions_init=np.asarray(precisions),
    )
    with pytest.warns(ConvergenceWarning):  # 25 steps are not enough for it
        theirs.fit(flat(pictures))
    np.testing.assert_allclose(ours.weights, theirs.weights_, atol=1e-8)
    np.testing.assert_allclose(ours.means, theirs.means_, atol=1e-8)
    np.testing.assert_allclose(ours.covariances, theirs.covariances_, atol=1e-8)
    held = flat(pictures, "validation")
    tensors = torch.tensor(held, dtype=torch.float32).view(-1, 1, 3, 4)
    np.testing.assert_allclose(ours.log_likelihood(tensors), theirs.score_samples(held), rtol=1e-5)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_the_density_is_that_of_the_textbook(pictures: PictureSet, covariance: Any) -> None:
    model = fit(pictures, covariance=covariance, passes=3)
    x = torch.tensor(flat(pictures, "validation")[:5])
    whole = {
        "full": lambda k: model.covariances[k],
        "tied": lambda k: model.covariances,
        "diag": lambda k: torch.diag(model.covariances[k]),
        "spherical": lambda k: model.covariances[k] * torch.eye(12, dtype=torch.float64),
    }[covariance]
    means, weights = model.means.numpy(), model.weights.numpy()
    each = [multivariate_normal(means[k], whole(k).numpy()).logpdf(x.numpy()) + np.log(weights[k]) for k in range(3)]
    np.testing.assert_allclose(model.joint(x), np.stack(each, 1), rtol=0, atol=1e-8)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_samples_have_the_components_moments(pictures: PictureSet, covariance: Any) -> None:
    model = fit(pictures, covariance=covariance, passes=5, components=2)
    n = 40_000
    latents = model.latent(n)
    component = latents[:, :2].argmax(1)
    shares = torch.bincount(component, minlength=2) / n
    torch.testing.assert_close(shares.double(), model.weights, atol=0.01, rtol=0)
    x = model.kind.placed(latents[:, 2:].double(), model.roots, component) + model.means[component]
    for k in range(2):
        mine = x[component == k]
        torch.testing.assert_close(mine.mean(0), model.means[k], atol=0.02, rtol=0)
        deviations = mine - mine.mean(0)
        found = deviations.mT @ deviations / len(mine)
        root = model.kind.placed(torch.eye(12, dtype=torch.float64), model.roots, torch.full((12,), k)).mT
        torch.testing.assert_close(found, root @ root.mT, atol=0.01, rtol=0)


def test_a_mixture_for_each_class_classifies_by_bayes_rule(pictures: PictureSet) -> None:
    model = fit(pictures, conditional=True, components=1)
    x, labels = flat(pictures), pictures.labels[pictures.splits["train"]]
    for label in (0, 1):  # one component each: the class's own mean and covariance
        mine = x[labels == label]
        np.testing.assert_allclose(model.means[label], mine.mean(0), atol=1e-9)
        expected = np.cov(mine.T, bias=True) + 1e-3 * np.eye(12)
        np.testing.assert_allclose(model.covariances[label], expected, atol=1e-9)
    held = torch.tensor(flat(pictures, "validation"), dtype=torch.float32).view(-1, 1, 3, 4)
    told = model.encode(held)[:, :2].argmax(1).numpy()
    assert (told == pictures.labels[pictures.splits["validation"]]).mean() > 0.95
    drawn = model.sample(200, labels=torch.ones(200, dtype=torch.int64))
    assert (model.encode(drawn)[:, :2].argmax(1) == 1).float().mean() > 0.95


def test_a_fit_ends_when_nothing_is_gained() -> None:
    pictures = make_pictures(1, 3, 4, count=100)
    model = build("gmm", {"components": 1}, spec_of(pictures))
    trainer = Trainer(model, pictures, TrainConfig(steps=1000, batch_size=30), torch.device("cpu"))
    while not trainer.done:
        trainer.round()
    # one component is right after the first pass; the second finds that nothing was gained, of 3 batches each
    assert trainer.step == 6


def test_what_cannot_be_fitted_is_told() -> None:
    pictures = make_pictures(count=12)
    with pytest.raises(ConfigError, match="20 components need as many training pictures, and there are 9"):
        Trainer(build("gmm", {"components": 20}, spec_of(pictures)), pictures, TrainConfig(), torch.device("cpu"))
    with pytest.raises(ConfigError, match="do not fit into memory"):
        build("gmm", {"components": 10}, spec_of(make_pictures(3, 64, 64, count=2)))


def three_kinds(count: int = 300) -> NDArray[np.uint8]:
    """Pictures of 2 x 2 around three means."""
    rng = np.random.default_rng(0)
    means = np.array([[40, 40, 200, 200], [200, 60, 60, 200], [120, 220, 30, 90]])
    return (
        np.clip(means[np.arange(count) % 3] + rng.normal(0, 8, (count, 4)), 0, 255).astype(np.uint8).reshape(-1, 2, 2)
    )


@pytest.mark.parametrize("criterion", ["bic", "aic"])
def test_the_number_of_components_is_what_scikit_learns_criterion_wants(tmp_path: Path, criterion: str) -> None:
    settings = {"components": 8, "choose": criterion, "covariance": "diag"}
    run = mz.train("gmm", three_kinds(), out=tmp_path / "a", settings={"model": settings}, quiet=True)
    model = run.model
    assert model.used == 3
    (curve,) = model.explain().curves
    assert tuple(curve.at) == (1, 2, 3, 4, 5, 7, 8)
    x = three_kinds()[np.sort(open_pictures(three_kinds()).splits["train"])].reshape(-1, 4) / 127.5 - 1
    for count, value in zip(curve.at, curve.values, strict=True):
        if count <= 3:  # beyond them the order of the pictures decides which optimum is found
            peer = GaussianMixture(count, covariance_type="diag", reg_covar=1e-5, random_state=0).fit(x)
            assert value == pytest.approx(getattr(peer, criterion)(x), rel=1e-3)
    assert (model.weights > 0).sum() == 3
    found = model.explain().parts[0].pictures
    assert len(found) == 3
    assert set(model.get_codes(model.latent(200, seed=0))["component"].tolist()) == set(
        torch.nonzero(model.weights).flatten().tolist()
    )
