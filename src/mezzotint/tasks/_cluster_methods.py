"""The ways to cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from mezzotint.core.errors import ConfigError, suggest


@dataclass(frozen=True)
class Method:
    """One way to cluster.

    Attributes:
        says: what it looks for.
        make: (clusters, seed, settings of its own) -> a scikit-learn estimator.
        most: pictures it can take, by memory.
    """

    says: str
    make: Callable[[int, int, Mapping[str, Any]], Any]
    most: int


def _estimator(module: str, name: str, *, count: str = "n_clusters", seeded: bool = True, **defaults: Any) -> Any:
    """`Method.make` of the estimator of this name, imported when it is made; `count` is its number of clusters."""

    def make(clusters: int, seed: int, settings: Mapping[str, Any]) -> Any:
        chance = {"random_state": seed} if seeded else {}
        found = getattr(import_module(module), name)(**{count: clusters}, **defaults, **chance)
        known = sorted(set(found.get_params()) - {count, "random_state"})
        for setting in settings:
            if setting not in known:
                raise ConfigError(f'{name} has no setting "{setting}" that could be changed; {suggest(setting, known)}')
        return found.set_params(**settings)

    return make


_SKLEARN, _OURS = "sklearn.cluster", "mezzotint.clustering"
METHODS: dict[str, Method] = {
    "kmeans": Method("pictures near a mean", _estimator(_SKLEARN, "KMeans", n_init=10), 1_000_000),
    "gmm": Method(
        "a normal distribution for each, with variances of its own",
        _estimator("sklearn.mixture", "GaussianMixture", count="n_components", covariance_type="diag", reg_covar=1e-4),
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
