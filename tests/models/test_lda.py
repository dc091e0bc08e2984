"""Linear discriminant analysis against scikit-learn's, and as what it draws and projects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from mezzotint.core.errors import ConfigError
from mezzotint.data.types import PictureSet
from mezzotint.engine.feed import to_tensor
from mezzotint.engine.model import PictureSpec, build
from mezzotint.testing._make import fitted, make_pictures


@pytest.fixture(scope="module")
def pictures() -> PictureSet:
    """Three classes of unlike sizes, the third one darker at the left."""
    made = make_pictures(1, 3, 4, count=400)
    assert made.labels is not None
    labels = made.labels.copy()
    labels[::5] = 2
    stored = made.pictures.copy()
    stored[labels == 2, :, :2] //= 2
    return replace(made, pictures=stored, labels=labels, classes=("dark", "bright", "left"))


def fit(pictures: PictureSet, **settings: Any) -> Any:
    return fitted("lda", pictures, **({"least": 1e-12} | settings))


def split(pictures: PictureSet, name: str) -> tuple[torch.Tensor, np.ndarray]:
    assert pictures.labels is not None
    rows = pictures.splits[name]
    return to_tensor(pictures.pictures[rows]), pictures.labels[rows]


@pytest.mark.parametrize("shrinkage", [0.0, 0.3])
def test_what_is_fitted_is_scikit_learns(pictures: PictureSet, shrinkage: float) -> None:
    ours, (x, y) = fit(pictures, shrinkage=shrinkage), split(pictures, "train")
    flat = x.flatten(1).double().numpy()
    theirs = LinearDiscriminantAnalysis("lsqr", shrinkage=shrinkage, store_covariance=True).fit(flat, y)
    np.testing.assert_allclose(ours.weights, theirs.priors_, atol=1e-12)
    np.testing.assert_allclose(ours.means, theirs.means_, atol=1e-12)
    np.testing.assert_allclose(ours.covariances, theirs.covariance_, atol=1e-10)
    held, truth = split(pictures, "validation")
    expected = theirs.predict_proba(held.flatten(1).double().numpy())
    np.testing.assert_allclose(ours.classify(held), expected, atol=1e-5)
    assert (ours.classify(held).argmax(1).numpy() == truth).mean() > 0.85


def test_projections_are_the_discriminants(pictures: PictureSet) -> None:
    """But for its sign each is scikit-learn's `transform` by eigenvectors, and within classes they are white."""
    ours, (x, y) = fit(pictures, shrinkage=0.0), split(pictures, "train")
    theirs = LinearDiscriminantAnalysis("eigen").fit(x.flatten(1).double().numpy(), y)
    a, b = ours.project(x).numpy(), theirs.transform(x.flatten(1).double().numpy())
    b = b - theirs.priors_ @ np.stack([b[y == k].mean(0) for k in range(3)])
    for k in range(2):
        assert min(np.abs(a[:, k] - b[:, k]).max(), np.abs(a[:, k] + b[:, k]).max()) < 1e-3
    within = sum(np.cov(a[y == k].T, bias=True) * (y == k).mean() for k in range(3))
    np.testing.assert_allclose(within, np.eye(2), atol=1e-3)


def test_pictures_of_a_class_are_drawn(pictures: PictureSet) -> None:
    model = fit(pictures)
    for label in range(3):
        drawn = model.sample(300, labels=torch.full((300,), label))
        told = model.classify(drawn).argmax(1)
        assert float((told == label).float().mean()) > 0.8


def test_it_needs_classes() -> None:
    with pytest.raises(ConfigError, match="lda is a model of classes, and these pictures have none"):
        build("lda", {}, PictureSpec(1, 8, 8))


def test_what_does_not_fit_into_memory_is_told_with_what_helps() -> None:
    with pytest.raises(
        ConfigError, match=r"use --size, or fit the codes of another model: mezzotint train lda runs/pca"
    ):
        build("lda", {}, PictureSpec(3, 64, 64, classes=("cat", "dog")))
    with pytest.raises(ConfigError, match=r"use --size, --set model.covariance=diag, or fit"):
        build("gmm", {}, PictureSpec(3, 64, 64))
