"""What sparse subspace clustering by the lasso costs: seconds and memory by the number of points.

    python benchmarks/subspace_cost.py --counts 500 1000 2000 4000 --values 2000
    python benchmarks/subspace_cost.py --counts 1000 2000 --peer subspace-clustering

Points of ten subspaces of six dimensions with a little noise; each size in a process of its own. Bar: 2,000 points of
2,000 values in 60 seconds on two cores, and memory that grows no faster than the square of the number of points.

`--peer` is a folder with github.com/ChongYou/subspace-clustering, which solves the lasso point by point by active sets
with SPAMS; it, our elastic net with tau = 1, which is the same problem, and our lasso then take turns.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from mezzotint.clustering import ElasticNetSubspaceClustering, SparseSubspaceClustering
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


def beside(options: argparse.Namespace) -> None:
    """Three ways to the lasso in turn, in this process."""
    sys.path.insert(0, str(options.peer))
    from cluster.selfrepresentation import ElasticNetSubspaceClustering as Theirs

    ways: dict[str, Callable[[], Any]] = {
        "theirs": lambda: Theirs(
            SUBSPACES, affinity="symmetrize", random_state=0, algorithm="spams", active_support=True, gamma=20, tau=1.0
        ),
        "net, tau = 1": lambda: ElasticNetSubspaceClustering(
            SUBSPACES, gamma=20, tau=1.0, affinity="normalised", random_state=0
        ),
        "lasso": lambda: SparseSubspaceClustering(SUBSPACES, random_state=0),
    }
    print("| points | values | by | seconds | right, % |\n| --- | --- | --- | --- | --- |")
    for count in options.counts:
        x, truth = points(count, options.values), np.repeat(np.arange(SUBSPACES), count // SUBSPACES)
        for by, make in ways.items():
            started = time.perf_counter()
            labels = make().fit(x).labels_
            seconds = time.perf_counter() - started
            right = 100 * cluster_accuracy(truth, labels)
            print(f"| {count:,} | {options.values:,} | {by} | {seconds:.1f} | {right:.1f} |", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[500, 1000, 2000, 4000])
    parser.add_argument("--values", type=int, default=2000)
    parser.add_argument("--outliers", nargs="+", choices=("no", "yes"), default=["no", "yes"])
    parser.add_argument("--peer", type=Path, help="folder of a public program to take turns with")
    options = parser.parse_args()
    if options.peer:
        beside(options)
        return
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
