"""Trains a VAE on rows of numbers: `python examples/tables.py --minutes 1`, or with --csv on a table of your own.

Without a table it takes scikit-learn's measurements of 178 wines, 13 numbers each. It leaves runs/tables/new.csv, as
many new rows, and beside.png: how the columns go together in the given rows (left) and in the new ones (right).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_wine

import mezzotint as mz
from mezzotint.data.output import save_picture
from mezzotint.tasks.sample import sample_rows


def wines(path: Path) -> Path:
    """The measurements as a CSV file."""
    data = load_wine()
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, data.data, delimiter=",", header=",".join(data.feature_names), comments="", fmt="%.6g")
    return path


def correlations(path: Path) -> NDArray[np.uint8]:
    """Of all pairs of columns, [D * 16, D * 16] grey: black is -1, white is 1."""
    table = np.corrcoef(np.loadtxt(path, delimiter=",", skiprows=1), rowvar=False)
    return np.kron(np.round((np.nan_to_num(table) + 1) * 127.5), np.ones((16, 16))).astype(np.uint8)


def main() -> None:
    """Train, draw, compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--csv", type=Path, help="a table of numbers whose first line names the columns")
    parser.add_argument("--minutes", type=float, default=0.7)
    parser.add_argument("--out", type=Path, default=Path("runs/tables"))
    options = parser.parse_args()
    source = options.csv or wines(options.out.with_name(options.out.name + "-wines.csv"))
    settings = {"model": {"network": "mlp", "hidden": [128, 128], "latent": 6}}
    run = mz.train("vae", source, out=options.out, minutes=options.minutes, settings=settings)
    count = sum(1 for _ in source.open()) - 1
    new = sample_rows(run, count, seed=1, out=options.out / "new.csv")
    save_picture(options.out / "beside.png", np.concatenate([correlations(source), correlations(new)], 1)[..., None])
    print(f"{count} new rows in {new}; {options.out / 'beside.png'} shows how their columns go together.")


if __name__ == "__main__":
    main()
