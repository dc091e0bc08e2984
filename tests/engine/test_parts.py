"""The loop's parts, one by one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mezzotint.core.errors import ConfigError, TrainingError
from mezzotint.engine.callbacks import JsonLog, Saver, TimeBudget
from mezzotint.engine.checkpoint import CheckpointStore
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.device import choose_device
from mezzotint.engine.draw import Draw
from mezzotint.engine.ema import EMA
from mezzotint.engine.feed import to_tensor
from mezzotint.engine.model import MODELS
from mezzotint.engine.optim import lr_factor
from mezzotint.engine.plan import plan, settle
from mezzotint.engine.validation import Validation
from mezzotint.testing._make import make_pictures, make_trainer, same_tensors, tiny_model


def test_draw_of_two_processes_is_that_of_one() -> None:
    whole = Draw(1, ("a", 2)).normal(6, 3)
    parts = [Draw(1, ("a", 2), rank=rank, world=2).normal(3, 3) for rank in range(2)]
    assert torch.equal(whole, torch.cat(parts))


def test_ema_is_the_recursion() -> None:
    net = nn.ModuleDict({"g": nn.Linear(2, 2), "d": nn.Linear(2, 2)})
    ema = EMA(net, ("g",), decay=0.5)
    weight = net["g"].weight
    expected = weight.detach().clone()
    for step in range(1, 20):
        with torch.no_grad():
            weight.add_(torch.randn(2, 2))
        ema.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight.detach()
    live = weight.detach().clone()
    with ema.applied():
        assert torch.allclose(net["g"].weight, expected, atol=1e-6)
    assert torch.equal(net["g"].weight, live)
    assert not any(key.startswith("d.") for key in ema.tensors())


def test_schedules() -> None:
    assert [lr_factor(TrainConfig(steps=10, warmup=4), s) for s in range(5)] == [0.25, 0.5, 0.75, 1, 1]
    assert lr_factor(TrainConfig(steps=10, schedule="cosine"), 5) == pytest.approx(0.5)
    assert lr_factor(TrainConfig(steps=10, schedule="linear"), 10) == 0
    assert lr_factor(TrainConfig(steps=20, schedule="linear", schedule_steps=10), 15) == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_feed_scales_to_one(dtype: type) -> None:
    top = np.iinfo(dtype).max
    pictures = np.array([0, top], dtype).reshape(2, 1, 1, 1)
    assert to_tensor(pictures).flatten().tolist() == [-1, 1]
    wide = np.arange(24, dtype=dtype).reshape(1, 2, 3, 4)
    assert torch.equal(to_tensor(wide, channels_last=True), to_tensor(wide))
    assert to_tensor(wide)[0, 1, 0, 2] == pytest.approx(9 * 2 / top - 1)


def test_unknown_devices_are_refused() -> None:
    for wish in ("cuda:99", "abacus", "mps:7"):
        with pytest.raises(ConfigError, match="this machine has"):
            choose_device(wish)


def test_config_refuses_what_cannot_be() -> None:
    for values in ({"steps": None}, {"batch_size": 10, "accumulate": 4}, {"ema": 1.0}, {"precision": "int8"}):
        with pytest.raises(ConfigError):
            TrainConfig.build(values, "train")


def test_log_drops_lines_beyond_the_checkpoint(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"st', encoding="utf-8")
    trainer = make_trainer(MODELS.get("vae"), make_pictures())
    trainer.callbacks.append(JsonLog(log, 1))
    trainer.config = trainer.config.changed(steps=4)
    trainer.step = 2
    trainer.run()
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == [1, 2, 3, 4]


def test_time_budget_counts_earlier_time() -> None:
    trainer = make_trainer(MODELS.get("vae"), make_pictures(), steps=None, minutes=1)
    trainer.callbacks.append(TimeBudget(1))
    trainer.seconds = 59.9
    trainer.run()
    assert trainer.stop_reason
    assert 60 <= trainer.seconds < 65


def test_early_stop_and_best(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    trainer = make_trainer(MODELS.get("vae"), make_pictures(), steps=10_000)
    saver = Saver(store, 1000, 5)
    losses = iter([3.0, 2.0, 2.5, 2.4, 1.0])
    validation = Validation(saver, every=2, patience=2)
    validation.measure = lambda trainer: next(losses)  # type: ignore[method-assign]
    trainer.callbacks += [validation, saver]
    trainer.run()
    assert trainer.step == 8
    assert store.load("best").step == 4
    assert validation.state() == {"best": 2.0, "waited": 2, "by": "loss"}


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    trainer = make_trainer(MODELS.get("vae"), make_pictures())
    saver = Saver(store, 1, 5)
    saver.save(trainer)
    trainer.step = 1
    with torch.no_grad():
        next(trainer.model.parameters()).flatten()[0] = torch.nan
    with pytest.raises(TrainingError, match="not saved"):
        saver.save(trainer)
    assert store.steps() == [0]


def test_plan_counts_what_can_be_counted_by_hand() -> None:
    trainer = make_trainer(MODELS.get("vae"), make_pictures(), batch_size=4)
    model = tiny_model(MODELS.get("vae"), trainer.model.spec, network="mlp")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = plan(model, make_pictures(), trainer.config, torch.device("cpu"))
    weights = 64 * 16 + 16 * 8 + 4 * 16 + 16 * 64
    assert found.parameters["encoder"] + found.parameters["decoder"] == weights + 16 + 8 + 16 + 64
    # forward, gradient of the weights, gradient of the inputs; the first layer's input needs none
    assert found.flops == 2 * 4 * (3 * weights - 64 * 16)
    assert found.memory > 0
    assert same_tensors(before, model.state_dict()), "planning must not train"


def test_precision_is_measured() -> None:
    trainer = make_trainer(MODELS.get("vae"), make_pictures())
    config = TrainConfig(steps=1000, batch_size=4)
    settled, why = settle(trainer.model, make_pictures(), config, torch.device("cpu"))
    assert settled.precision in ("fp32", "bf16")
    assert settled.precision in why
    short, why = settle(trainer.model, make_pictures(), config.changed(steps=5), torch.device("cpu"))
    assert short.precision == "fp32"
