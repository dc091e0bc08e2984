"""Sounds as pictures, and back: log-mel spectrograms one way, Griffin and Lim's iteration the other.

A second of sound is a grey picture: time runs to the right, pitch upwards, and bright is loud. So every model and
command that takes pictures takes sounds, and what comes out can be heard again.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mezzotint.core import atomic
from mezzotint.core.rng import stream
from mezzotint.data.meaning import Meaning

WINDOW, HOP = 1024, 256
"""Samples that a column of a spectrogram looks at, and between two columns."""
FLOOR = -80.0
"""Decibels below a sine of full scale that are black."""
_ROUNDS, _MOMENTUM = 60, 0.99
_LEAST = 1e-10


@dataclass(frozen=True)
class Sound(Meaning):
    """That a picture is the log-mel spectrogram of a sound.

    Attributes:
        rate: samples a second.
    """

    kind: ClassVar[str] = "sound"
    holds: ClassVar[str] = "sounds"
    word: ClassVar[str] = "sounds"

    rate: int

    @classmethod
    def of_json(cls, fields: Mapping[str, Any]) -> Sound:
        """See `Meaning`."""
        return cls(int(fields["rate"]))

    def spectrogram(self, signal: NDArray[np.float32], mels: int, frames: int) -> NDArray[np.uint16]:
        """The log-mel spectrogram of a sound, as it is stored.

        Args:
            signal: [T] in [-1, 1]; it is cut, or filled up with silence, to `samples(frames)`.
            mels: rows; the highest pitch comes first.
            frames: columns.

        Returns:
            [mels, frames]: 0 is 80 decibels below a sine of full scale, 65535 the loudness of that sine.

        Example:
            >>> Sound(8000).spectrogram(np.zeros(100, np.float32), 16, 8).max()
            np.uint16(0)
        """
        length = samples(frames)
        padded = np.zeros(length, np.float64)
        padded[: min(length, len(signal))] = signal[:length]
        power = np.abs(_spectrum(padded)) ** 2 / (_window().sum() / 2) ** 2
        decibels = 10 * np.log10(np.maximum(_filters(self.rate, mels) @ power, _LEAST))
        share = np.clip(1 - decibels / FLOOR, 0, 1)
        return np.floor(share[::-1] * 65535 + 0.5).astype(np.uint16)

    def signal(self, spectrogram: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.float32]:
        """A sound that has this spectrogram, nearly: [T] in [-1, 1].

        The powers of the frequencies are the smallest that give the mel bands; phases are found by the fast Griffin-Lim
        algorithm (Griffin and Lim 1984; Perraudin et al. 2013), from random ones that are always the same.

        Args:
            spectrogram: [mels, frames] uint8 or uint16, as `spectrogram` gives it.
        """
        top = np.iinfo(spectrogram.dtype).max
        share = spectrogram[::-1].astype(np.float64) / top
        bands = np.where(share > 0, 10 ** ((1 - share) * FLOOR / 10), 0.0)
        power = np.maximum(np.linalg.pinv(_filters(self.rate, len(spectrogram))) @ bands, 0)
        magnitude = np.sqrt(power) * _window().sum() / 2
        return _with_phases(magnitude, samples(spectrogram.shape[1]))

    def save_each(self, files: Sequence[Path], pictures: NDArray[Any]) -> None:
        """Write spectrograms as pictures, and beside each, as 16-bit WAV, what it sounds like; see `Meaning`."""
        from scipy.io import wavfile  # slow to import

        super().save_each(files, pictures)
        for file, picture in zip(files, pictures, strict=True):
            buffer = io.BytesIO()
            wavfile.write(buffer, self.rate, np.round(self.signal(picture[..., 0]) * 32767).astype(np.int16))
            atomic.write_bytes(file.with_suffix(".wav"), buffer.getvalue())


def samples(frames: int) -> int:
    """Samples of sound in a picture of so many columns."""
    return frames * HOP


def _with_phases(magnitude: NDArray[np.float64], length: int) -> NDArray[np.float32]:
    """The signal [length] of a spectrum of which only the magnitude is known."""
    noise = stream(0, "griffin lim").random(magnitude.shape)
    phases = before = np.exp(2j * np.pi * noise)
    for _ in range(_ROUNDS):
        rebuilt = _spectrum(_overlapped(magnitude * phases, length))
        ahead = rebuilt + _MOMENTUM * (rebuilt - before)
        before = rebuilt
        phases = ahead / np.maximum(np.abs(ahead), _LEAST)
    signal = _overlapped(magnitude * phases, length)
    return np.clip(signal, -1, 1).astype(np.float32)


def _window() -> NDArray[np.float64]:
    window: NDArray[np.float64] = np.hanning(WINDOW + 1)[:-1]
    return window


def _spectrum(signal: NDArray[np.float64]) -> NDArray[np.complex128]:
    """[T] -> [WINDOW // 2 + 1, T / HOP], each column centred on its first sample."""
    padded = np.pad(signal, WINDOW // 2)
    count = len(signal) // HOP
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[: count * HOP : HOP]
    return np.fft.rfft(frames * _window(), axis=1).T


def _overlapped(spectrum: NDArray[np.complex128], length: int) -> NDArray[np.float64]:
    """The signal [T] whose frames are nearest to these (Griffin and Lim, eq. 6)."""
    frames = np.fft.irfft(spectrum.T, WINDOW, axis=1) * _window()
    total, weight = np.zeros(length + WINDOW), np.zeros(length + WINDOW)
    square = _window() ** 2
    for k, frame in enumerate(frames):
        total[k * HOP : k * HOP + WINDOW] += frame
        weight[k * HOP : k * HOP + WINDOW] += square
    inner = slice(WINDOW // 2, WINDOW // 2 + length)
    return total[inner] / np.maximum(weight[inner], 1e-3)


@lru_cache(maxsize=8)
def _filters(rate: int, mels: int) -> NDArray[np.float64]:
    """Triangles [mels, WINDOW // 2 + 1] of height 1, evenly spaced on the mel scale from 0 to half the rate.

    Where the lowest bands are narrower than a frequency of the spectrum, they take the nearest one.
    """
    frequencies = np.fft.rfftfreq(WINDOW, 1 / rate)
    top = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, mels + 2) / 2595) - 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
    found = np.maximum(0, np.minimum(rising, falling))
    for row, centre in zip(found, edges[1:-1], strict=True):
        row[np.abs(frequencies - centre).argmin()] = 1.0
    return found
