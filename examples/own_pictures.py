"""A folder of pictures in; a trained model, samples, reconstructions and a longer training out.

    python examples/own_pictures.py photos/ --size 64 --minutes 10
    python examples/own_pictures.py                       # makes a folder of 300 drawn pictures and takes that

Run it twice: the second time it goes on where the first one stopped.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from PIL import Image

import mezzotint as mz
from mezzotint.tasks.reconstruct import reconstruct
from mezzotint.tasks.sample import sample_grid


def stand_in() -> Path:
    """A folder of PNG files in the place of yours: 300 pictures of the procedural set."""
    folder = Path(tempfile.mkdtemp())
    shapes = mz.open_pictures("shapes")
    for number in range(300):
        Image.fromarray(shapes.pictures[number]).save(folder / f"{number:03d}.png")
    return folder


def main() -> None:
    """Train or go on, then use what was trained."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pictures", nargs="?", help="a folder, zip, tar, .npz or the name of a set")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--out", type=Path, default=Path("runs/own"))
    options = parser.parse_args()
    if (options.out / "config.json").exists():
        run = mz.load(options.out)
        run = run.resume(minutes=run.seconds / 60 + options.minutes)
    else:
        source = options.pictures or stand_in()
        run = mz.train("vae", source, out=options.out, size=options.size, minutes=options.minutes)
    print(sample_grid(run, 64, seed=3, out=options.out / "grid.png"))
    again = reconstruct(run, run.recipe.summary.source, options.out / "again", overwrite=True)
    print(again.out / "grid.png")


if __name__ == "__main__":
    main()
