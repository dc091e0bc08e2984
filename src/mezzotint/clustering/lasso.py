"""Points expressed by few others by the lasso, with gross errors and affine subspaces as options.

Points are rows, as in `mezzotint.clustering.expression`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import linalg

from mezzotint.clustering.active_set import active_sets, products_of, reach
from mezzotint.clustering.expression import Array, shrunk


def lasso_expression(
    x: Array,
    alpha: float = 20.0,
    *,
    affine: bool = False,
    outliers: bool = False,
    tolerance: float = 2e-4,
    max_iter: int = 200,
) -> tuple[Array, int]:
    """By the lasso: exactly, by active sets, or, with outliers or affine, by the alternating direction method (ADMM).

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
        tolerance: of the two residuals of the ADMM, the largest over all entries.
        max_iter: steps at most, or active sets.

    Returns:
        C [N, N] and the number of steps.

    Example:
        >>> line, other = np.outer([1.0, 2, 3], [1.0, 0, 0]), np.outer([1.0, 2, 3], [0.0, 1, 1])
        >>> c, _ = lasso_expression(np.concatenate((line, other)))
        >>> bool((c[:3, 3:] == 0).all()), bool((c[:3, :3] != 0).any(1).all())
        (True, True)
    """
    if outliers:
        return _outliers(x, alpha, affine, tolerance, max_iter)
    if affine:
        return _affine(x, alpha, tolerance, max_iter)
    return _exactly(x, alpha, max_iter)


def _exactly(x: Array, alpha: float, max_iter: int) -> tuple[Array, int]:
    """A point at a time, which costs as much as a point has others that it is made of."""
    points = products_of(x)
    weight = alpha / _least(reach(points))
    found, steps = active_sets(points, lambda near: np.full_like(near, weight), 1.0, max_iter=max_iter)
    return found.toarray().astype(x.dtype), steps


def _least(reach: Array) -> float:
    """The least, of those that are not 0: a point that is like no other, such as a black picture, is made of nothing
    whatever lambda is."""
    some = reach > 1e-12 * reach.max()
    return float(reach[some].min()) if some.any() else 1.0


def _affine(x: Any, alpha: float, tolerance: float, max_iter: int) -> tuple[Array, int]:
    """A is made of all points, C of few; they become the same. `u` is the multiplier over rho."""
    n, gram = len(x), x @ x.T
    weight, rho = alpha / _least((np.abs(gram) * (1 - np.eye(n, dtype=x.dtype))).max(1)), alpha
    inverse = linalg.inv(weight * gram + rho * np.eye(n, dtype=x.dtype) + rho, check_finite=False)
    c, u = np.zeros_like(gram), np.zeros_like(gram)
    sums = np.zeros(n, x.dtype)  # the multiplier of rows that add up to 1, over rho
    step = 0
    for step in range(1, max_iter + 1):  # noqa: B007 (it is returned)
        a = (weight * gram + rho * (c - u) + rho * (1 - sums)[:, None]) @ inverse
        c = shrunk(a + u, 1 / rho)
        np.fill_diagonal(c, 0)
        u += a - c
        off = a.sum(1) - 1
        sums += off
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
    mu, rho = alpha / _least(off.max(1)), alpha
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
