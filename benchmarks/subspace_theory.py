"""Sparse subspace clustering on subspaces that are known: does it do what its theory says, and how far beyond?

    python benchmarks/subspace_theory.py --out subspaces.png

The experiment of Elhamifar and Vidal (2013, section 7.1): three planes of R^50, of which each lies in the sum of the
other two, at an angle from each other that is varied, as is the number of points of each. (The paper's have 4
dimensions, for which the condition below never holds at 60 degrees, the most that all three can be apart.) Points have
length 1 and no noise. Two things are counted over `--trials`: the share of C's absolute values that joins points of
different subspaces ("recovery error"), and the share of points in the wrong cluster.

Independent subspaces are recovered whatever their angle, says the first theorem: three that span 6 dimensions take a
part too. Others are, by the theorem of principal angles, wherever for every point

    max over sets of d other points of its subspace of sigma_d  >  sqrt(d) cos(angle)              (points of length 1)

Printed is how many trials meet the condition, and the largest recovery error where all do. The picture has a square for
each angle (down) and each number of points (across), black where all is right: recovery error, clustering error, and
whether the condition held.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mezzotint.clustering.graph import affinity, spectral_labels
from mezzotint.clustering.lasso import lasso_expression
from mezzotint.data.output import save_picture
from mezzotint.metrics.clusters import cluster_accuracy

DIMENSIONS, VALUES, COUNT = 2, 50, 3
ANGLES = (6, 12, 18, 24, 30, 36, 42, 48, 54, 60)
POINTS = (3, 4, 8, 16, 32)
ALPHA = 100.0
"""Of the estimator's own lasso. Theory is of its limit for large alpha, the least 1-norm."""

Array = NDArray[np.float64]


def bases(degrees: float | None, rng: np.random.Generator) -> Array:
    """Orthonormal bases [3, 50, 2]: dependent, at this angle, or independent and at right angles to nothing."""
    if degrees is None:
        return np.stack([np.linalg.qr(rng.normal(size=(VALUES, DIMENSIONS)))[0] for _ in range(COUNT)])
    space = np.linalg.qr(rng.normal(size=(VALUES, 2 * DIMENSIONS)))[0]
    first, second = space[:, :DIMENSIONS], space[:, DIMENSIONS:]
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.stack([first, c * first + s * second, c * first - s * second])


def points(spans: Array, count: int, rng: np.random.Generator) -> Array:
    """So many points of each subspace, of length 1: [3 * count, 50]."""
    x = np.concatenate([rng.normal(size=(count, DIMENSIONS)) @ span.T for span in spans])
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def holds(x: Array, spans: Array) -> bool:
    """Whether the condition holds for every point, made of the others."""
    cosines = [[np.linalg.svd(a.T @ b, compute_uv=False)[0] for b in spans] for a in spans]
    count = len(x) // COUNT
    sets = np.array(list(combinations(range(count), DIMENSIONS)))
    for i in range(COUNT):
        least = np.linalg.svd(x[i * count :][sets], compute_uv=False)[:, -1]
        bar = DIMENSIONS**0.5 * max(cosines[i][j] for j in range(COUNT) if j != i)
        if any(least[(sets != point).all(1)].max() <= bar for point in range(count)):
            return False
    return True


def one(degrees: float | None, count: int, seed: int) -> tuple[float, float, bool]:
    """Recovery error, clustering error, and whether theory promises that the first is 0."""
    rng = np.random.default_rng((seed, count, round(degrees or 0)))
    spans = bases(degrees, rng)
    x, truth = points(spans, count, rng), np.repeat(np.arange(COUNT), count)
    c = np.abs(lasso_expression(x, ALPHA)[0])
    own = (c * (truth[:, None] == truth)).sum(1)
    recovery = float((1 - own / c.sum(1)).mean())
    labels = spectral_labels(affinity(c), COUNT, 20, 0)
    return recovery, 1 - cluster_accuracy(truth, labels), degrees is None or holds(x, spans)


def main() -> None:
    """Count, print, draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--points", type=int, nargs="+", default=POINTS)
    parser.add_argument("--out", type=Path, default=Path("subspaces.png"))
    options = parser.parse_args()
    rows = (None, *ANGLES)
    cells = np.array(
        [[np.mean([one(row, n, k) for k in range(options.trials)], 0) for n in options.points] for row in rows]
    )
    print(f"| smallest angle | {' | '.join(f'{n} points' for n in options.points)} |")
    print(f"| --- |{' --- |' * len(options.points)}")
    for row, found in zip(rows, cells, strict=True):
        said = [f"{100 * a:.2f}; {100 * b:.1f}; {c:.0%}" for a, b, c in found]
        print(f"| {'independent' if row is None else f'{row} degrees'} | {' | '.join(said)} |")
    promised = cells[..., 2] == 1
    print(f"\nwhere theory promises it in all trials, {promised.sum()} cells: {100 * cells[promised, 0].max():.4f} %")
    shades = [cells[1:, :, 0], cells[1:, :, 1] / (2 / 3), 1 - cells[1:, :, 2]]
    grey = np.concatenate([np.pad(each.clip(0, 1), 1, constant_values=1) for each in shades], 1)
    save_picture(options.out, (grey * 255).round().astype(np.uint8).repeat(24, 0).repeat(24, 1)[..., None])


if __name__ == "__main__":
    main()
