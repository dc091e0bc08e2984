"""Sparse subspace clustering as scikit-learn estimators."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.sparse import csr_matrix, issparse
from scipy.sparse.linalg import eigsh
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import KMeans
from sklearn.neighbors import kneighbors_graph
from sklearn.preprocessing import normalize
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from mezzotint.clustering.elastic import elastic_expression
from mezzotint.clustering.expression import lasso_expression, omp_expression

_DENSE = 3000
"""Points up to which all eigenvectors are computed: a second or two."""


class _SubspaceClustering(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Points expressed by few others, an affinity of that, and its spectral clustering."""

    n_clusters: int
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
        self.representation_matrix_ = self._express(X)
        self.affinity_matrix_ = self._join(self.representation_matrix_)
        self.labels_ = spectral_labels(self.affinity_matrix_, self.n_clusters, self.n_init, self.random_state)
        return self

    def _express(self, x: NDArray[Any]) -> Any:
        raise NotImplementedError

    def _join(self, expression: Any) -> Any:
        """The graph [N, N] that is cut into clusters."""
        return affinity(expression)


class SparseSubspaceClustering(_SubspaceClustering):
    """Sparse subspace clustering by the lasso (Elhamifar and Vidal 2013, arXiv:1203.1005).

    For up to some thousands of points: time grows with N^3 and memory with N^2. See `mezzotint.clustering.expression`.

    Args:
        n_clusters: subspaces.
        alpha: lambda over the least value at which every point is made of some others.
        affine: subspaces need not hold the origin.
        outliers: some values are grossly wrong, as shadows in pictures of faces.
        max_iter, tol: of the ADMM.
        n_init: k-means of the spectral embedding, of which the best is taken.
        random_state: seed of the k-means.

    Attributes:
        labels_: [N].
        representation_matrix_: C [N, N]: row i says how point i is made of the others.
        affinity_matrix_: [N, N], symmetric.
        n_iter_: steps of the ADMM.

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
        n_init: int = 20,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.alpha = alpha
        self.affine = affine
        self.outliers = outliers
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.random_state = random_state

    def _express(self, x: NDArray[Any]) -> NDArray[Any]:
        if not self.alpha > 1:
            raise ValueError(f"alpha={self.alpha} must be above 1, or some points are made of no others.")
        found, self.n_iter_ = lasso_expression(
            x, self.alpha, affine=self.affine, outliers=self.outliers, tolerance=self.tol, max_iter=self.max_iter
        )
        return found


class SSCOMP(_SubspaceClustering):
    """Sparse subspace clustering by orthogonal matching pursuit (You, Robinson, Vidal 2016, arXiv:1507.01238).

    For many points: time grows with N^2, memory with N.

    Args:
        n_clusters: subspaces.
        n_nonzero: points that a point is made of.
        scale: points are scaled to length 1 first, as in the paper; without it long points are chosen more often.
        tol: squared length of what is left of a point that counts as nothing; then it is made of others once more.
        n_init, random_state: as in `SparseSubspaceClustering`.

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
        tol: float = 1e-6,
        n_init: int = 20,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_nonzero = n_nonzero
        self.scale = scale
        self.tol = tol
        self.n_init = n_init
        self.random_state = random_state

    def _express(self, x: NDArray[Any]) -> csr_matrix:
        if self.n_nonzero < 1:
            raise ValueError(f"n_nonzero={self.n_nonzero} must be at least 1.")
        return omp_expression(x, self.n_nonzero, self.tol, scale=self.scale)


