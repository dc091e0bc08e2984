"""Ways through latent space."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def loop_weights(frames: int, stops: int) -> NDArray[np.float64]:
    """Weights [frames, stops] of a closed smooth way through `stops` points; every row has length 1."""
    from scipy.interpolate import CubicSpline  # slow to import

    knots = np.eye(stops)[[*range(stops), 0]]
    way: NDArray[np.float64] = CubicSpline(np.arange(stops + 1) / stops, knots, bc_type="periodic")(
        np.arange(frames) / frames
    )
    return way / np.linalg.norm(way, axis=1, keepdims=True)
