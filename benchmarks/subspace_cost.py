"""What sparse subspace clustering by the lasso costs: seconds and memory by the number of points.

    python benchmarks/subspace_cost.py --counts 500 1000 2000 4000 --values 2000

Points of ten subspaces of six dimensions with a little noise; each size in a process of its own. Bar: 2,000 points of
2,000 values in 60 seconds on two cores, and memory that grows no faster than the square of the number of points.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from mezzotint.clustering import SparseSubspaceClustering
from mezzotint.metrics.clusters import cluster_accuracy

SUBSPACES, DIMENSIONS = 10, 6


def points(count: int, values: int) -> NDArray[np.float32]:
    """Points [count, values], a subspace after the other."""
    rng = np.random.default_rng(0)
    each = count // SUBSPACES
    parts = [rng.normal(size=(each, DIMENSIONS)) @ rng.normal(size=(DIMENSIONS, values)) for _ in range(SUBSPACES)]
    x = np.concatenate(parts).astype(np.float32)
    return x + 0.05 * rng.normal(size=x.shape).astype(np.float32)


def measure(file: Path, outliers: bool, queue: Any) -> None:
    """Cluster, and say seconds, the rise of the peak in MB, steps and the share of points that are right."""
    x = np.load(file)  # made elsewhere: memory of making them, freed and kept, would hide some of what a fit takes
    truth = np.repeat(np.arange(SUBSPACES), len(x) // SUBSPACES)
    before = psutil.Process().memory_info().rss
    started = time.perf_counter()
    found = SparseSubspaceClustering(SUBSPACES, outliers=outliers, random_state=0).fit(x)
    seconds = time.perf_counter() - started
    rise = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before) / 1e6
    queue.put((seconds, rise, found.n_iter_, cluster_accuracy(truth, found.labels_)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[500, 1000, 2000, 4000])
    parser.add_argument("--values", type=int, default=2000)
    parser.add_argument("--outliers", nargs="+", choices=("no", "yes"), default=["no", "yes"])
    options = parser.parse_args()
    context = mp.get_context("spawn")
    print("| points | values | outliers | seconds | peak above the points, MB | steps | right, % |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for count, outliers in ((count, outliers) for outliers in options.outliers for count in options.counts):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "points.npy"
            np.save(file, points(count, options.values))
            queue = context.Queue()
            worker = context.Process(target=measure, args=(file, outliers == "yes", queue))
            worker.start()
            seconds, rise, steps, right = queue.get()
            worker.join()
        cells = (
            f"{count:,}",
            f"{options.values:,}",
            outliers,
            f"{seconds:.1f}",
            f"{rise:.0f}",
            steps,
            f"{100 * right:.1f}",
        )
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
