"""Principal components against scikit-learn's, exactly and in increments; the likelihood against its closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA, IncrementalPCA

from mezzotint.core.errors import ConfigError
from mezzotint.data.types import PictureSet
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.feed import to_tensor
from mezzotint.engine.loop import Trainer
from mezzotint.engine.model import build
from mezzotint.models import pca
from mezzotint.testing._make import fitted, flat, make_pictures, spec_of


def fit(pictures: PictureSet, batch_size: int = 50) -> Any:
    return fitted("pca", pictures, batch_size, components=4, least=1e-9)


@pytest.fixture(scope="module")
def pictures() -> PictureSet:
    return make_pictures(2, 4, 3, count=300)


@pytest.mark.parametrize("batch_size", [7, 50, 1000])
def test_every_fitted_number_is_scikit_learns(pictures: PictureSet, batch_size: int) -> None:
    ours, theirs = fit(pictures, batch_size), PCA(4, svd_solver="full").fit(flat(pictures))
    np.testing.assert_allclose(ours.mean, theirs.mean_, atol=1e-12)
    np.testing.assert_allclose(ours.axes, theirs.components_, atol=1e-9)
    np.testing.assert_allclose(ours.variances, theirs.explained_variance_, rtol=1e-10)
    np.testing.assert_allclose(ours.rest, theirs.noise_variance_, rtol=1e-10)
    np.testing.assert_allclose(ours.explained, theirs.explained_variance_ratio_, rtol=1e-10)
    held = flat(pictures, "validation")
    np.testing.assert_allclose(ours.log_p(torch.tensor(held)), theirs.score_samples(held), rtol=1e-9)
    x = torch.tensor(held, dtype=torch.float32).view(-1, 2, 4, 3)
    back = theirs.inverse_transform(theirs.transform(held))
    np.testing.assert_allclose(ours.reconstruct(x).flatten(1), back, atol=1e-5)
    whitened = PCA(4, whiten=True, svd_solver="full").fit(flat(pictures))
    np.testing.assert_allclose(ours.encode(x), whitened.transform(held), atol=1e-4)


def test_the_likelihood_is_that_of_the_normal_distribution(pictures: PictureSet) -> None:
    model = fit(pictures)
    axes, size = model.axes.numpy(), 24
    plane = axes.T @ axes
    covariance = axes.T * model.variances.numpy() @ axes + model.rest.item() * (np.eye(size) - plane)
    x = flat(pictures, "validation")[:6]
    expected = multivariate_normal(model.mean.numpy(), covariance).logpdf(x)
    np.testing.assert_allclose(model.log_p(torch.tensor(x)), expected, atol=1e-8, rtol=0)


def test_large_pictures_are_fitted_in_increments(pictures: PictureSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """As scikit-learn's own, given the same batches; and near the exact components."""
    monkeypatch.setattr(pca, "_EXACT", 10)
    ours = fit(pictures, batch_size=60)
    theirs: Any = IncrementalPCA(4)
    order = Trainer(
        build("pca", {"components": 4}, spec_of(pictures)), pictures, TrainConfig(batch_size=60), torch.device("cpu")
    )
    for start in range(0, 225, 60):
        raw = order.batches.at(start, min(60, 225 - start)).pictures
        theirs.partial_fit(to_tensor(raw).flatten(1).double().numpy())
    np.testing.assert_allclose(ours.axes, theirs.components_ * _signs(theirs.components_), atol=1e-8)
    np.testing.assert_allclose(ours.variances, theirs.explained_variance_, rtol=1e-8)
    exact = PCA(4).fit(flat(pictures))
    assert float(ours.rest) == pytest.approx(exact.noise_variance_, rel=0.05)  # theirs leaves out what it forgot
    cosine = np.abs((ours.axes.numpy() * exact.components_).sum(1))
    assert cosine[0] > 0.99


def _signs(axes: np.ndarray) -> np.ndarray:
    largest = np.abs(axes).argmax(1)
    signs: np.ndarray = np.sign(axes[np.arange(len(axes)), largest])[:, None]
    return signs


def test_latents_of_training_pictures_are_white(pictures: PictureSet) -> None:
    model = fit(pictures)
    x = torch.tensor(flat(pictures), dtype=torch.float32).view(-1, 2, 4, 3)
    z = model.encode(x)
    torch.testing.assert_close(z.mean(0), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(torch.cov(z.T), torch.eye(4), atol=1e-3, rtol=0)


def test_what_cannot_be_fitted_is_told() -> None:
    with pytest.raises(ConfigError, match="64 components are not fewer than the 64 values"):
        build("pca", {"components": 64}, spec_of(make_pictures()))
    few = make_pictures(count=12)
    with pytest.raises(ConfigError, match="20 components need more training pictures than there are, 9"):
        Trainer(build("pca", {"components": 20}, spec_of(few)), few, TrainConfig(), torch.device("cpu"))
