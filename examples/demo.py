"""Trains a DCGAN and a VAE on scikit-learn's handwritten digits, scores both and writes their reports: `make demo`.

Everything here is the public API; copy it and put your own folder in the place of "digits".
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

import mezzotint as mz

OUT = Path("runs/demo")
HELD_OUT = {"test": 0.3}
"""540 of the 1,797 digits are kept back: fewer would give the Fréchet distance of 96 features no interval."""
TRAININGS = {
    "dcgan": {"minutes": 1.3, "settings": {"model": {"latent": 32}, "data": HELD_OUT, "train": {"preview_every": 500}}},
    "vae": {"minutes": 0.7, "settings": {"model": {"latent": 10}, "data": HELD_OUT, "train": {"preview_every": 500}}},
}


def main() -> int:
    """Train each model for its share of the time, score it, and print two tables."""
    console = Console()
    trained = Table("model", "steps", "seconds", "pictures/s", "all about it")
    scored = Table("model", "score", "value", "95 % interval", "better")
    shutil.rmtree(OUT, ignore_errors=True)
    for name, options in TRAININGS.items():
        console.print(f"\n[bold]{name}[/] on 1,797 handwritten digits, {options['minutes']:g} minutes at most")
        run = mz.train(name, "digits", out=OUT / name, batch_size=64, **options)
        rate = run.step * 64 / run.seconds
        wanted = "frechet,kid,psnr" if hasattr(run.model, "reconstruct") else "frechet,kid"
        found = mz.evaluate(run, metrics=wanted)
        found.save(run.path / "scores.json")
        report = mz.report(run)
        trained.add_row(name, f"{run.step:,}", f"{run.seconds:.0f}", f"{rate:,.0f}", str(report))
        for score in found:
            span = "" if score.low is None else f"{score.low:.3g} to {score.high:.3g}"
            scored.add_row(name, score.name, f"{score.value:.4g} {score.unit}", span, score.better)
    console.print("\n", trained)
    console.print(scored)
    console.print(
        "Scores are of 540 digits that were kept back and as many generated ones; a Fréchet distance of so few is too "
        "high, and its interval is for the distance of ever more pictures."
    )
    console.print("In each folder: report.html, to look at; samples.png; pictures/, how it came to be; README.md.")
    console.print("Next: mezzotint sample runs/demo/dcgan -n 100 --seed 3 -o grid.png")
    console.print("      mezzotint train dcgan YOUR-FOLDER/ --size 64 --out runs/mine")
    return 0


if __name__ == "__main__":
    started = time.time()
    code = main()
    print(f"The demo took {time.time() - started:.0f} seconds.")
    sys.exit(code)
