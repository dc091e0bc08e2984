"""Are the classical models scikit-learn's? Every fitted quantity beside its, on real digits, and what both take.

    MEZZOTINT_DATA=... python benchmarks/parity.py

The first 10,000 training pictures of MNIST at 28 pixels (784 values), fitted here in batches of 1,000 by the one
trainer, there at once; mixtures and means from the same first components. A difference is the largest absolute one over
all numbers of a quantity, as a share of the largest of them; likelihoods and classes are of 1,000 test pictures.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from mezzotint.data.open import open_pictures
from mezzotint.data.types import DataConfig, PictureSet
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.feed import to_tensor
from mezzotint.engine.loop import Trainer
from mezzotint.engine.model import build
from mezzotint.testing._make import spec_of

BATCH = 1000
Pairs = Mapping[str, tuple[Any, Any]]


def digits(part: str, count: int) -> tuple[PictureSet, NDArray[np.float64], NDArray[np.int64]]:
    """MNIST with so many of a part to train on, the same as values [N, 784] in [-1, 1], and the classes [N]."""
    known = open_pictures("mnist", DataConfig(validation=0))
    assert known.labels is not None
    rows, none = known.splits[part][:count], known.splits["validation"][:0]
    found = replace(known, splits={"train": rows, "validation": none, "test": none})
    return found, to_tensor(known.pictures[rows]).flatten(1).double().numpy(), known.labels[rows]


class Fit:
    """One of ours: made, with its first components known, then fitted."""

    def __init__(self, name: str, pictures: PictureSet, **settings: Any) -> None:
        self.model: Any = build(name, settings, spec_of(pictures))
        self.trainer = Trainer(
            self.model, pictures, TrainConfig(steps=1_000_000, batch_size=BATCH), torch.device("cpu")
        )

    def run(self) -> Any:
        while not self.trainer.done:
            self.trainer.round()
        return self.model.eval()


def timed(action: Callable[[], Any]) -> tuple[Any, float]:
    """What it returns, and the seconds it took."""
    started = time.perf_counter()
    found = action()
    return found, time.perf_counter() - started


def pca(pictures: PictureSet, x: NDArray[np.float64], y: NDArray[np.int64]) -> tuple[Pairs, float, float]:
    """Fifty principal components."""
    fit = Fit("pca", pictures, components=50, least=1e-9)
    ours, mine = timed(fit.run)
    theirs, its = timed(lambda: PCA(50, svd_solver="full").fit(x))
    _, held, _ = digits("test", 1000)
    return (
        {
            "mean": (ours.mean, theirs.mean_),
            "axes": (ours.axes, theirs.components_),
            "variances": (ours.variances, theirs.explained_variance_),
            "share of variance": (ours.explained, theirs.explained_variance_ratio_),
            "noise": (ours.rest, theirs.noise_variance_),
            "log-likelihood": (ours.log_p(torch.tensor(held)), theirs.score_samples(held)),
        },
        mine,
        its,
    )


def gmm(
    covariance: Any,
) -> Callable[[PictureSet, NDArray[np.float64], NDArray[np.int64]], tuple[Pairs, float, float]]:
    """Ten components, ten steps of expectation and maximisation."""

    def compare(pictures: PictureSet, x: NDArray[np.float64], y: NDArray[np.int64]) -> tuple[Pairs, float, float]:
        fit = Fit("gmm", pictures, components=10, covariance=covariance, least=1e-2, passes=10, tolerance=0)
        first = fit.model
        precisions = np.linalg.inv(first.covariances) if covariance in ("full", "tied") else 1 / first.covariances
        peer = GaussianMixture(
            10,
            covariance_type=covariance,
            reg_covar=1e-2,
            tol=0,
            max_iter=10,
            weights_init=first.weights.numpy().copy(),
            means_init=first.means.numpy().copy(),
            precisions_init=np.asarray(precisions).copy(),
        )
        ours, mine = timed(fit.run)
        theirs, its = timed(lambda: peer.fit(x))
        _, held, _ = digits("test", 1000)
        likelihood = ours.joint(torch.tensor(held)).logsumexp(1)
        return (
            {
                "weights": (ours.weights, theirs.weights_),
                "means": (ours.means, theirs.means_),
                "covariances": (ours.covariances, theirs.covariances_),
                "log-likelihood": (likelihood, theirs.score_samples(held)),
            },
            mine,
            its,
        )

    return compare


def kmeans(pictures: PictureSet, x: NDArray[np.float64], y: NDArray[np.int64]) -> tuple[Pairs, float, float]:
    """Fifty clusters."""
    fit = Fit("kmeans", pictures, components=50, covariance="diag")
    peer = KMeans(50, init=fit.model.means.numpy().copy(), n_init=1)
    ours, mine = timed(fit.run)
    theirs, its = timed(lambda: peer.fit(x))
    nearest = ours.distances(torch.tensor(x)).min(1)
    return (
        {
            "means": (ours.means, theirs.cluster_centers_),
            "clusters": (nearest.indices, theirs.labels_),
            "sum of squares": (nearest.values.sum(), theirs.inertia_),
        },
        mine,
        its,
    )


def lda(pictures: PictureSet, x: NDArray[np.float64], y: NDArray[np.int64]) -> tuple[Pairs, float, float]:
    """Ten classes, shrinkage 0.1."""
    ours, mine = timed(Fit("lda", pictures, shrinkage=0.1, least=1e-12).run)
    theirs, its = timed(lambda: LinearDiscriminantAnalysis("lsqr", shrinkage=0.1, store_covariance=True).fit(x, y))
    held, values, _ = digits("test", 1000)
    seen = to_tensor(held.pictures[held.splits["train"]])
    return (
        {
            "weights": (ours.weights, theirs.priors_),
            "means": (ours.means, theirs.means_),
            "covariance": (ours.covariances, theirs.covariance_),
            "classes": (ours.classify(seen).argmax(1), theirs.predict(values)),
            "probabilities": (ours.classify(seen), theirs.predict_proba(values)),
        },
        mine,
        its,
    )


KINDS = {
    "`pca`, 50 components": pca,
    "`kmeans`, 50 clusters": kmeans,
    "`lda`, shrinkage 0.1": lda,
    **{f"`gmm`, {kind}, 10 steps": gmm(kind) for kind in ("full", "tied", "diag", "spherical")},
}


def difference(ours: Any, theirs: Any) -> str:
    """The largest difference as a share of the largest number; of whole numbers, how many differ."""
    a, b = np.asarray(ours), np.asarray(theirs)
    if np.issubdtype(a.dtype, np.integer):
        return f"{int((a != b).sum())} of {a.size:,} differ"
    return f"{np.abs(a.astype(np.float64) - b).max() / np.abs(b).max():.1e}"


def main() -> None:
    """Fit, compare, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--only", nargs="+", default=[""], help="words of which a row has one")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    given = digits("train", options.count)
    print(
        "| | difference from scikit-learn | seconds, scikit-learn | seconds, `mezzotint` |\n| --- | --- | --- | --- |"
    )
    for title, compare in KINDS.items():
        if not any(word in title for word in options.only):
            continue
        pairs, mine, its = compare(*given)
        said = "; ".join(f"{name} {difference(*pair)}" for name, pair in pairs.items())
        print(f"| {title} | {said} | {its:.2f} | {mine:.2f} |", flush=True)


if __name__ == "__main__":
    main()
