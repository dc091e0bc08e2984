"""A quadratic form and the sum of absolute values, exactly: feature-sign search."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


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
