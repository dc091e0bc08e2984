"""Trains a VAE on sounds: `python examples/sounds.py --minutes 1`, or with --wav on a folder of your own.

Without a folder it makes 300 plucked strings of four kinds. What comes out is runs/sounds: new sounds as WAV files and
their spectrograms as pictures, and some of the given sounds as the model gives them back.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.io import wavfile

import mezzotint as mz
from mezzotint.tasks.reconstruct import reconstruct
from mezzotint.tasks.sample import sample_files, sample_grid

RATE = 16_000
KINDS = {"guitar": (0.6, 0.996), "harp": (0.9, 0.998), "banjo": (0.3, 0.99), "muted": (0.8, 0.96)}
"""Name -> how dull the pluck is, and how long it sounds."""


def pluck(pitch: float, dull: float, long: float, random: np.random.Generator) -> np.ndarray:
    """A second of a plucked string (Karplus and Strong 1983): noise that runs in a circle and is smoothed."""
    period = int(RATE / pitch)
    string = random.uniform(-1, 1, period)
    for _ in range(int(4 * dull)):
        string = (string + np.roll(string, 1)) / 2
    rounds = []
    for _ in range(RATE // period + 1):
        rounds.append(string)
        string = long * (string + np.roll(string, 1)) / 2
    signal = np.concatenate(rounds)[:RATE]
    signal = signal - signal.mean()
    return signal / np.abs(signal).max() * 0.8


def strings(folder: Path, count: int) -> None:
    """Write a folder for each kind of string."""
    random = np.random.default_rng(0)
    for k in range(count):
        kind = list(KINDS)[k % len(KINDS)]
        signal = pluck(110 * 2 ** random.uniform(0, 2.5), *KINDS[kind], random)
        (folder / kind).mkdir(parents=True, exist_ok=True)
        wavfile.write(folder / kind / f"{k:04d}.wav", RATE, (signal * 32767).astype(np.int16))


def main() -> None:
    """Make sounds where none are given, train, and listen."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--wav", type=Path, help="a folder with WAV files")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=Path("runs/sounds"))
    options = parser.parse_args()
    source = options.wav or options.out.with_name(options.out.name + "-strings")
    if options.wav is None:
        strings(source, 300)
    settings = {"model": {"width": 32, "latent": 16}}
    run = mz.train("vae", source, out=options.out, minutes=options.minutes, settings=settings)
    new = sample_files(run, 8, seed=1, out=options.out / "new", overwrite=True)
    sample_grid(run, 16, seed=1, out=options.out / "grid.png")
    some = sorted(source.rglob("*.wav"))[0]
    back = reconstruct(run, some, options.out / "back", overwrite=True)
    print(
        f"Listen to {new[0].with_suffix('.wav')} and its neighbours, and to {some} beside "
        f"{options.out / 'back' / Path(back.files[0]).with_suffix('.wav')}."
    )


if __name__ == "__main__":
    main()