class ElasticNetSubspaceClustering(_SubspaceClustering):
    """Subspace clustering by the elastic net (You, Li, Robinson, Vidal 2016, arXiv:1605.02633).

    Between the lasso, which joins fewest points, and least squares, which joins points of different subspaces. An
    active set makes it fit for many points.

    Args:
        n_clusters: subspaces.
        gamma: the weight of the residual over the least at which a point is made of anything.
        tau: 1 is the lasso; less joins more points.
        scale: points are scaled to length 1 first.
        affinity: "symmetric" joins points by how they are made of each other, "neighbours" joins each with the three
            that are made most like it.
        n_init, random_state: as in `SparseSubspaceClustering`.

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
        n_init: int = 20,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.gamma = gamma
        self.tau = tau
        self.scale = scale
        self.affinity = affinity
        self.n_init = n_init
        self.random_state = random_state

    def _express(self, x: NDArray[Any]) -> csr_matrix:
        if not (self.gamma > 1 and 0 < self.tau <= 1):
            raise ValueError(f"gamma={self.gamma} must be above 1, and tau={self.tau} above 0 and at most 1.")
        if self.affinity not in ("symmetric", "neighbours"):
            raise ValueError(f'affinity is "symmetric" or "neighbours"; got {self.affinity!r}.')
        return elastic_expression(x, self.gamma, self.tau, scale=self.scale)

    def _join(self, expression: Any) -> Any:
        return super()._join(expression) if self.affinity == "symmetric" else neighbours(expression)


def affinity(expression: Any) -> Any:
    """|C| with rows scaled so that the largest entry is 1, plus its transpose; sparse where C is.

    A point counts as much as another, however long its coefficients are. A row of zeros stays.
    """
    size = abs(expression)
    most = size.max(1)
    most = most.toarray().ravel() if issparse(size) else most
    scale = 1 / np.where(most > 0, most, 1)
    scaled = csr_matrix(size.multiply(scale[:, None])) if issparse(size) else size * scale[:, None]
    return scaled + scaled.T


def neighbours(expression: Any, count: int = 3) -> csr_matrix:
    """A graph [N, N] that joins each point with the `count` whose rows of C have most nearly the same direction."""
    rows = normalize(expression)
    near = kneighbors_graph(rows, min(count, rows.shape[0] - 1), mode="connectivity", include_self=False)
    return csr_matrix(0.5 * (near + near.T))


def spectral_labels(graph: Any, clusters: int, n_init: int, random_state: Any) -> NDArray[np.int64]:
    """Labels [N] by k-means among the rows, scaled to length 1, of the first eigenvectors of the normalised Laplacian.

    Ng, Jordan, Weiss (2002), "On Spectral Clustering".
    """
    random = check_random_state(random_state)
    if clusters == 1:
        return np.zeros(graph.shape[0], np.int64)
    vectors = _first_vectors(graph, min(clusters, graph.shape[0]), random)
    rows = normalize(vectors)
    labels: NDArray[np.int64] = KMeans(clusters, n_init=n_init, random_state=random).fit_predict(rows)
    return labels


def _first_vectors(graph: Any, count: int, random: np.random.RandomState) -> NDArray[np.float64]:
    """The eigenvectors [N, count] of D^-1/2 W D^-1/2 with the largest eigenvalues, which are 1 minus the Laplacian's.

    Of small graphs all are computed: subspaces that are told apart perfectly are separate graphs, so many eigenvalues
    are equal. Of large ones Lanczos's method finds the largest; scikit-learn looks for the Laplacian's smallest, for
    which it factorises a matrix that is hardly sparse (100 times slower with 10,000 points).
    """
    n = graph.shape[0]
    degree = np.asarray(graph.sum(1), np.float64).ravel()
    scale = 1 / np.sqrt(np.where(degree > 0, degree, 1))
    if n <= _DENSE:
        dense = (graph.toarray() if issparse(graph) else np.asarray(graph, np.float64)) * scale[:, None] * scale
        found: NDArray[np.float64] = linalg.eigh(dense, subset_by_index=(n - count, n - 1))[1]
        return found
    if issparse(graph):
        scaled = csr_matrix(csr_matrix(graph, dtype=np.float64).multiply(scale[:, None]).multiply(scale))
    else:
        scaled = graph * scale[:, None] * scale
    found = eigsh(scaled, k=count, which="LA", v0=random.uniform(-1, 1, n))
    return np.asarray(found[1])
