"""WAV files as a source: each is cut into pieces that a picture holds."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.errors import DataError
from mezzotint.data.raw import RawArrays
from mezzotint.data.sound import Sound, samples
from mezzotint.data.sources import is_picture_name
from mezzotint.data.types import BadFile, DataConfig

_SIZE = (64, 64)
"""Mel bands and columns: a second at 16 kHz."""
_REST = 0.25
"""The end of a sound is a piece of its own if it fills so much of one."""


def find_sounds(path: Path) -> list[Path] | None:
    """The WAV files at `path`, itself one or a folder with WAV files and no pictures; None for everything else."""
    if path.is_file():
        return [path] if path.suffix.lower() == ".wav" else None
    found = []
    for folder, _, names in os.walk(path):
        for name in names:
            if is_picture_name(name):
                return None
            if name.lower().endswith(".wav") and not name.startswith("."):
                found.append(Path(folder) / name)
    return sorted(found) or None


def load_sounds(
    path: Path, files: list[Path], config: DataConfig, progress: Callable[[int, int], None] | None
) -> tuple[RawArrays, tuple[BadFile, ...], list[str]]:
    """The spectrograms of sounds; what was left out; and the file of each, since pieces of one belong together.

    Folders within `path` are classes, if every file is in one. Several channels are taken together.

    Raises:
        DataError: no file can be read, or an option does not fit sounds.
    """
    if config.mode not in ("auto", "grey") or config.flip:
        raise DataError(f"{path} holds sounds, to which mode and flip do not apply; leave them out.")
    size = (config.size, config.size) if isinstance(config.size, int) else config.size
    mels, frames = _SIZE if size is None else size
    sound, pictures, names, of = Sound(config.rate), list[NDArray[np.uint16]](), list[str](), list[str]()
    bad = []
    for done, file in enumerate(files):
        name = file.name if file == path else file.relative_to(path).as_posix()
        try:
            signal = read_wav(file, config.rate)
        except (OSError, ValueError) as error:
            bad.append(
                BadFile(
                    name, f"is no sound that can be read ({str(error).splitlines()[0] if str(error) else 'broken'})"
                )
            )
            continue
        pieces = _pieces(signal, samples(frames))
        for k, piece in enumerate(pieces):
            pictures.append(sound.spectrogram(piece, mels, frames))
            names.append(f"{name}#{k:04d}" if len(pieces) > 1 else name)
            of.append(name)
        if progress is not None:
            progress(done + 1, len(files))
    if not pictures:
        raise DataError(f"{path} holds no sound that can be read: {bad[0].path} {bad[0].reason}.")
    classes = tuple(sorted({name.split("/")[0] for name in of})) if all("/" in name for name in of) else ()
    seconds = samples(frames) / config.rate
    raw = RawArrays(
        np.stack(pictures)[..., None],
        np.array([classes.index(name.split("/")[0]) for name in of], np.int64) if classes else None,
        classes,
        tuple(names),
        notes=(f"Each picture is {seconds:.3g} seconds of sound: {mels} mel bands, {config.rate:,} samples a second.",),
        meaning=sound,
    )
    return raw, tuple(bad), of


def read_wav(file: Path, rate: int) -> NDArray[np.float32]:
    """A WAV file as one channel [T] in [-1, 1] at `rate` samples a second.

    Raises:
        OSError, ValueError: it cannot be read, or is empty.
    """
    from scipy.io import wavfile  # slow to import
    from scipy.signal import resample_poly

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of chunks it does not know
        try:
            own, data = wavfile.read(file)
        except Exception as error:  # its own errors are of many kinds
            raise ValueError(str(error)) from error
    if not data.size or not own:
        raise ValueError("it is empty")
    if data.dtype.kind in "iu":
        middle = 128 if data.dtype == np.uint8 else 0
        data = (data.astype(np.float64) - middle) / (
            128 if data.dtype == np.uint8 else -float(np.iinfo(data.dtype).min)
        )
    mono = data.astype(np.float64).reshape(len(data), -1).mean(1)
    if not np.isfinite(mono).all():
        raise ValueError("it holds values that are no numbers")
    if own != rate:
        shared = math.gcd(int(own), rate)
        mono = resample_poly(mono, rate // shared, int(own) // shared)
    return np.clip(mono, -1, 1).astype(np.float32)


def _pieces(signal: NDArray[np.float32], length: int) -> list[NDArray[np.float32]]:
    pieces = [signal[start : start + length] for start in range(0, len(signal), length)]
    if len(pieces) > 1 and len(pieces[-1]) < _REST * length:
        pieces.pop()
    return pieces
