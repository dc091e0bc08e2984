"""Does InfoGAN find the ten digits without labels? Its ten-way code against the classes of MNIST.

    MEZZOTINT_DATA=... python benchmarks/infogan_digits.py --steps 5000 --seeds 0 1 2 --out infogan

One ten-way code and two continuous ones, 62 noise variables, batches of 128: the paper's MNIST experiment, whose
program takes 5,000 steps (Chen et al. 2016, section 7.2: an error of 5 %). Which value of the code means which digit
is settled on 10,000 training pictures, one to one, so that as many as can be are right (the Hungarian method); the
error is then counted on the 10,000 test pictures. By majority, where two values may mean the same digit, is told
beside it. Labels are used for nothing else.

A seed that has been trained is not trained again, and one that was stopped goes on from its checkpoint. Each seed
leaves its run, `codes.png` (a row for each code) and `c0.png` to `c2.png` (each with ten noises); results.json has all.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

import mezzotint as mz
from _trained import trained
from mezzotint.core import atomic
from mezzotint.data.open import open_pictures
from mezzotint.data.types import DataConfig, PictureSet
from mezzotint.engine.feed import to_tensor

COUNT, DIGITS = 10_000, 10


@torch.no_grad()
def kinds(model: Any, pictures: PictureSet, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The value of c0 that Q thinks each picture has, [N]."""
    parts = [to_tensor(pictures.pictures[rows[i : i + 500]], model.device) for i in range(0, len(rows), 500)]
    return np.concatenate([model.get_codes(model.encode(x))["c0"].cpu().numpy() for x in parts])


def counted(values: NDArray[np.int64], digits: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each value [rows] was given to each digit [columns]."""
    table = np.zeros((DIGITS, DIGITS), np.int64)
    np.add.at(table, (values, digits), 1)
    return table


def judged(model: Any, mnist: PictureSet) -> dict[str, Any]:
    """The error on the test pictures, with what it was computed from."""
    assert mnist.labels is not None
    train, test = mnist.splits["train"], mnist.splits["test"][:COUNT]
    some = np.random.default_rng(0).choice(train, min(COUNT, len(train)), replace=False)
    votes = counted(kinds(model, mnist, some), mnist.labels[some])
    found = counted(kinds(model, mnist, test), mnist.labels[test])
    value, digit = linear_sum_assignment(votes, maximize=True)
    return {
        "error": 1 - float(found[value, digit].sum() / found.sum()),
        "error_by_majority": 1 - float(found[np.arange(DIGITS), votes.argmax(1)].sum() / found.sum()),
        "digit_of_value": digit.tolist(),
        "test_counts": found.tolist(),
    }


def main() -> None:
    """Train, judge, draw, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--minutes", type=float, help="instead of --steps, for each seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--size", type=int, default=28)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--out", type=Path, default=Path("infogan"))
    parser.add_argument(
        "--set", nargs="*", action="extend", default=[], help="settings of the model, such as model.variance=learned"
    )
    parser.add_argument("--quiet", action="store_true")
    options = parser.parse_args()
    from mezzotint.core.config import parse_assignments

    options.settings = parse_assignments(options.set)
    mnist = open_pictures("mnist", DataConfig(size=options.size))
    results: dict[str, Any] = {}
    for seed in options.seeds:
        run = trained(
            "infogan",
            "mnist",
            options.out / f"seed-{seed}",
            minutes=options.minutes,
            steps=options.steps,
            quiet=options.quiet,
            size=options.size,
            seed=seed,
            batch_size=options.batch_size,
            settings=options.settings,
        )
        results[str(seed)] = {"steps": run.step, "seconds": run.seconds, **judged(run.model, mnist)}
        mz.traverse(run, run.path / "codes.png", samples=2)
        for code in ("c0", "c1", "c2"):
            mz.traverse(run, run.path / f"{code}.png", codes=[code], samples=10)
        told = results[str(seed)]
        print(
            f"seed {seed}: error {told['error']:.2%} (by majority {told['error_by_majority']:.2%}) after "
            f"{told['steps']:,} steps in {told['seconds'] / 60:.1f} minutes",
            flush=True,
        )
        atomic.write_json(options.out / "results.json", results)
    errors = [each["error"] for each in results.values()]
    print(f"error: best {min(errors):.2%}, median {statistics.median(errors):.2%} of {len(errors)} seeds")


if __name__ == "__main__":
    main()
