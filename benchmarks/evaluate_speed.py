"""How long all scores of 50,000 pictures of 32 pixels take with the embedded extractor, and how much memory.

    python benchmarks/evaluate_speed.py

Real and generated pictures are two draws of `shapes`, 32 pixels, colour, in arrays that are there before the clock;
the second run finds the features of the real ones in the cache. Memory is the peak of the whole process above what it
was with both arrays loaded, read from the operating system.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import psutil

import mezzotint as mz
from mezzotint.data.shapes import shapes


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, default=50_000)
    parser.add_argument("--extractor", default="mezzotint-1")
    options = parser.parse_args()
    real, fake = (shapes(options.pictures, 32, seed=seed).pictures for seed in (0, 1))
    before = psutil.Process().memory_info().rss
    with tempfile.TemporaryDirectory() as cache:
        for name in ("first", "from the cache"):
            started = time.perf_counter()
            found = mz.evaluate(fake, real, extractor=options.extractor, cache_dir=Path(cache))
            print(f"{name:16}{time.perf_counter() - started:7.1f} s   {len(list(found))} scores", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"peak {(peak - before) / 2**30:.2f} GB above the {before / 2**30:.2f} GB with the data loaded")
    for score in found:
        print(score)
    for name, why in found.skipped.items():
        print(f"without {name}: {why}")


if __name__ == "__main__":
    main()
