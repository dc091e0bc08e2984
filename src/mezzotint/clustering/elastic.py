"""Points expressed by few others by the elastic net: an active set for each point, and its exact solution.

Points are rows, as in `mezzotint.clustering.expression`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from mezzotint.clustering.expression import Array, shrunk, unit

_TOGETHER = 32
"""Points whose systems of equations fit into a cache together."""
_RHO = 0.25
"""Of the ADMM that comes near to an elastic net, over the mean squared length of the points."""


def elastic_expression(
    x: Array,
    gamma: float = 200.0,
    tau: float = 0.9,
    *,
    scale: bool = True,
    first: int = 60,
    max_iter: int = 50,
    block: int = 500,
) -> csr_matrix:
    """By the elastic net, with an active set (You, Li, Robinson, Vidal 2016, "Oracle Based Active Set", algorithm 1).

        minimise  tau |c|_1 + (1 - tau) / 2 |c|^2 + g / 2 |x_i - sum_j c_j x_j|^2,    g = gamma tau / max_j |x_j . x_i|

    Where it is solved among some points only, the points j with |x_j . d| > tau, d = g (x_i - sum_j c_j x_j), and no
    others, can improve it; they are the next active set, until none is new.

    Args:
        x: points [N, D].
        gamma: how much larger than the least g for which a point is made of anything.
        tau: 1 is the lasso, which chooses fewest; less joins more points of a subspace.
        scale: scale points to length 1 first.
        first: points nearest in direction that the active set begins with.
        max_iter: active sets at most.
        block: points at a time whose products with all are kept.

    Returns:
        C [N, N], sparse.
    """
    x = unit(x) if scale else x
    exact = np.ascontiguousarray(x, np.float64)
    n = len(x)
    found: list[Expressed] = []
    for start in range(0, n, block):
        rows = np.arange(start, min(start + block, n))
        found += _active_sets(x, exact, rows, gamma, tau, min(first, n - 1), max_iter)
    pointers = np.cumsum([0, *(len(each.support) for each in found)])
    values = np.concatenate([each.values for each in found])
    columns = np.concatenate([each.support for each in found])
    return csr_matrix((values, columns, pointers), (n, n))


class Expressed(NamedTuple):
    """How a point is made of others: whose the values are that are not 0, in rising order."""

    support: NDArray[np.int64]
    values: Array


def _active_sets(
    x: Array, exact: Array, rows: NDArray[np.int64], gamma: float, tau: float, first: int, max_iter: int
) -> list[Expressed]:
    """Of the points `rows`, together: whether other points would do better is asked by one product of matrices.

    Args:
        x: points [N, D], by which is asked; `exact` are the same in double precision.
        first: points that each of the active sets begins with.
    """
    every = np.arange(len(rows))
    near = np.abs(x[rows] @ x.T)
    near[every, rows] = -1
    weights = gamma * tau / np.maximum(near.max(1), 1e-150).astype(np.float64)
    supports = np.sort(np.argpartition(near, -first, axis=1)[:, -first:], axis=1)
    starts = _nearly(exact, rows, supports, tau, weights)
    found = [Expressed(support, values) for support, values in zip(supports, starts, strict=True)]
    open_ones = every
    for _ in range(max_iter):
        duals = np.empty((len(open_ones), x.shape[1]), x.dtype)
        for k, b in enumerate(open_ones):
            found[b], duals[k] = _among(exact, exact[rows[b]], found[b], tau, weights[b])
        steep = np.abs(duals @ x.T)
        steep[np.arange(len(open_ones)), rows[open_ones]] = 0
        still = []
        for k, b in enumerate(open_ones):
            steep[k, found[b].support] = 0
            more = np.flatnonzero(steep[k] > tau * (1 + 1e-5))
            if len(more) > first:  # hundreds, where points lie close; most of them are none of the best
                more = more[np.argpartition(steep[k, more], -first)[-first:]]
            if len(more):
                found[b] = _with(found[b], more)
                still.append(b)
        open_ones = np.array(still, np.int64)
        if not len(open_ones):
            break
    return found


def _with(known: Expressed, more: NDArray[np.int64]) -> Expressed:
    """The same with other points in its support, whose values are 0."""
    support = np.union1d(known.support, more)
    values = np.zeros(len(support))
    values[np.searchsorted(support, known.support)] = known.values
    return Expressed(support, values)


def _system(atoms: Array, tau: float, weight: Any) -> Array:
    """Products of points [..., K, D] with the weight of their squared coefficients, [..., K, K]."""
    products = atoms @ atoms.swapaxes(-1, -2)
    places = np.arange(products.shape[-1])
    products[..., places, places] *= 1 + 1e-10  # two points may be one
    products[..., places, places] += ((1 - tau) / np.asarray(weight))[..., None]
    return products


def _among(x: Array, point: Array, known: Expressed, tau: float, weight: float) -> tuple[Expressed, Array]:
    """The exact solution among the points of a support, and what is left, times the weight [D]."""
    atoms = x[known.support]
    values = least_with_l1(_system(atoms, tau, weight), atoms @ point, tau / weight, known.values)
    kept = values != 0
    return Expressed(known.support[kept], values[kept]), weight * (point - values[kept] @ atoms[kept])


def _nearly(
    x: Array, rows: NDArray[np.int64], supports: NDArray[np.int64], tau: float, weights: Array, steps: int = 30
) -> Array:
    """Coefficients [B, K] near to the solutions among supports [B, K], by ADMM for all points at once.

    They say which are 0 and which signs the others have, but for few; `least_with_l1` needs few steps from there.
    """
    found = np.zeros(supports.shape)
    for start in range(0, len(rows), _TOGETHER):
        part = slice(start, start + _TOGETHER)
        atoms, penalty = x[supports[part]], (tau / weights[part])[:, None]
        target = (atoms @ x[rows[part]][:, :, None])[:, :, 0]
        products = _system(atoms, tau, weights[part])
        rho: Any = np.maximum(_RHO * np.trace(products, axis1=1, axis2=2)[:, None] / products.shape[1], 1e-150)
        places = np.arange(products.shape[1])
        products[:, places, places] += rho
        inverse = np.linalg.inv(products)
        z: Any = np.zeros_like(target)
        u: Any = np.zeros_like(target)
        for _ in range(steps):
            c = (inverse @ (target + rho * (z - u))[:, :, None])[:, :, 0]
            z = shrunk(c + u, penalty / rho)
            u += c - z
        found[part] = z
    return found


def least_with_l1(products: Array, target: Array, penalty: float, start: Array) -> Array:
    """The c [K] that minimises  c^T P c / 2 - b^T c + penalty |c|_1,  exactly (feature-sign search, Lee et al. 2007).

    Entries that are not 0 and their signs are guessed; for a guess the minimum is the solution of a linear system. On
    the way there the first entry that would change its sign becomes 0 instead; where none does, the entry with the
    steepest slope joins.

    Args:
        products: P [K, K], positive definite.
        target: b [K].
        penalty: above 0.
        start: where to begin [K]; near the minimum it takes fewer steps.
    """
    at_once = _by_blocks(products, target, penalty, np.sign(start))
    return _by_steps(products, target, penalty, start) if at_once is None else at_once


def _by_blocks(products: Array, target: Array, penalty: float, signs: Array) -> Array | None:
    """The same, where all entries that are wrong are changed together; None where that comes to no end.

    An entry is wrong whose solution has another sign than was guessed, or that is guessed to be 0 and whose slope is
    too steep. From a good guess this takes a few systems (block pivoting, as in Kim and Park 2008 for signs known).
    """
    fewest, patience = len(signs) + 1, 3
    c = np.zeros_like(target)
    while patience:
        active = np.flatnonzero(signs)
        c[:] = 0
        if len(active):
            c[active] = np.linalg.solve(products[np.ix_(active, active)], target[active] - penalty * signs[active])
        slope = target - products @ c
        wrong = (c * signs < 0) | ((signs == 0) & (np.abs(slope) > penalty * (1 + 1e-9)))
        count = int(np.count_nonzero(wrong))
        if not count:
            return c
        fewest, patience = (count, 3) if count < fewest else (fewest, patience - 1)
        signs = np.where(wrong, np.where(signs == 0, np.sign(slope), 0), signs)
    return None


def _by_steps(products: Array, target: Array, penalty: float, start: Array) -> Array:
    """The same, an entry at a time, so that the sum falls in each step."""
    c, signs = start.copy(), np.sign(start)
    for _ in range(10 * len(c) + 100):
        active = np.flatnonzero(signs)
        if len(active):
            wanted = np.linalg.solve(products[np.ix_(active, active)], target[active] - penalty * signs[active])
            crosses = wanted * signs[active] < 0
            if crosses.any():
                now = c[active]
                way = np.where(crosses, now / np.where(crosses, now - wanted, 1), np.inf)
                first = way.argmin()
                c[active] = now + way[first] * (wanted - now)
                c[active[first]] = signs[active[first]] = 0
                continue
            c[active] = wanted
        slope = target - products @ c
        slope[active] = 0
        steepest = np.abs(slope).argmax()
        if np.abs(slope[steepest]) <= penalty * (1 + 1e-9):
            break
        signs[steepest] = np.sign(slope[steepest])
    return c
