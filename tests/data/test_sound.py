"""Sounds as pictures: pitches and loudnesses where they belong, beside SciPy, and back to what is heard."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import ShortTimeFFT

from mezzotint.data.sound import FLOOR, HOP, WINDOW, Sound, _filters, _spectrum, samples

RATE, MELS, FRAMES = 16_000, 64, 64
SOUND = Sound(RATE)


def sine(frequency: float, loud: float = 1.0) -> np.ndarray:
    time = np.arange(samples(FRAMES)) / RATE
    return (loud * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


@pytest.mark.parametrize("frequency", [300.0, 1000.0, 4000.0])
@pytest.mark.parametrize("decibels", [0.0, -20.0, -60.0])
def test_a_sine_is_a_line_at_its_pitch_as_bright_as_it_is_loud(frequency: float, decibels: float) -> None:
    picture = SOUND.spectrogram(sine(frequency, 10 ** (decibels / 20)), MELS, FRAMES)
    middle = picture[:, 8:-8].astype(float).mean(1)
    row = MELS - 1 - middle.argmax()
    mel = 2595 * np.log10(1 + frequency / 700) / (2595 * np.log10(1 + RATE / 2 / 700)) * (MELS + 1) - 1
    assert abs(row - mel) < 1
    assert FLOOR * (1 - middle.max() / 65535) == pytest.approx(decibels, abs=1.5)


def test_the_spectrum_is_scipys() -> None:
    signal = np.random.default_rng(0).normal(size=samples(FRAMES))
    theirs = ShortTimeFFT(np.hanning(WINDOW + 1)[:-1], HOP, RATE).stft(signal)
    first = -ShortTimeFFT(np.hanning(WINDOW + 1)[:-1], HOP, RATE).p_min
    ours = _spectrum(signal)
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs[:, first : first + FRAMES]), atol=1e-9)


def test_bands_cover_every_pitch_and_none_is_empty() -> None:
    for rate, mels in ((16_000, 64), (8000, 128), (48_000, 32)):
        found = _filters(rate, mels)
        assert (found.sum(1) > 0).all()
        assert found.max() <= 1


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_what_comes_back_sounds_the_same(depth: type) -> None:
    """Two tones and a chirp: the spectrogram of what is rebuilt is near that of the sound."""
    time = np.arange(samples(FRAMES)) / RATE
    signal = 0.3 * sine(440) + 0.2 * sine(1500) + 0.3 * np.sin(2 * np.pi * (500 + 1500 * time) * time)
    picture = SOUND.spectrogram(signal.astype(np.float32), MELS, FRAMES)
    given = picture if depth is np.uint16 else (picture // 257).astype(np.uint8)
    back = SOUND.signal(given)
    assert back.shape == signal.shape
    again = SOUND.spectrogram(back, MELS, FRAMES)
    loud = picture > 65535 * 0.5
    off = np.abs(again.astype(float) - picture)[loud] / 65535 * -FLOOR
    assert np.median(off) < 2, "decibels, of what is loud"
    power = np.sqrt(np.mean(back[WINDOW:-WINDOW] ** 2) / np.mean(signal[WINDOW:-WINDOW] ** 2))
    assert power == pytest.approx(1, abs=0.25)


def test_short_sounds_end_in_silence_and_silence_is_black() -> None:
    picture = SOUND.spectrogram(sine(1000)[: samples(FRAMES) // 4], MELS, FRAMES)
    assert picture[:, : FRAMES // 4 - 4].max() > 60_000
    assert picture[:, FRAMES // 4 + 4 :].max() == 0
    assert np.abs(SOUND.signal(np.zeros((MELS, FRAMES), np.uint8))).max() == 0
