"""Trains a DCGAN and a VAE on scikit-learn's handwritten digits and says where the pictures lie: `make demo`.

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
TRAININGS = {
    "dcgan": {"minutes": 1.4, "settings": {"model": {"latent": 32}, "train": {"preview_every": 500}}},
    "vae": {"minutes": 0.8, "settings": {"model": {"latent": 10}, "train": {"preview_every": 500}}},
}


def main() -> int:
    """Train each model for its share of the time and print a table."""
    console = Console()
    table = Table("model", "steps", "seconds", "pictures/s", "samples and film")
    shutil.rmtree(OUT, ignore_errors=True)
    for name, options in TRAININGS.items():
        console.print(f"\n[bold]{name}[/] on 1,797 handwritten digits, {options['minutes']:g} minutes at most")
        run = mz.train(name, "digits", out=OUT / name, batch_size=64, **options)
        rate = run.step * 64 / run.seconds
        table.add_row(name, f"{run.step:,}", f"{run.seconds:.0f}", f"{rate:,.0f}", f"{run.path}/")
    console.print("\n", table)
    console.print(
        "In each folder: samples.png, what it makes now; pictures/, how it came to be; README.md, all about it."
    )
    console.print("Next: mezzotint sample runs/demo/dcgan -n 100 --seed 3 -o grid.png")
    console.print("      mezzotint train dcgan YOUR-FOLDER/ --size 64 --out runs/mine")
    return 0


if __name__ == "__main__":
    started = time.time()
    code = main()
    print(f"The demo took {time.time() - started:.0f} seconds.")
    sys.exit(code)
