"""A model of sounds: it gives WAV files beside its spectrograms, and takes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import wavfile

import mezzotint as mz
from mezzotint.data.sound import Sound, samples
from mezzotint.data.types import DataConfig
from mezzotint.engine.model import PictureSpec
from mezzotint.tasks.reconstruct import reconstruct
from mezzotint.tasks.sample import sample_files, sample_grid

SPEC = PictureSpec(1, 16, 24, meaning=Sound(8000))


def test_what_a_model_of_sounds_draws_can_be_heard(opened: Callable[..., Any], tmp_path: Path) -> None:
    run = opened("vae", tmp_path / "run", SPEC)
    files = sample_files(run, 3, seed=1, out=tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        name for k in range(3) for name in (f"0000{k}.png", f"0000{k}.wav")
    ]
    assert [file.suffix for file in files] == [".png"] * 3
    for k in range(3):
        rate, signal = wavfile.read(tmp_path / "out" / f"0000{k}.wav")
        assert (rate, signal.dtype, signal.shape) == (8000, np.int16, (samples(24),))
    assert sample_grid(run, 3, seed=1, out=tmp_path / "grid.png").suffix == ".png"


def test_sounds_are_reconstructed_whatever_their_rate_and_length(opened: Callable[..., Any], tmp_path: Path) -> None:
    run = opened("vae", tmp_path / "run", SPEC, DataConfig(rate=8000))
    wavfile.write(tmp_path / "a.wav", 22_050, np.random.default_rng(0).normal(0, 0.1, 50_000).astype(np.float32))
    made = reconstruct(run, tmp_path / "a.wav", tmp_path / "out")
    assert made.names == ("a.wav#0000", "a.wav#0001", "a.wav#0002")
    for file in made.files:
        rate, signal = wavfile.read((tmp_path / "out" / file).with_suffix(".wav"))
        assert (rate, len(signal)) == (8000, samples(24))


@pytest.mark.parametrize("name", ["vae", "dcgan"])
def test_a_training_on_sounds_from_end_to_end(name: str, tmp_path: Path) -> None:
    for k in range(12):
        (tmp_path / "in" / "ab"[k % 2]).mkdir(parents=True, exist_ok=True)
        signal = 0.5 * np.sin(np.arange(16_000) * (0.05 + 0.01 * k))
        wavfile.write(tmp_path / "in" / "ab"[k % 2] / f"{k}.wav", 16_000, signal.astype(np.float32))
    model = {"width": 4} | ({"discriminator_width": 4} if name == "dcgan" else {})
    settings = {"model": model, "data": {"size": [16, 32], "validation": 0.25}}
    run = mz.train(name, tmp_path / "in", steps=2, batch_size=4, out=tmp_path / "run", settings=settings, quiet=True)
    told = json.loads((tmp_path / "run" / "config.json").read_text())["pictures"]
    assert told["sound"] == {"rate": 16_000}
    assert "points" not in told
    again = mz.load(tmp_path / "run")
    assert again.recipe.spec == run.recipe.spec
    assert again.recipe.spec.meaning == Sound(16_000)
    assert mz.resume(tmp_path / "run", steps=3, quiet=True).step == 3
    assert (tmp_path / "run" / "report.html").exists()
