"""What a training will cost, found out by doing a little of it on a copy of the model."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from mezzotint.data.types import PictureSet
from mezzotint.engine.compiling import compiler_fault, require_compiler
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.device import has_bf16, wait_for
from mezzotint.engine.loop import Trainer
from mezzotint.engine.model import Model

_WORTH = 0.95  # bf16 must be at least this much faster to be worth its rounding
_SETTLED = 20  # steps; shorter runs are not worth measuring
_REPAYS = 20 * 60  # seconds; compiling takes half a minute and gains some percent


@dataclass(frozen=True)
class Plan:
    """What a training will cost.

    Attributes:
        parameters: network -> how many numbers it learns.
        flops: floating-point operations of one round (a multiply-add counts as two).
        seconds: measured time of one round.
        memory: bytes that training needs beside the program itself: weights, gradients, optimiser, activations.
        precision: the number format chosen.
    """

    parameters: dict[str, int]
    flops: int
    seconds: float
    memory: int
    precision: str


def time_round(model: Model, pictures: PictureSet, config: TrainConfig, device: torch.device, rounds: int = 3) -> float:
    """Seconds for one round of training, measured on a copy; the first, slower round does not count."""
    trainer = Trainer(copy.deepcopy(model), pictures, config, device)
    trainer.model.train()
    times = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        trainer.round()
        wait_for(device)
        times.append(time.perf_counter() - started)
    return min(times[1:])


def settle(model: Model, pictures: PictureSet, config: TrainConfig, device: torch.device) -> tuple[TrainConfig, str]:
    """Settle `precision="auto"` by timing both formats on this very model, and `compile="auto"` by the run's length.

    Returns:
        The settled configuration, and a sentence that says why.

    Raises:
        ConfigError: compiling was asked for, and this machine cannot.
    """
    config, why, seconds = _precision(model, pictures, config, device)
    if config.compile == "auto":
        length = config.minutes * 60 if config.minutes is not None else math.inf
        if config.steps is not None:
            seconds = seconds or time_round(model, pictures, one_share(config), device)
            length = min(length, config.steps * seconds)
        choice, because = _worth_compiling(length, device)
        config = config.changed(compile=choice)
        why += f" Compiling: {choice}, {because}."
    elif config.compile == "on":
        require_compiler(device)
    return config, why


def _worth_compiling(length: float, device: torch.device) -> tuple[str, str]:
    """Whether a run of `length` seconds shall be compiled, and a clause that says why."""
    if device.type == "cpu":
        return "off", "on a CPU our own forms of the layers are faster"
    if length <= _REPAYS:
        return "off", f"the run takes about {length / 60:.0f} minutes"
    fault = compiler_fault(device)
    if fault is not None:
        return "off", f"this machine cannot ({fault})"
    return "on", "the run has no end in sight" if math.isinf(
        length
    ) else f"the run takes about {length / 60:.0f} minutes"


def _precision(
    model: Model, pictures: PictureSet, config: TrainConfig, device: torch.device
) -> tuple[TrainConfig, str, float | None]:
    if model.fitted():
        return config.changed(precision="fp32"), "Fitted in double precision.", None
    if config.precision != "auto":
        return config, f"Precision {config.precision}, as asked.", None
    if not has_bf16(device):
        return config.changed(precision="fp32"), f"Precision fp32: {device.type} here has no native bfloat16.", None
    if model.spec.meaning.numeric:
        said = f"Precision fp32: bfloat16 has too few digits for {model.spec.meaning.word}."
        return config.changed(precision="fp32"), said, None
    if config.steps is not None and config.steps < _SETTLED:
        return config.changed(precision="fp32"), "Precision fp32: too short a run to measure.", None
    seconds = {
        name: time_round(model, pictures, one_share(config).changed(precision=name), device)
        for name in ("fp32", "bf16")
    }
    best = "bf16" if seconds["bf16"] < _WORTH * seconds["fp32"] else "fp32"
    said = ", ".join(f"{name} {value * 1000:.3g} ms" for name, value in seconds.items())
    return config.changed(precision=best), f"Precision {best}: measured {said} a step.", seconds[best]


def one_share(config: TrainConfig) -> TrainConfig:
    """What one of the processes does, as the work of one alone: no more at a time, or memory would not suffice."""
    return config.changed(processes=1, batch_size=config.batch_size // config.processes)


class _AllTogether:
    """Instead of torch's tracker of modules: that one has hooks that refuse a slope with respect to pictures, as
    gradient penalties take it, and what each module costs is not asked for here."""

    parents = frozenset({"Global"})

    def __enter__(self) -> None:
        """Nothing to begin."""

    def __exit__(self, *error: object) -> None:
        """Nothing to end."""


def plan(model: Model, pictures: PictureSet, config: TrainConfig, device: torch.device) -> Plan:
    """Measure one round on a copy of the model. `config.precision` must be settled.

    Of several processes one is measured: the time leaves out what they tell each other, the rest is of all together.
    """
    share = one_share(config)
    seconds = time_round(model, pictures, share, device, rounds=2)
    trainer = Trainer(copy.deepcopy(model), pictures, share, device)
    trainer.model.train()
    saved: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    counter = FlopCounterMode(display=False)
    counter.mod_tracker = _AllTogether()  # type: ignore[assignment]
    with counter, saved_tensors_hooks(pack, lambda tensor: tensor):
        trainer.round()
    weights = {p.untyped_storage().data_ptr() for p in trainer.model.parameters()}
    state = sum(t.numel() * t.element_size() for t in trainer.tensors().values())
    gradients = sum(sum(p.numel() * p.element_size() for p in player.parameters) for player in trainer.players)
    activations = sum(size for pointer, size in saved.items() if pointer not in weights)
    if model.fitted():
        fitted = {name: model.get_buffer(name).numel() for name in model.estimates}
        return Plan(fitted, counter.get_total_flops(), seconds, state, config.precision)
    networks = {name: sum(p.numel() for p in net.parameters()) for name, net in model.named_children()}
    return Plan(
        {name: count for name, count in networks.items() if count},
        counter.get_total_flops() * config.processes,
        seconds,
        (state + gradients + activations) * config.processes,
        config.precision,
    )
