"""Points expressed by few others, exactly: an active set for each point, which grows until no other point is missed.

Points are rows, as in `mezzotint.clustering.expression`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from mezzotint.clustering.expression import Array, shrunk
from mezzotint.clustering.feature_sign import least_with_l1

_FEW = 6000
"""Points whose products with each other are kept: 288 MB."""
_TOGETHER = 32
"""Points whose systems of equations fit into a cache together."""
_TINY = 1e-150
"""Instead of no product at all."""
_RHO = 0.25
"""Of the ADMM that comes near to an elastic net, over the mean squared length of the points."""


class Expressed(NamedTuple):
    """How a point is made of others: whose the values are that are not 0, in rising order."""

    support: NDArray[np.int64]
    values: Array


def _as_rows(found: Sequence[Expressed], n: int) -> csr_matrix:
    """C [len(found), N]."""
    pointers = np.cumsum([0, *(len(each.support) for each in found)])
    values = np.concatenate([each.values for each in found])
    columns = np.concatenate([each.support for each in found])
    return csr_matrix((values, columns, pointers), (len(found), n))


class _ByValues:
    """Products of points, computed where they are asked for.

    Args:
        x: points [N, D]; sums are in double precision, searches among all points in that of x.
    """

    def __init__(self, x: Array) -> None:
        self.x, self.exact = x, np.ascontiguousarray(x, np.float64)

    def __len__(self) -> int:
        return len(self.x)

    def with_all(self, rows: NDArray[np.int64]) -> Array:
        """Of some points with all, [B, N]."""
        found: Array = self.x[rows] @ self.x.T
        return found

    def among(self, supports: NDArray[np.int64]) -> Array:
        """Of points [..., K] with each other, [..., K, K]."""
        atoms = self.exact[supports]
        found: Array = atoms @ atoms.swapaxes(-1, -2)
        return found

    def with_each(self, supports: NDArray[np.int64], rows: Any) -> Array:
        """Of points [..., K] with a point of each, [...]; gives [..., K]."""
        found: Array = (self.exact[supports] @ self.exact[rows][..., None])[..., 0]
        return found

    def left_with_all(self, rows: NDArray[np.int64], found: Sequence[Expressed]) -> Array:
        """Of what is left of some points with all points, [B, N]."""
        left = np.empty((len(rows), self.x.shape[1]), self.x.dtype)
        for k, (row, each) in enumerate(zip(rows, found, strict=True)):
            left[k] = self.exact[row] - each.values @ self.exact[each.support]
        products: Array = left @ self.x.T
        return products


class _ByProducts:
    """The same for few points, whose products [N, N] are computed once."""

    def __init__(self, x: Array) -> None:
        exact = np.asarray(x, np.float64)
        self.products: Array = exact @ exact.T

    def __len__(self) -> int:
        return len(self.products)

    def with_all(self, rows: NDArray[np.int64]) -> Array:
        """As in `_ByValues`."""
        return self.products[rows]

    def among(self, supports: NDArray[np.int64]) -> Array:
        """As in `_ByValues`."""
        return self.products[supports[..., :, None], supports[..., None, :]]

    def with_each(self, supports: NDArray[np.int64], rows: Any) -> Array:
        """As in `_ByValues`."""
        return self.products[np.asarray(rows)[..., None], supports]

    def left_with_all(self, rows: NDArray[np.int64], found: Sequence[Expressed]) -> Array:
        """As in `_ByValues`."""
        left: Array = self.products[rows] - _as_rows(found, len(self.products)) @ self.products
        return left


Points = _ByValues | _ByProducts


def products_of(x: Array) -> Points:
    """What is asked of points [N, D] here is their products with each other, and nothing else."""
    return _ByProducts(x) if len(x) <= _FEW else _ByValues(x)


def reach(points: Points, block: int = 500) -> Array:
    """The largest absolute product of each of N points with another, [N]; tiny instead of 0."""
    return np.concatenate([_reach(_near(points, rows)) for rows in _blocks(len(points), block)])


def active_sets(
    points: Points,
    weigh: Callable[[Array], Array],
    tau: float,
    *,
    first: int = 60,
    max_iter: int = 50,
    block: int = 500,
) -> tuple[csr_matrix, int]:
    """How each of N points is made of the others, exactly (You, Li, Robinson, Vidal 2016, algorithm 1).

        minimise  tau |c|_1 + (1 - tau) / 2 |c|^2 + g / 2 |x_i - sum_j c_j x_j|^2

    Where it is solved among some points only, the points j with |x_j . d| > tau, d = g (x_i - sum_j c_j x_j), and no
    others, can improve it; they are the next active set, until none is new.

    Args:
        weigh: g of some points [B], given the largest absolute product [B] of each with another point.
        tau: above 0, at most 1.
        first: points nearest in direction that the active set begins with.
        max_iter: active sets at most.
        block: points at a time whose products with all are kept.

    Returns:
        C [N, N], sparse, and how many active sets it took at most.
    """
    found: list[Expressed] = []
    rounds, n = 0, len(points)
    for rows in _blocks(n, block):
        part, steps = _of_block(points, rows, weigh, tau, min(first, n - 1), max_iter)
        found += part
        rounds = max(rounds, steps)
    return _as_rows(found, n), rounds


def _blocks(n: int, block: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, n, block):
        yield np.arange(start, min(start + block, n))


def _near(points: Points, rows: NDArray[np.int64]) -> Array:
    """Absolute products of some points with all others, [B, N]; below 0 with themselves."""
    near = np.abs(points.with_all(rows))
    near[np.arange(len(rows)), rows] = -1
    return near


def _reach(near: Array) -> Array:
    return near.max(1).astype(np.float64).clip(_TINY)  # which is 0 in single precision


def _of_block(
    points: Points, rows: NDArray[np.int64], weigh: Callable[[Array], Array], tau: float, first: int, max_iter: int
) -> tuple[list[Expressed], int]:
    """Of the points `rows`, together: whether other points would do better is asked of all at once."""
    near = _near(points, rows)
    weights = weigh(_reach(near))
    supports = np.sort(np.argpartition(near, -first, axis=1)[:, -first:], axis=1)
    starts = _nearly(points, rows, supports, tau, weights)
    found = [Expressed(support, values) for support, values in zip(supports, starts, strict=True)]
    open_ones = np.arange(len(rows))
    step = 0
    for step in range(1, max_iter + 1):  # noqa: B007 (it is returned)
        for b in open_ones:
            found[b] = _among(points, rows[b], found[b], tau, weights[b])
        steep = np.abs(points.left_with_all(rows[open_ones], [found[b] for b in open_ones]))
        steep *= weights[open_ones, None]
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
    return found, step


def _with(known: Expressed, more: NDArray[np.int64]) -> Expressed:
    """The same with other points in its support, whose values are 0."""
    support = np.union1d(known.support, more)
    values = np.zeros(len(support))
    values[np.searchsorted(support, known.support)] = known.values
    return Expressed(support, values)


def _weighed(products: Array, tau: float, weight: Any) -> Array:
    """Products of points [..., K, K] with the weight of their squared coefficients."""
    places = np.arange(products.shape[-1])
    products[..., places, places] *= 1 + 1e-10  # two points may be one
    products[..., places, places] += ((1 - tau) / np.asarray(weight))[..., None]
    return products


def _among(points: Points, row: int, known: Expressed, tau: float, weight: float) -> Expressed:
    """The exact solution among the points of a support."""
    products = _weighed(points.among(known.support), tau, weight)
    values = least_with_l1(products, points.with_each(known.support, row), tau / weight, known.values)
    kept = values != 0
    return Expressed(known.support[kept], values[kept])


def _nearly(
    points: Points,
    rows: NDArray[np.int64],
    supports: NDArray[np.int64],
    tau: float,
    weights: Array,
    steps: int = 30,
) -> Array:
    """Coefficients [B, K] near to the solutions among supports [B, K], by ADMM for all points at once.

    They say which are 0 and which signs the others have, but for few; `least_with_l1` needs few steps from there.
    """
    found = np.zeros(supports.shape)
    for start in range(0, len(rows), _TOGETHER):
        part = slice(start, start + _TOGETHER)
        penalty = (tau / weights[part])[:, None]
        target = points.with_each(supports[part], rows[part])
        products = _weighed(points.among(supports[part]), tau, weights[part])
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
