"""Points expressed by few others: what sparse subspace clustering clusters by. Pure functions of arrays.

Points are rows, x_i in R^D, N of them. Each function gives C [N, N] with a zero diagonal, whose row i says how x_i is
made of the others: x_i ~ sum_j C_ij x_j. A point that lies in one of several subspaces is best made of few points of
its own subspace, so C joins points of one subspace (Elhamifar and Vidal 2013, theorem 1).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.sparse import csr_matrix

Array = NDArray[np.floating[Any]]


def lasso_expression(
    x: Array,
    alpha: float = 20.0,
    *,
    affine: bool = False,
    outliers: bool = False,
    tolerance: float = 2e-4,
    max_iter: int = 200,
) -> tuple[Array, int]:
    """By the lasso, all points at once, with the alternating direction method of multipliers (ADMM).

        minimise  |C|_1 + lambda / 2 |X - C X|^2,                     with noise        (Elhamifar and Vidal, eq. 13)
        minimise  |C|_1 + lambda_e |E|_1  with  X = C X + E,          with outliers                            (eq. 12)

    both with diag(C) = 0 and, for affine subspaces, rows of C that add up to 1. lambda = alpha / mu, where mu is the
    least over points of the largest product with another point: for a smaller lambda some point is made of nothing
    (proposition 1). Outlying values are weighed as in the authors' program, against the largest 1-norm of a point.

    Args:
        x: points [N, D].
        alpha: how much more than that lambda is.
        affine: subspaces need not hold the origin.
        outliers: some values of points are grossly wrong.
        tolerance: of the two residuals, the largest over all entries.
        max_iter: steps at most.

    Returns:
        C [N, D] and the number of steps.

    Example:
        >>> line, other = np.outer([1.0, 2, 3], [1.0, 0, 0]), np.outer([1.0, 2, 3], [0.0, 1, 1])
        >>> c, _ = lasso_expression(np.concatenate((line, other)))
        >>> bool((c[:3, 3:] == 0).all()), bool((c[:3, :3] != 0).any(1).all())
        (True, True)
    """
    solve = _outliers if outliers else _noise
    return solve(x, alpha, affine, tolerance, max_iter)


def shrunk(values: Array, by: Any) -> Array:
    """Towards zero by so much."""
    found: Array = np.sign(values) * np.maximum(np.abs(values) - by, 0)
    return found


def _least_reach(products: Array) -> float:
    """The least over rows of the largest absolute product off the diagonal; tiny instead of 0."""
    reach = np.abs(products)
    np.fill_diagonal(reach, 0)
    return float(max(reach.max(1).min(), np.finfo(products.dtype).tiny ** 0.5))


def _noise(x: Any, alpha: float, affine: bool, tolerance: float, max_iter: int) -> tuple[Array, int]:
    """A is made of all points, C of few; they become the same. `u` is the multiplier over rho."""
    n, gram = len(x), x @ x.T
    weight, rho = alpha / _least_reach(gram), alpha
    system = weight * gram + rho * np.eye(n, dtype=x.dtype) + (rho if affine else 0)
    inverse = linalg.inv(system, check_finite=False)
    c, u = np.zeros_like(gram), np.zeros_like(gram)
    sums = np.zeros(n, x.dtype)  # the multiplier of rows that add up to 1, over rho
    step = 0
    for step in range(1, max_iter + 1):  # noqa: B007 (it is returned)
        wanted = weight * gram + rho * (c - u)
        if affine:
            wanted += rho * (1 - sums)[:, None]
        a = wanted @ inverse
        c = shrunk(a + u, 1 / rho)
        np.fill_diagonal(c, 0)
        u += a - c
        off = a.sum(1) - 1 if affine else np.zeros(1)
        sums += off if affine else 0
        if np.abs(a - c).max() < tolerance and np.abs(off).max() < tolerance:
            break
    return c, step


def _outliers(x: Any, alpha: float, affine: bool, tolerance: float, max_iter: int) -> tuple[Array, int]:
    """Points made of other points and of single values, P = [X; I / gamma]: Z P = X.

    (mu P P^T + rho I)^-1 is applied through X X^T, so that a step costs some products of X with [N, N].
    """
    n, d = x.shape
    gamma = alpha / float(np.abs(x).sum(1).max())
    products = np.concatenate((x @ x.T, x / gamma), 1)  # of each point with all points and all values
    off = np.abs(products)
    np.fill_diagonal(off[:, :n], 0)
    mu, rho = alpha / max(float(off.max(1).min()), float(np.finfo(x.dtype).tiny) ** 0.5), alpha
    share = 1 / gamma**2 + rho / mu
    inner = linalg.inv(share * np.eye(n, dtype=x.dtype) + x @ x.T, check_finite=False)

    def by_points(values: Array) -> Array:
        """`values` [N, D] times (X^T X + share I)^-1."""
        found: Array = (values - (values @ x.T) @ inner @ x) / share
        return found

    def solved(points: Array, single: Array) -> tuple[Array, Array]:
        """[points | single] times (mu P P^T + rho I)^-1."""
        middle = by_points(points @ x + single / gamma)
        return (points - middle @ x.T) / rho, (single - middle / gamma) / rho

    if affine:
        ones = np.ones((1, n), x.dtype), np.zeros((1, d), x.dtype)
        along = solved(*ones)
        scale = rho / (1 + rho * along[0].sum())
    c, e = np.zeros((n, n), x.dtype), np.zeros((n, d), x.dtype)
    uc, ue, v = np.zeros_like(c), np.zeros_like(e), np.zeros_like(x)
    sums = np.zeros(n, x.dtype)
    step = 0
    for step in range(1, max_iter + 1):  # noqa: B007 (it is returned)
        target = x + v
        points, single = mu * target @ x.T + rho * (c - uc), mu * target / gamma + rho * (e - ue)
        if affine:
            points += rho * (1 - sums)[:, None]
        a, b = solved(points, single)
        if affine:  # Sherman and Morrison: the system has rho 1 1^T more
            more = scale * a.sum(1)
            a, b = a - more[:, None] * along[0], b - more[:, None] * along[1]
        np.fill_diagonal(a, 0)
        c, e = shrunk(a + uc, 1 / rho), shrunk(b + ue, 1 / rho)
        np.fill_diagonal(c, 0)
        left = x - a @ x - b / gamma
        v += left
        uc += a - c
        ue += b - e
        off_one = a.sum(1) - 1 if affine else np.zeros(1)
        sums += off_one if affine else 0
        apart = max(np.abs(a - c).max(), np.abs(b - e).max(), np.abs(off_one).max())
        if apart < tolerance and np.abs(left).max() < tolerance:
            break
    return c, step


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
