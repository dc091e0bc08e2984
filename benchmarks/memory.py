"""Does the memory of a fit depend on the number of pictures? The peak of whole processes, and for four times as many.

    python benchmarks/memory.py --count 20000

Procedural pictures of 32 x 32 in colour (61 and 246 MB packed for 20,000 and 80,000), in a file that is mapped into
memory. Each fit is `mezzotint train` in a process of its own; what is measured is the peak of the memory that belongs
to the process alone (its resident set less the file's own pages, which the system takes back when it needs them).
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "pca": ("pca", {"components": 50}),
    "kmeans": ("kmeans", {"components": 10, "covariance": "diag", "passes": 2}),
    "kmeans, small batches": ("kmeans", {"components": 10, "covariance": "diag", "passes": 1, "mini_batch": True}),
    "gmm, diagonal": ("gmm", {"components": 10, "covariance": "diag", "passes": 2}),
    "lda": ("lda", {}),
    "ssc": ("ssc", {"components": 5, "points": 500, "method": "omp"}),
    "topics": ("topics", {"topics": 10, "words": 50, "passes": 2, "patch": 8}),
}


def make(path: Path, count: int) -> None:
    """Write so many pictures with classes, a part at a time."""
    with (path / "pictures.npy").open("wb") as file:
        head = {"descr": "|u1", "fortran_order": False, "shape": (count, 32, 32, 3)}
        np.lib.format.write_array_header_1_0(file, head)
        for start in range(0, count, 1000):
            rng = np.random.default_rng(start)
            base = rng.integers(0, 256, (min(1000, count - start), 4, 4, 3), dtype=np.uint8)
            file.write(base.repeat(8, 1).repeat(8, 2).tobytes())


def peak(kind: str, path: Path, queue: Any) -> None:
    """Fit one, and say the peak of this process's own memory in MB."""
    import threading

    import psutil

    import mezzotint as mz

    process, most, done = psutil.Process(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            known = process.memory_info()
            most[0] = max(most[0], known.rss - known.shared)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    model, settings = KINDS[kind]
    pictures = np.load(path / "pictures.npy", mmap_mode="r")
    source: Any = path / "pictures.npy"
    if model == "lda":
        from mezzotint.data.types import PictureSet

        labels = np.arange(len(pictures)) % 3
        splits = {"train": np.arange(len(pictures)), "validation": np.empty(0, int), "test": np.empty(0, int)}
        names = tuple(map(str, range(len(pictures))))
        source = PictureSet(pictures, labels, ("a", "b", "c"), names, splits, "memory", f"memory {len(pictures)}")
    with tempfile.TemporaryDirectory() as folder:
        mz.train(model, source, out=Path(folder) / "run", settings={"model": settings}, quiet=True)
    done.set()
    thread.join()
    queue.put(most[0] / 1e6)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--kinds", nargs="+", choices=tuple(KINDS), default=list(KINDS))
    options = parser.parse_args()
    context = mp.get_context("spawn")
    counts = (options.count, 4 * options.count)
    print(f"| | {counts[0]:,} pictures, MB | {counts[1]:,} pictures, MB |\n| --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for count in counts:
            (Path(folder) / str(count)).mkdir()
            make(Path(folder) / str(count), count)
        for kind in options.kinds:
            found = []
            for count in counts:
                queue = context.Queue()
                worker = context.Process(target=peak, args=(kind, Path(folder) / str(count), queue))
                worker.start()
                found.append(queue.get())
                worker.join()
            print(f"| {kind} | {found[0]:.0f} | {found[1]:.0f} |", flush=True)


if __name__ == "__main__":
    main()
