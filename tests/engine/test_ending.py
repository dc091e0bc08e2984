"""How a training ends: what is saved before anything can fail, and what is given back."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from mezzotint.core.errors import TrainingError
from mezzotint.engine.callback import Callback
from mezzotint.engine.callbacks import Interrupts, JsonLog, Saver
from mezzotint.engine.checkpoint import CheckpointStore
from mezzotint.engine.loop import Trainer
from mezzotint.engine.model import MODELS
from mezzotint.testing._make import make_pictures, make_trainer


class Press(Callback):
    """Somebody presses Ctrl-C in the third round."""

    def on_round(self, trainer: Trainer) -> None:
        if trainer.step == 3:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("interrupted", [True, False])
def test_a_checkpoint_is_there_before_the_model_is_finished(tmp_path: Path, interrupted: bool) -> None:
    """Fitting the calibration of a large model takes longer than the ten seconds that a stopped process has."""
    store = CheckpointStore(tmp_path)
    trainer = make_trainer(MODELS.get("dcgan"), make_pictures(), steps=100 if interrupted else 4)
    trainer.callbacks = [*([Press(), Interrupts()] if interrupted else []), Saver(store, 1000, 5)]
    seen: list[int] = []

    def finish(held_out: Any) -> None:
        seen.extend(store.steps())
        raise RuntimeError("killed")

    trainer.model.finish = finish  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="killed"):
        trainer.run()
    assert seen == [trainer.step] == [3 if interrupted else 4]


def test_the_finished_model_is_saved(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    trainer = make_trainer(MODELS.get("dcgan"), make_pictures(), steps=3)
    trainer.callbacks = [Saver(store, 1000, 5)]
    trainer.run()
    saved = store.load("latest").tensors["model/calibration"]
    assert torch.equal(saved, trainer.model.calibration)  # type: ignore[arg-type]
    assert saved.tolist() != [1.0, 0.0]


def test_what_was_opened_is_closed_whatever_fails() -> None:
    """A second callback that cannot start: the signals of the first go back to whom they belonged."""

    class Broken(Callback):
        def on_start(self, trainer: Trainer) -> None:
            raise OSError("no")

        def on_close(self, trainer: Trainer) -> None:
            raise AssertionError("it was never opened")

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    trainer = make_trainer(MODELS.get("vae"), make_pictures())
    trainer.callbacks = [Interrupts(), Broken()]
    with pytest.raises(OSError, match="no"):
        trainer.run()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_log_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").mkdir()
    trainer = make_trainer(MODELS.get("vae"), make_pictures())
    log = JsonLog(tmp_path / "log.jsonl", 1)
    with pytest.raises(TrainingError, match=r"Cannot write .*log\.jsonl"):
        log.write(trainer, {"loss": 1.0})


def test_a_log_with_broken_bytes_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"step": 1}\n\xff\xfe{"step"\n')
    trainer = make_trainer(MODELS.get("vae"), make_pictures())
    trainer.step = 1
    JsonLog(path, 1).on_start(trainer)
    assert path.read_text() == '{"step": 1}\n'
