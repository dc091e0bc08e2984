"""Sparse subspace clustering as a model: it finds planes, and each becomes probabilistic principal components."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

from mezzotint.data.types import PictureSet
from mezzotint.engine.feed import to_tensor
from mezzotint.testing._make import fitted


@pytest.fixture(scope="module")
def planes() -> tuple[PictureSet, np.ndarray]:
    """Pictures of 4 x 5 in three cones of two dimensions, with a little noise; and which each is of."""
    rng = np.random.default_rng(0)
    parts = [rng.uniform(0.2, 1, (80, 2)) @ (rng.random((2, 20)) ** 2) for _ in range(3)]
    x = np.clip(np.concatenate(parts) * 110 + rng.normal(size=(240, 20)), 0, 255).round().astype(np.uint8)
    truth = np.repeat(np.arange(3), 80)
    splits = {"train": np.arange(240), "validation": np.arange(0), "test": np.arange(0)}
    names = tuple(map(str, range(240)))
    return PictureSet(x.reshape(240, 4, 5, 1), None, (), names, splits, "planes", ""), truth


def fit(pictures: PictureSet, **settings: Any) -> Any:
    return fitted("ssc", pictures, **({"components": 3, "dimensions": 2, "least": 1e-8} | settings))


@pytest.mark.parametrize("settings", [{}, {"points": 100}, {"method": "elastic", "points": 150}])
def test_subspaces_are_found_and_all_pictures_join_them(planes: Any, settings: dict[str, Any]) -> None:
    pictures, truth = planes
    model = fit(pictures, **settings)
    told = model.encode(to_tensor(pictures.pictures))[:, :3].argmax(1).numpy()
    assert adjusted_rand_score(truth, told) > 0.97


def test_each_subspace_is_probabilistic_pca(planes: Any) -> None:
    pictures, _ = planes
    model, x = fit(pictures), to_tensor(pictures.pictures).flatten(1).double()
    told = model.assign(x).argmax(1)
    for k in range(3):
        mine = PCA(2).fit(x[told == k].numpy())
        count = int((told == k).sum())
        np.testing.assert_allclose(model.covariances[k], mine.get_covariance() * (count - 1) / count, atol=1e-6)
        np.testing.assert_allclose(model.means[k], mine.mean_, atol=1e-9)
    np.testing.assert_allclose(model.weights, torch.bincount(told) / 240, atol=1e-12)


def test_what_is_drawn_lies_in_the_subspace(planes: Any) -> None:
    pictures, _ = planes
    model = fit(pictures)
    for k in range(3):
        drawn = model.generate(model.set_codes(model.latent(50), {"component": k}))
        assert float((model.encode(drawn)[:, :3].argmax(1) == k).float().mean()) > 0.9


def test_samples_and_reconstructions_have_no_noise_across_the_subspace(planes: Any) -> None:
    pictures, _ = planes
    model, real = fit(pictures), to_tensor(pictures.pictures)
    x, told = real.flatten(1).double(), model.assign(real.flatten(1).double()).argmax(1)
    back = model.reconstruct(real).flatten(1)
    many = model.generate(model.set_codes(model.latent(4000), {"component": 1})).flatten(1).double()
    for k in range(3):
        mine = PCA(2).fit(x[told == k].numpy())
        expected = mine.inverse_transform(mine.transform(x[told == k].numpy()))
        np.testing.assert_allclose(back[told == k], expected.clip(-1, 1), atol=1e-5)
    within = PCA(2).fit(x[told == 1].numpy())
    uncut = many[(many.abs() < 1).all(1)].numpy()
    assert len(uncut) > 3500
    np.testing.assert_allclose(within.inverse_transform(within.transform(uncut)), uncut, atol=1e-5)
    np.testing.assert_allclose(within.transform(many.numpy()).var(0), within.explained_variance_, rtol=0.1)
