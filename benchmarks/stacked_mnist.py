"""Stacked MNIST: how many of the 1,000 three-digit numbers does a GAN draw?

    MEZZOTINT_DATA=... python benchmarks/stacked_mnist.py --model gan --minutes 30 --out stacked
    MEZZOTINT_DATA=... python benchmarks/stacked_mnist.py --model wgan_gp --minutes 30 --out stacked
    MEZZOTINT_DATA=... python benchmarks/stacked_mnist.py --model dcgan --steps 10000 --set model.pack=2 --out stacked

Trained by `mezzotint train` itself on `stacked-mnist` (128,000 triples, as PacGAN has them), at 28 pixels; then 26,000
samples, a digit classifier of our own on each channel (99.57 % of the test digits right,
`scripts/train_digit_classifier.py`), the numbers that are found, and the KL divergence from their histogram to that
of triples of training digits, in nats. A run that is there goes on to the new length; each leaves `samples.png`.
Published (Lin et al. 2018): DCGAN 78.9 modes of 1,000 and KL 4.50, packed by two 1,000 and 0.06; networks, batches and
numbers of steps are others.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np

import _stacked
from _trained import trained
from mezzotint.core.config import parse_assignments
from mezzotint.data.named import load_named
from mezzotint.data.output import grid, save_picture
from mezzotint.tasks.sample import draw


def main() -> None:
    """Train, draw, count, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="gan")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", nargs="*", action="extend", default=[], help="settings, such as model.width=32")
    parser.add_argument("--samples", type=int, default=_stacked.SAMPLES, help="the protocol has 26,000")
    parser.add_argument("--out", type=Path, default=Path("stacked"))
    parser.add_argument("--quiet", action="store_true")
    options = parser.parse_args()
    shown = [each.removeprefix("model.") for each in options.set if not each.startswith("train.")]
    title = " ".join([options.model, *shown, f"seed={options.seed}"])
    name = re.sub(r"[^\w.=]+", "-", title)[:200]  # names of files have an end
    run = trained(
        options.model,
        "stacked-mnist",
        options.out / name,
        minutes=options.minutes,
        steps=options.steps,
        quiet=options.quiet,
        seed=options.seed,
        settings=parse_assignments(options.set),
    )
    mnist = load_named("mnist")
    each = np.bincount(mnist.labels[mnist.fixed_splits["train"]], minlength=10) / len(mnist.fixed_splits["train"])
    share = np.einsum("i,j,k->ijk", each, each, each).ravel()
    samples = np.concatenate(list(draw(run.model, options.samples, 1)))
    save_picture(run.path / "samples.png", grid(samples[:128], columns=16, scale=2))
    found, kl = _stacked.modes(samples, real=share)
    print(f"{title}: {found} of 1,000 numbers, KL {kl:.3f} nats, {run.step:,} steps in {run.seconds / 60:.1f} minutes")


if __name__ == "__main__":
    main()
