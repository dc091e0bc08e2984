"""What differs between devices, as far as it can be seen without them."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import pytest
import torch

from mezzotint.core.errors import ConfigError
from mezzotint.engine import compiling, device, plan
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.ema import EMA
from mezzotint.engine.loop import Trainer
from mezzotint.engine.model import MODELS
from mezzotint.engine.parallel import check_processes
from mezzotint.testing._make import make_pictures, make_trainer, spec_of, tiny_model


class Watched:
    """Stands for a tensor that is sent somewhere."""

    def __init__(self) -> None:
        self.sent: dict[str, Any] = {}

    def to(self, place: torch.device, **how: Any) -> None:
        self.sent = {"place": place.type, **how}


@pytest.mark.parametrize(("place", "early"), [("cuda", True), ("mps", False), ("cpu", False)])
def test_only_cuda_copies_in_the_background(place: str, early: bool) -> None:
    """On MPS such a copy reads memory that has been given back, silently (pytorch issues 139550 and 189690)."""
    watched: Any = Watched()
    device.send(watched, place)
    assert watched.sent == {"place": place, "non_blocking": early}


def test_pictures_lie_as_mps_can_read_them() -> None:
    assert not device.lays_channels_last(torch.device("mps"))
    assert device.lays_channels_last(torch.device("cuda", 1))


def test_a_torch_without_onednn_has_no_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """It lacks the operator that tells, too; so on Apple's processors."""
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    monkeypatch.setattr(device.torch, "ops", None)
    assert not device.has_bf16(torch.device("cpu"))


def test_processes_need_devices_that_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for processes, kind in ((8, "cpu"), (2, "cuda"), (1, "mps")):
        check_processes(processes, torch.device(kind))
    with pytest.raises(ConfigError, match=r"is 3, and this machine has 2 GPU"):
        check_processes(3, torch.device("cuda"))
    with pytest.raises(ConfigError, match="cannot share mps"):
        check_processes(2, torch.device("mps"))


def test_measuring_takes_no_more_memory_than_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who cuts the batch into parts, or shares it, has no memory for the whole."""
    largest: list[int] = []
    round_ = Trainer.round

    def watched(self: Trainer) -> None:
        round_(self)
        largest.extend(len(pictures) for pictures, *_ in self._batch)

    monkeypatch.setattr(Trainer, "round", watched)
    monkeypatch.setattr(plan, "has_bf16", lambda device: True)
    pictures = make_pictures()
    model = tiny_model(MODELS.get("vae"), spec_of(pictures))
    config = TrainConfig(steps=1000, batch_size=16, processes=2, accumulate=4)
    settled, _ = plan.settle(model, pictures, config, torch.device("cpu"))
    plan.plan(model, pictures, settled, torch.device("cpu"))
    assert set(largest) == {2}
    assert settled.changed(precision="auto") == config, "only the precision is settled"


def test_weights_are_no_activations() -> None:
    """A network of one wide layer on one picture: nearly all it needs is its weights, four times over."""
    pictures = make_pictures(1, 16, 16)
    model = tiny_model(MODELS.get("vae"), spec_of(pictures), network="mlp", hidden=(512,))
    weights = sum(p.numel() for p in model.parameters()) * 4
    config = TrainConfig(steps=1, batch_size=1, precision="fp32", ema=0)
    found = plan.plan(model, pictures, config, torch.device("cpu"))
    assert 4 * weights <= found.memory < 4.2 * weights, "weights, gradients, and two moments of Adam"


@pytest.mark.parametrize(
    ("place", "minutes", "fault", "choice"),
    [
        ("cpu", 600, None, "off"),
        ("cuda", 600, None, "on"),
        ("cuda", 2, None, "off"),
        ("cuda", 600, "no compiler was found", "off"),
    ],
)
def test_compiling_is_chosen_where_it_pays(
    monkeypatch: pytest.MonkeyPatch, place: str, minutes: float, fault: str | None, choice: str
) -> None:
    monkeypatch.setattr(plan, "compiler_fault", lambda device: fault)
    pictures = make_pictures()
    model = tiny_model(MODELS.get("vae"), spec_of(pictures))
    config = TrainConfig(steps=None, minutes=minutes, compile="auto", precision="fp32")
    settled, why = plan.settle(model, pictures, config, torch.device(place))
    assert settled.compile == choice
    assert f"Compiling: {choice}, " in why
    assert fault is None or fault in why


def test_deterministic_is_for_a_gpu_and_ends_with_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """That a resumed run then ends bit for bit as one without a stop: docs/results.md, on a GPU."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    for place, wish, wanted in (("cuda", True, True), ("cuda", False, False), ("cpu", True, False)):
        with contextlib.suppress(KeyError), device.deterministic(torch.device(place), wish):
            assert torch.are_deterministic_algorithms_enabled() is wanted
            assert ("CUBLAS_WORKSPACE_CONFIG" in os.environ) is wanted
            raise KeyError
        assert not torch.are_deterministic_algorithms_enabled()
        os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)


def test_a_machine_that_cannot_compile_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **options: Any) -> Any:
        raise RuntimeError("no working C++ compiler\nand a page of traces")

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(ConfigError, match=r"this machine \(no working C\+\+ compiler\); set train.compile to off"):
        compiling.require_compiler(torch.device("cpu"))


def test_the_average_follows_weights_that_got_other_memory() -> None:
    net = torch.nn.ModuleDict({"g": torch.nn.Linear(2, 2)})
    ema = EMA(net, ("g",), decay=0.5)
    net["g"].weight.data = net["g"].weight.data.clone() + 1
    before = ema.average["g.weight"].clone()
    ema.update(1)
    assert not torch.equal(ema.average["g.weight"], before)


def test_looking_at_a_compiled_model_compiles_nothing() -> None:
    trainer = make_trainer(MODELS.get("vae"), make_pictures())
    compiled: list[int] = []

    def backend(graph: Any, inputs: Any) -> Any:
        compiled.append(1)
        return graph.forward

    model: Any = trainer.model
    for network in (model.encoder, model.decoder):
        network.compile(backend=backend)
    trainer.round()
    trained = len(compiled)
    assert trained > 0
    with trainer.using() as model:
        for n in (1, 3, 5):
            model.sample(n)
    trainer.round()
    assert len(compiled) == trained
