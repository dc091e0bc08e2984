"""What a person is told of a training that is not well: while it runs, at its end, and in the model card."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import mezzotint as mz
from mezzotint.core.errors import ConfigError, TrainingError

TINY = {"model": {"latent": 4, "width": 4, "discriminator_width": 4}}


def test_findings_are_told_and_kept(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 1), np.uint8)
    told: list[str] = []
    options = {"steps": 4, "batch_size": 4, "settings": TINY, "quiet": True}
    run = mz.train("dcgan", pictures, out=tmp_path / "a", tell=told.append, diagnose_every=1, **options)
    assert [each.name for each in run.findings if each.name == "few-pictures"]
    (finding,) = (each for each in run.findings if each.name == "few-pictures")
    assert finding.step == 4
    first, last = (text for text in told if finding.sentence in text)
    assert first.startswith("Step 2: ")
    assert last.startswith("At the end: ")
    assert finding.advice in (run.path / "README.md").read_text(encoding="utf-8")
    logged = (
        json.loads((run.path / "log.jsonl").read_text().splitlines()[-1]) if (run.path / "log.jsonl").exists() else {}
    )
    assert not logged or "diagnosis/discriminator/accuracy" in logged
    silent = mz.train("dcgan", pictures, out=tmp_path / "b", diagnose_every=0, **options)
    assert not (silent.path / "diagnosis.jsonl").exists()
    assert silent.findings == ()
    assert "## Diagnosis" not in (silent.path / "README.md").read_text(encoding="utf-8")


def test_a_run_that_broke_says_so_in_its_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mezzotint.models.vae import VAE

    loss = VAE.loss

    def breaking(self: VAE, turn: object) -> object:
        terms = dict(loss(self, turn))  # type: ignore[arg-type]
        if turn.step == 3:  # type: ignore[attr-defined]
            terms["kl"] = terms["kl"] * float("nan")
        return terms

    monkeypatch.setattr(VAE, "loss", breaking)
    small = {"model": {"latent": 2, "width": 4}}
    with pytest.raises(TrainingError, match='"kl" of phase "vae"'):
        mz.train("vae", "digits", out=tmp_path / "a", steps=5, batch_size=8, save_every=2, settings=small, quiet=True)
    card = (tmp_path / "a" / "README.md").read_text(encoding="utf-8")
    assert '**stopped-nan**, step 3: The term "kl" of phase "vae" became nan in step 3.' in card


def test_a_model_that_cannot_be_judged_so_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="dcgan has no validation loss"):
        mz.train("dcgan", "digits", out=tmp_path / "a", steps=2, settings=TINY, quiet=True, best_by="loss")
    assert not (tmp_path / "a").exists()
