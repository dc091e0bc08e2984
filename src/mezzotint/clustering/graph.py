"""The graph of points that sparse subspace clustering cuts into clusters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.sparse import csr_matrix, issparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import eigsh
from sklearn.cluster import KMeans
from sklearn.preprocessing import normalize
from sklearn.utils import check_random_state

from mezzotint.clustering.expression import unit

Components = int | Literal["gap"] | None
_DENSE = 3000
"""Points up to which all eigenvectors are computed: a second or two."""
_BLOCK = 500
"""Points at a time whose products with all are kept."""
_HANDFUL = 0.01
"""Of the mean size of a cluster: fewer points are none."""


def affinity(expression: Any, norm: Literal["max", "l2"] | None = "max") -> Any:
    """|C|, plus its transpose; sparse where C is.

    Args:
        expression: C [N, N].
        norm: rows are scaled first, so that their largest entry ("max") or their length ("l2") is 1, and a point counts
            as much as another, however long its coefficients are. A row of zeros stays.
    """
    size = abs(expression)
    size = normalize(size, norm) if norm else size
    return size + size.T


def neighbours(expression: Any, count: int = 3) -> csr_matrix:
    """A graph [N, N] that joins each point with the `count` whose rows of C have most nearly the same direction.

    A point has fewer where fewer share anything with it. Products of sparse rows are few numbers; scikit-learn's
    `kneighbors_graph`, whose numbers these are, computes all distances (ten times slower with 70,000 points).
    """
    rows = csr_matrix(normalize(expression))
    n, columns = rows.shape[0], rows.T.tocsr()
    joined: list[NDArray[np.int64]] = []
    for start in range(0, n, _BLOCK):
        products = csr_matrix(rows[start : start + _BLOCK] @ columns)
        for k in range(products.shape[0]):
            part = slice(products.indptr[k], products.indptr[k + 1])
            near, size = products.indices[part], products.data[part]
            others = (size > 0) & (near != start + k)
            near, size = near[others], size[others]
            joined.append(near[np.argpartition(size, -count)[-count:]] if len(near) > count else near)
    pointers = np.cumsum([0, *map(len, joined)])
    indices = np.concatenate(joined)
    near_ones = csr_matrix((np.full(len(indices), 0.5), indices, pointers), (n, n))
    return csr_matrix(near_ones + near_ones.T)


def cut(
    x: NDArray[Any], graph: Any, clusters: int, n_init: int, random_state: Any, components: Components = None
) -> NDArray[np.int64]:
    """Labels [N] of points [N, D] by `spectral_labels` of their graph [N, N].

    A handful of points joined with none but each other goes with the point nearest in direction.
    """
    off = strays(graph, clusters)
    if not off.any():
        return spectral_labels(graph, clusters, n_init, random_state, components)
    kept = np.flatnonzero(~off)
    found = spectral_labels(graph[kept][:, kept], clusters, n_init, random_state, components)
    near = np.abs(unit(x[off]) @ unit(x[kept]).T).argmax(1)
    labels = np.zeros(len(x), np.int64)
    labels[kept], labels[off] = found, found[near]
    return labels


def strays(graph: Any, clusters: int) -> NDArray[np.bool_]:
    """Which points [N] are joined with a handful of others and no more, where a cluster has hundreds.

    Each such handful is a graph of its own, so it would take an eigenvector of the few that tell clusters apart. Where
    most points are in handfuls none is a stray.
    """
    n = graph.shape[0]
    if _HANDFUL * n / clusters <= 1:
        return np.zeros(n, bool)
    _, part = connected_components(graph, directed=False)
    found: NDArray[np.bool_] = np.bincount(part)[part] < _HANDFUL * n / clusters
    return found if found.mean() < 0.5 else np.zeros(n, bool)


def spectral_labels(
    graph: Any, clusters: int, n_init: int, random_state: Any, components: Components = None
) -> NDArray[np.int64]:
    """Labels [N] by k-means among the rows, scaled to length 1, of the first eigenvectors of the normalised Laplacian.

    Ng, Jordan, Weiss (2002), "On Spectral Clustering", where there are as many eigenvectors as clusters. A cluster may
    fall in two more easily than two that are alike fall apart, as upright and slanted ones do before threes and fives.
    One eigenvector more then tells all of them apart, and k-means joins the halves, which are the smallest.

    Args:
        graph: symmetric [N, N], dense or sparse.
        clusters: k.
        n_init: k-means of which the best is taken.
        random_state: their seed.
        components: eigenvectors; None for k, and "gap" for those before the widest gap between the k-th eigenvalue and
            the 2k-th.
    """
    random = check_random_state(random_state)
    n = graph.shape[0]
    if clusters == 1:
        return np.zeros(n, np.int64)
    wanted = 2 * clusters if components == "gap" else components or clusters
    values, vectors = _first_vectors(graph, min(wanted, n), random)
    if components == "gap" and len(values) > clusters:
        kept = clusters + int((values[clusters - 1 : -1] - values[clusters:]).argmax())
        vectors = vectors[:, :kept]
    labels: NDArray[np.int64] = KMeans(clusters, n_init=n_init, random_state=random).fit_predict(normalize(vectors))
    return labels


def _first_vectors(
    graph: Any, count: int, random: np.random.RandomState
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The largest eigenvalues [count] of D^-1/2 W D^-1/2, which are 1 minus the Laplacian's, falling, and their
    eigenvectors [N, count].

    Of small graphs all are computed: subspaces that are told apart perfectly are separate graphs, so many eigenvalues
    are equal. Of large ones Lanczos's method finds the largest; scikit-learn looks for the Laplacian's smallest, for
    which it factorises a matrix that is hardly sparse (100 times slower with 10,000 points).
    """
    n = graph.shape[0]
    degree = np.asarray(graph.sum(1), np.float64).ravel()
    scale = 1 / np.sqrt(np.where(degree > 0, degree, 1))
    if n <= _DENSE:
        dense = (graph.toarray() if issparse(graph) else np.asarray(graph, np.float64)) * scale[:, None] * scale
        values, vectors = linalg.eigh(dense, subset_by_index=(n - count, n - 1))
        return values[::-1], vectors[:, ::-1]
    if issparse(graph):
        scaled = csr_matrix(csr_matrix(graph, dtype=np.float64).multiply(scale[:, None]).multiply(scale))
    else:
        scaled = graph * scale[:, None] * scale
    values, vectors = eigsh(scaled, k=count, which="LA", v0=random.uniform(-1, 1, n))
    order = np.argsort(-values)
    return values[order], vectors[:, order]


AFFINITIES: dict[str, Callable[[Any], Any]] = {
    "symmetric": lambda expression: affinity(expression, None),
    "normalised": lambda expression: affinity(expression, "l2"),
    "neighbours": neighbours,
}
"""How points of a sparse expression are joined."""
