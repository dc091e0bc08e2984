"""The sample grids of docs/results.md: both models on real pictures, a stated budget of minutes each.

    MEZZOTINT_DATA=... python benchmarks/pictures.py --minutes 3 --out docs/pictures

Each training is what `mezzotint train MODEL SET --size ... --minutes ...` does with its defaults and seed 0; nothing
is picked: the grid is the first 64 samples of seed 0 of the averaged weights. The table says what each cost.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

import mezzotint as mz
from mezzotint.tasks.sample import sample_grid

SETS = {"mnist": 32, "fashion-mnist": 32, "orl": (64, 48), "shapes": 32}


def main() -> None:
    """Train what is asked for, save the grids, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--models", nargs="+", default=["vae", "dcgan"])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.sets:
        source = name if name != "orl" else os.environ["MEZZOTINT_DATA"] + "/orl-faces/orl_faces.zip"
        for model in options.models:
            work = Path(tempfile.mkdtemp())
            run = mz.train(model, source, out=work / "run", size=SETS[name], minutes=options.minutes, seed=0)
            sample_grid(run, 64, seed=0, out=options.out / f"{name}-{model}.png", columns=16)
            print(f"| {name} | {SETS[name]} | {model} | {options.minutes:g} | {run.step:,} |", flush=True)
            shutil.rmtree(work)


if __name__ == "__main__":
    main()
