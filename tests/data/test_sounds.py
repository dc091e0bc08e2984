"""WAV files of every kind as a source: how they are read, cut, named and divided, and what is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import wavfile

from mezzotint.core.errors import DataError
from mezzotint.data._sounds import find_sounds, read_wav
from mezzotint.data.open import open_pictures
from mezzotint.data.sound import Sound, samples
from mezzotint.data.types import DataConfig

RATE = 16_000


def tone(seconds: float = 1.0, frequency: float = 440.0, rate: int = RATE) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32, np.float32])
def test_every_number_format_is_the_same_sound(tmp_path: Path, kind: Any) -> None:
    given = tone()
    if kind is np.uint8:
        stored = np.round(given * 127 + 128).astype(np.uint8)
    else:
        stored = given.astype(np.float32) if kind is np.float32 else (given * np.iinfo(kind).max).astype(kind)
    wavfile.write(tmp_path / "a.wav", RATE, np.stack([stored, stored], 1))
    np.testing.assert_allclose(read_wav(tmp_path / "a.wav", RATE), given, atol=0.01 if kind is np.uint8 else 1e-4)


def test_other_rates_are_brought_to_one(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "a.wav", 44_100, tone(rate=44_100).astype(np.float32))
    found = read_wav(tmp_path / "a.wav", RATE)
    assert len(found) == RATE
    np.testing.assert_allclose(found[200:-200], tone()[200:-200], atol=0.01)


def test_sounds_are_cut_into_pieces_that_stay_together(tmp_path: Path) -> None:
    for kind, count in (("high", 12), ("low", 9)):
        (tmp_path / kind).mkdir()
        for k in range(count):
            signal = tone(2.6, 2000.0 if kind == "high" else 200.0) * (0.5 + 0.04 * k)
            wavfile.write(tmp_path / kind / f"{k}.WAV", RATE, signal.astype(np.float32))
    found = open_pictures(tmp_path, DataConfig(validation=0.3))
    assert found.pictures.shape == (21 * 3, 64, 64, 1)
    assert found.pictures.dtype == np.uint16
    assert (found.meaning, found.classes) == (Sound(RATE), ("high", "low"))
    assert found.names[:3] == ("high/0.WAV#0000", "high/0.WAV#0001", "high/0.WAV#0002")
    first = tone(2.6, 2000.0)[: samples(64)] * 0.5
    assert np.array_equal(found.pictures[0, ..., 0], Sound(RATE).spectrogram(first.astype(np.float32), 64, 64))
    held = {found.names[row].split("#")[0] for row in found.splits["validation"]}
    assert held
    assert not held & {found.names[row].split("#")[0] for row in found.splits["train"]}
    assert any("1.02 seconds of sound" in note for note in found.notes)
    smaller = open_pictures(tmp_path, DataConfig(size=(32, 40), rate=8000))
    assert smaller.pictures.shape[1:] == (32, 40, 1)
    assert smaller.fingerprint != found.fingerprint


def test_what_cannot_be_read_is_left_out_and_said(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "a.wav", RATE, tone().astype(np.float32))
    (tmp_path / "b.wav").write_bytes(b"RIFF....WAVEbroken")
    wavfile.write(tmp_path / "c.wav", RATE, np.zeros(0, np.int16))
    wavfile.write(tmp_path / "d.wav", RATE, np.full(9, np.nan, np.float32))
    found = open_pictures(tmp_path, DataConfig(validation=0))
    assert [each.path for each in found.bad] == ["b.wav", "c.wav", "d.wav"]
    assert all("no sound that can be read" in each.reason for each in found.bad)
    (tmp_path / "a.wav").unlink()
    with pytest.raises(DataError, match=r"holds no sound that can be read: b\.wav"):
        open_pictures(tmp_path)
    with pytest.raises(DataError, match="sounds, to which mode and flip do not apply"):
        open_pictures(tmp_path, DataConfig(flip=True))


def test_a_folder_with_pictures_is_one_of_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    assert find_sounds(tmp_path) == [tmp_path / "a.wav"]
    assert find_sounds(tmp_path / "a.wav") == [tmp_path / "a.wav"]
    (tmp_path / "b.png").touch()
    assert find_sounds(tmp_path) is None
    assert find_sounds(tmp_path / "b.png") is None
