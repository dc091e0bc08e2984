"""Points expressed by few others by the elastic net.

Points are rows, as in `mezzotint.clustering.expression`.
"""

from __future__ import annotations

from scipy.sparse import csr_matrix

from mezzotint.clustering.active_set import active_sets, products_of
from mezzotint.clustering.expression import Array, unit


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
    """By the elastic net (You, Li, Robinson, Vidal 2016, "Oracle Based Active Set Algorithm", eq. 3).

        minimise  tau |c|_1 + (1 - tau) / 2 |c|^2 + g / 2 |x_i - sum_j c_j x_j|^2,    g = gamma tau / max_j |x_j . x_i|

    Args:
        x: points [N, D].
        gamma: how much larger than the least g for which a point is made of anything.
        tau: 1 is the lasso, which chooses fewest; less joins more points of a subspace.
        scale: scale points to length 1 first.
        first, max_iter, block: as in `active_sets`.

    Returns:
        C [N, N], sparse.

    Example:
        >>> import numpy as np
        >>> x = np.array([[1.0, 0], [2, 0], [0, 1], [0, 3]])
        >>> (elastic_expression(x).toarray() != 0).astype(int).tolist()
        [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]
    """
    points = products_of(unit(x) if scale else x)
    return active_sets(points, lambda reach: gamma * tau / reach, tau, first=first, max_iter=max_iter, block=block)[0]
