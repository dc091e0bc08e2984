"""k-means against scikit-learn's from the same first means, and what is drawn from clusters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans, MiniBatchKMeans

from mezzotint.data.types import PictureSet
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.fitting import Fitting
from mezzotint.engine.loop import Trainer
from mezzotint.engine.model import build
from mezzotint.testing._make import flat, make_pictures, spec_of


def trainer(pictures: PictureSet, batch_size: int = 50, **settings: Any) -> Trainer:
    model = build("kmeans", {"components": 4, **settings}, spec_of(pictures))
    return Trainer(model, pictures, TrainConfig(steps=100_000, batch_size=batch_size), torch.device("cpu"))


def fitted(it: Trainer) -> Any:
    while not it.done:
        it.round()
    it.model.eval()
    return it.model


@pytest.fixture(scope="module")
def pictures() -> PictureSet:
    return make_pictures(1, 3, 4, count=400)


@pytest.mark.parametrize("batch_size", [37, 1000])
def test_the_means_are_scikit_learns(pictures: PictureSet, batch_size: int) -> None:
    it = trainer(pictures, batch_size)
    theirs = KMeans(4, init=it.model.means.numpy().copy(), n_init=1).fit(flat(pictures))
    ours = fitted(it)
    np.testing.assert_allclose(ours.means, theirs.cluster_centers_, atol=1e-9)
    clusters = ours.assign(torch.tensor(flat(pictures))).argmax(1)
    np.testing.assert_array_equal(clusters, theirs.labels_)
    inertia = ours.distances(torch.tensor(flat(pictures))).amin(1).sum()
    assert float(inertia) == pytest.approx(theirs.inertia_, rel=1e-9)
    np.testing.assert_allclose(ours.weights, np.bincount(theirs.labels_, minlength=4) / 300, atol=1e-12)


def test_pictures_are_drawn_from_a_clusters_own_spread(pictures: PictureSet) -> None:
    model = fitted(trainer(pictures))
    x = flat(pictures)
    mine = x[model.assign(torch.tensor(x)).argmax(1).numpy() == 2]
    np.testing.assert_allclose(model.covariances[2], np.cov(mine.T, bias=True) + 1e-5 * np.eye(12), atol=1e-9)
    latents = model.set_codes(model.latent(500), {"component": 2})
    drawn = model.encode(model.generate(latents))[:, :4].argmax(1)
    assert float((drawn == 2).float().mean()) > 0.8


def test_a_cluster_without_pictures_keeps_its_mean(pictures: PictureSet) -> None:
    it = trainer(pictures, components=3)
    far = torch.full((12,), 5.0, dtype=torch.float64)
    it.model.means[1] = far
    model = fitted(it)
    assert torch.equal(model.means[1], far)
    assert float(model.weights[1]) < 1e-12
    assert bool(torch.isfinite(model.sample(20)).all())


def test_small_batches_move_the_means_as_in_scikit_learn(pictures: PictureSet) -> None:
    it = trainer(pictures, 40, mini_batch=True, passes=2, tolerance=0)
    theirs = MiniBatchKMeans(4, init=it.model.means.numpy().copy(), n_init=1, reassignment_ratio=0)
    follow: Any = it.model.follow

    def beside(turn: Any) -> Any:
        theirs.partial_fit(turn.pictures.flatten(1).double().numpy())
        said = follow(turn)
        np.testing.assert_allclose(it.model.means, theirs.cluster_centers_, atol=1e-9)
        return said

    model: Any = it.model
    model.follow = beside
    it.fitting = Fitting(model.passes(), it.fitting.count, it.fitting.batch_size)
    ours = fitted(it)
    x = flat(pictures)
    np.testing.assert_allclose(ours.weights.sum(), 1)
    inertia = float(ours.distances(torch.tensor(x)).amin(1).sum())
    assert inertia < 1.1 * KMeans(4, n_init=5, random_state=0).fit(x).inertia_
