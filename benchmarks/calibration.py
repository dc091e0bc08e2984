"""Is `discriminate` a probability? Its calibration error on pictures that neither training nor fitting has seen.

    MEZZOTINT_DATA=... python benchmarks/calibration.py --steps 1500 --seeds 0 1 2

DCGAN on Fashion-MNIST at 32 pixels, as `train` runs it; the calibration (Platt 1999: slope and offset of the logit) is
fitted at the end of training on 512 validation pictures and as many generated ones. Judged are the 10,000 test pictures
and 10,000 generated ones of another seed: the expected calibration error over 10 bins of equal width (Guo et al. 2017,
eq. 3), the Brier score and the log loss in nats, with the fitted slope and offset and without (1 and 0). For scale: one
half for every picture has a Brier score of 0.25 and a log loss of 0.693.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import brier_score_loss, log_loss

import mezzotint as mz
from mezzotint.data.open import open_pictures
from mezzotint.data.types import DataConfig
from mezzotint.engine.feed import to_tensor

COUNT = 10_000


def expected_calibration_error(truth: NDArray[np.bool_], probability: NDArray[np.float64], bins: int = 10) -> float:
    """Mean distance of a bin's share of real pictures from its mean probability, weighted by the bin's size."""
    place = np.minimum((probability * bins).astype(int), bins - 1)
    gaps = [
        (place == k).mean() * abs(truth[place == k].mean() - probability[place == k].mean())
        for k in range(bins)
        if (place == k).any()
    ]
    return float(sum(gaps))


def main() -> None:
    """Train, judge, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    pictures = open_pictures("fashion-mnist", DataConfig(size=32))
    real = to_tensor(pictures.pictures[pictures.splits["test"][:COUNT]])
    truth = np.repeat([True, False], [len(real), COUNT])
    print("| seed | | calibration error | Brier | log loss | right |")
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as folder:
            run = mz.train(
                "dcgan", "fashion-mnist", out=Path(folder) / "run", size=32, steps=options.steps, seed=seed, quiet=True
            )
        model = run.model
        generated = model.sample(COUNT, seed=77)
        fitted = model.calibration.clone()
        for name, value in (("fitted", fitted), ("not fitted", torch.tensor([1.0, 0.0]))):
            model.calibration.copy_(value)
            parts = [model.discriminate(x) for x in (*real.split(500), *generated.split(500))]
            probability = torch.cat(parts).double().numpy()
            print(
                f"| {seed} | {name} | {expected_calibration_error(truth, probability):.3f} "
                f"| {brier_score_loss(truth, probability):.3f} | {log_loss(truth, probability):.3f} "
                f"| {((probability > 0.5) == truth).mean():.1%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
