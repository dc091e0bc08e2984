"""Sparse subspace clustering as scikit-learn estimators."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import validate_data

from mezzotint.clustering.elastic import elastic_expression
from mezzotint.clustering.expression import omp_expression
from mezzotint.clustering.graph import AFFINITIES, Components, affinity, cut
from mezzotint.clustering.lasso import lasso_expression


class _SubspaceClustering(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Points expressed by few others, an affinity of that, and its spectral clustering."""

    n_clusters: int
    n_components: Components
    n_init: int
    random_state: Any

    def fit(self, X: Any, y: Any = None) -> Any:
        """Cluster points.

        Args:
            X: [N, D].
            y: ignored.

        Returns:
            The estimator itself, with `labels_` [N].

        Raises:
            ValueError: a setting, or the points, cannot be used.
        """
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        if not 1 <= self.n_clusters <= len(X):
            raise ValueError(f"n_clusters={self.n_clusters} must be from 1 to the number of points, {len(X)}.")
        vectors = self.n_clusters if self.n_components in ("gap", None) else self.n_components
        if not (isinstance(vectors, int | np.integer) and 1 <= vectors <= len(X)):
            raise ValueError(
                f'n_components={self.n_components!r} must be "gap", None or from 1 to the number of points, {len(X)}.'
            )
        self.representation_matrix_ = self._express(X)
        self.affinity_matrix_ = self._join(self.representation_matrix_)
        how = self.n_clusters, self.n_init, self.random_state, self.n_components
        self.labels_ = cut(X, self.affinity_matrix_, *how)
        return self

    def _express(self, x: NDArray[Any]) -> Any:
        raise NotImplementedError

    def _join(self, expression: Any) -> Any:
        """The graph [N, N] that is cut into clusters."""
        return affinity(expression)


class _Sparse(_SubspaceClustering):
    """Sparse expressions, which are joined in one of several ways."""

    affinity: str

    def fit(self, X: Any, y: Any = None) -> Any:
        """As in `SparseSubspaceClustering`."""
        if self.affinity not in AFFINITIES:
            raise ValueError(f"affinity={self.affinity!r} must be one of {', '.join(AFFINITIES)}.")
        return super().fit(X, y)

    def _join(self, expression: Any) -> Any:
        return AFFINITIES[self.affinity](expression)


class SparseSubspaceClustering(_SubspaceClustering):
    """Sparse subspace clustering by the lasso (Elhamifar and Vidal 2013, arXiv:1203.1005).

    For some thousands of points: memory grows with N^2; so does time, and with N^3 for affine subspaces or outliers.
    See `mezzotint.clustering.lasso`.

    Args:
        n_clusters: subspaces.
        alpha: lambda over the least value at which every point is made of some others.
        affine: subspaces need not hold the origin.
        outliers: some values are grossly wrong, as shadows in pictures of faces.
        max_iter: active sets of a point at most; for affine subspaces or outliers, steps of the ADMM.
        tol: of the ADMM.
        n_components: eigenvectors of the spectral embedding; None for as many as clusters, "gap" for as many as lie
            before the widest gap of eigenvalues, from there to twice as many.
        n_init: k-means of the spectral embedding, of which the best is taken.
        random_state: seed of the k-means.

    Attributes:
        labels_: [N].
        representation_matrix_: C [N, N]: row i says how point i is made of the others.
        affinity_matrix_: [N, N], symmetric.
        n_iter_: active sets of the point that took most, or steps of the ADMM.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> planes = [rng.normal(size=(20, 2)) @ rng.normal(size=(2, 9)) for _ in range(2)]
        >>> labels = SparseSubspaceClustering(2, random_state=0).fit_predict(np.concatenate(planes))
        >>> bool((labels[:20] == labels[0]).all()), bool((labels[20:] != labels[0]).all())
        (True, True)
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        alpha: float = 20.0,
        affine: bool = False,
        outliers: bool = False,
        max_iter: int = 200,
        tol: float = 2e-4,
        n_components: Components = None,
        n_init: int = 20,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.alpha = alpha
        self.affine = affine
        self.outliers = outliers
        self.max_iter = max_iter
        self.tol = tol
        self.n_components = n_components
        self.n_init = n_init
        self.random_state = random_state

    def _express(self, x: NDArray[Any]) -> NDArray[Any]:
        if not self.alpha > 1:
            raise ValueError(f"alpha={self.alpha} must be above 1, or some points are made of no others.")
        found, self.n_iter_ = lasso_expression(
            x, self.alpha, affine=self.affine, outliers=self.outliers, tolerance=self.tol, max_iter=self.max_iter
        )
        return found


class SSCOMP(_Sparse):
    """Sparse subspace clustering by orthogonal matching pursuit (You, Robinson, Vidal 2016, arXiv:1507.01238).

    For many points: time grows with N^2, memory with N.

    Args:
        n_clusters: subspaces.
        n_nonzero: points that a point is made of.
        scale: points are scaled to length 1 first, as in the paper; without it long points are chosen more often.
        affinity: "symmetric" joins points by how they are made of each other, |C| + |C|^T, as in the paper;
            "normalised" by rows of C of length 1, as in the authors' program; "neighbours" joins each with the three
            that are made most like it.
        tol: squared length of what is left of a point that counts as nothing; then it is made of others once more.
        n_components, n_init, random_state: as in `SparseSubspaceClustering`.

    Attributes:
        labels_: [N].
        representation_matrix_, affinity_matrix_: [N, N], sparse.
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        n_nonzero: int = 5,
        scale: bool = True,
        affinity: str = "symmetric",
        tol: float = 1e-6,
        n_components: Components = None,
        n_init: int = 20,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_nonzero = n_nonzero
        self.scale = scale
        self.affinity = affinity
        self.tol = tol
        self.n_components = n_components
        self.n_init = n_init
        self.random_state = random_state

    def _express(self, x: NDArray[Any]) -> csr_matrix:
        if self.n_nonzero < 1:
            raise ValueError(f"n_nonzero={self.n_nonzero} must be at least 1.")
        return omp_expression(x, self.n_nonzero, self.tol, scale=self.scale)


class ElasticNetSubspaceClustering(_Sparse):
    """Subspace clustering by the elastic net (You, Li, Robinson, Vidal 2016, arXiv:1605.02633).

    Between the lasso, which joins fewest points, and least squares, which joins points of different subspaces. An
    active set makes it fit for many points.

    Args:
        n_clusters: subspaces.
        gamma: the weight of the residual over the least at which a point is made of anything.
        tau: 1 is the lasso; less joins more points.
        scale: points are scaled to length 1 first.
        affinity: as in `SSCOMP`.
        n_components, n_init, random_state: as in `SparseSubspaceClustering`.

    Attributes:
        labels_: [N].
        representation_matrix_, affinity_matrix_: [N, N], sparse.
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        gamma: float = 200.0,
        tau: float = 0.9,
        scale: bool = True,
        affinity: str = "neighbours",
        n_components: Components = None,
        n_init: int = 20,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.gamma = gamma
        self.tau = tau
        self.scale = scale
        self.affinity = affinity
        self.n_components = n_components
        self.n_init = n_init
        self.random_state = random_state

    def _express(self, x: NDArray[Any]) -> csr_matrix:
        if not (self.gamma > 1 and 0 < self.tau <= 1):
            raise ValueError(f"gamma={self.gamma} must be above 1, and tau={self.tau} above 0 and at most 1.")
        return elastic_expression(x, self.gamma, self.tau, scale=self.scale)
