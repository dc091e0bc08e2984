"""Points expressed by few others: what sparse subspace clustering clusters by. Pure functions of arrays.

Points are rows, x_i in R^D, N of them. Each function gives C [N, N] with a zero diagonal, whose row i says how x_i is
made of the others: x_i ~ sum_j C_ij x_j. A point that lies in one of several subspaces is best made of few points of
its own subspace, so C joins points of one subspace (Elhamifar and Vidal 2013, theorem 1).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

Array = NDArray[np.floating[Any]]


def shrunk(values: Array, by: Any) -> Array:
    """Towards zero by so much."""
    found: Array = np.sign(values) * np.maximum(np.abs(values) - by, 0)
    return found


def omp_expression(
    x: Array, nonzeros: int = 5, tolerance: float = 1e-6, *, scale: bool = True, block: int = 1000
) -> csr_matrix:
    """By orthogonal matching pursuit: greedily the point nearest in direction to what is left (You et al. 2016).

        repeat `nonzeros` times:   add j = argmax |x_j . r|,   r = x - its projection on those chosen

    A point of which nothing is left before that is made of other points once more, so that a subspace of fewer
    dimensions than `nonzeros` does not fall apart; the paper stops there. Many points are pursued together, by products
    of matrices.

    Args:
        x: points [N, D].
        nonzeros: points that one is made of.
        tolerance: squared length of what is left, over that of the point, that counts as nothing.
        scale: scale points to length 1 first.
        block: points at a time: memory is block x N.

    Returns:
        C [N, N], sparse.

    Example:
        >>> x = np.array([[1.0, 0], [2, 0], [0, 1], [0, 3]])
        >>> omp_expression(x, 1).toarray().round(6).tolist()
        [[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0]]
    """
    x = unit(x) if scale else x
    n, most = len(x), min(nonzeros, len(x) - 1)
    indices = np.zeros((n, most), np.int64)
    values = np.zeros((n, most), x.dtype)
    for start in range(0, n, block):
        rows = np.arange(start, min(start + block, n))
        indices[rows], values[rows] = _pursue(x, rows, most, tolerance)
    found = csr_matrix((values.ravel(), indices.ravel(), np.arange(n + 1) * most), (n, n))
    found.eliminate_zeros()
    return found


def _pursue(x: Array, rows: NDArray[np.int64], most: int, tolerance: float) -> tuple[NDArray[np.int64], Array]:
    """Chosen points and their coefficients, [B, most] each, of some rows of x."""
    mine, every = x[rows], np.arange(len(rows))
    chosen = np.zeros((len(rows), most), np.int64)
    values = np.zeros((len(rows), most), x.dtype)
    taken = np.zeros((len(rows), len(x)), bool)
    taken[every, rows] = True
    left, begun = mine, np.zeros(len(rows), np.int64)  # where the pursuit that is under way began
    for k in range(most):
        near = np.abs(left @ x.T)
        near[taken] = -1
        chosen[:, k] = near.argmax(1)
        taken[every, chosen[:, k]] = True
        under_way = np.arange(k + 1) >= begun[:, None]
        atoms = x[chosen[:, : k + 1]] * under_way[:, :, None]  # [B, k + 1, D]
        gram = atoms @ atoms.transpose(0, 2, 1)
        places = np.arange(k + 1)
        gram[:, places, places] += np.where(under_way, 1e-10 * gram[:, places, places], 1)  # two points as one; none
        weights = np.linalg.solve(gram, atoms @ mine[:, :, None])[..., 0]
        values[:, : k + 1] = np.where(under_way, weights, values[:, : k + 1])
        left = mine - (weights[:, None, :] @ atoms)[:, 0]
        done = np.square(left).sum(1) <= tolerance * np.square(mine).sum(1)
        left, begun = np.where(done[:, None], mine, left), np.where(done, k + 1, begun)
    return chosen, values


def unit(x: Array) -> Array:
    """Rows of length 1; a row of zeros stays."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    found: Array = x / np.where(length > 0, length, 1)
    return found
