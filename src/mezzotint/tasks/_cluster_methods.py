"""The ways to cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Method:
    """One way to cluster.

    Attributes:
        says: what it looks for.
        make: (clusters, seed) -> a scikit-learn estimator.
        most: pictures it can take, by memory.
    """

    says: str
    make: Callable[[int, int], Any]
    most: int


def _estimator(module: str, name: str, seeded: bool = True, **settings: Any) -> Callable[[int, int], Any]:
    """(clusters, seed) -> the estimator of this name, imported when it is made."""

    def make(clusters: int, seed: int) -> Any:
        chance = {"random_state": seed} if seeded else {}
        return getattr(import_module(module), name)(clusters, **settings, **chance)

    return make


_SKLEARN, _OURS = "sklearn.cluster", "mezzotint.clustering"
METHODS: dict[str, Method] = {
    "kmeans": Method("pictures near a mean", _estimator(_SKLEARN, "KMeans", n_init=10), 1_000_000),
    "gmm": Method(
        "a normal distribution for each, with variances of its own",
        _estimator("sklearn.mixture", "GaussianMixture", covariance_type="diag", reg_covar=1e-4),
        1_000_000,
    ),
    "agglomerative": Method(
        "pictures that are joined two by two, nearest first (Ward)",
        _estimator(_SKLEARN, "AgglomerativeClustering", seeded=False),
        20_000,
    ),
    "ssc": Method(
        "subspaces, by the lasso: one object in many lights, handwriting of one digit",
        _estimator(_OURS, "SparseSubspaceClustering"),
        6000,
    ),
    "ssc-outliers": Method(
        "the same where some values are wrong, such as shadows",
        _estimator(_OURS, "SparseSubspaceClustering", outliers=True),
        6000,
    ),
    "ssc-omp": Method("subspaces of many pictures, greedily", _estimator(_OURS, "SSCOMP"), 100_000),
    "ssc-elastic": Method(
        "subspaces of many pictures, by the elastic net", _estimator(_OURS, "ElasticNetSubspaceClustering"), 100_000
    ),
}
