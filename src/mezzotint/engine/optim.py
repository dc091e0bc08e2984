"""Optimisers and learning-rate schedules, built from what a phase declares."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer, RMSprop

from mezzotint.core.errors import CheckpointError
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.phase import OptimizerSpec


def build_optimizer(spec: OptimizerSpec, parameters: list[nn.Parameter]) -> Optimizer:
    """The optimiser that `spec` describes; the fused implementation where there is one."""
    fused = all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in parameters)
    if spec.kind == "rmsprop":
        momentum, alpha = spec.betas
        return RMSprop(
            parameters, spec.lr, alpha=alpha, eps=spec.eps, weight_decay=spec.weight_decay, momentum=momentum
        )
    kind = AdamW if spec.kind == "adamw" else Adam
    return kind(parameters, spec.lr, betas=spec.betas, eps=spec.eps, weight_decay=spec.weight_decay, fused=fused)


def lr_factor(config: TrainConfig, step: int) -> float:
    """What the learning rate is multiplied by in round `step`; a function of the step alone, so it needs no state.

    Example:
        >>> lr_factor(TrainConfig(steps=100, schedule="linear"), 50)
        0.5
    """
    factor = 1.0
    if config.warmup and step < config.warmup:
        factor = (step + 1) / config.warmup
    total = config.schedule_steps or config.steps
    if config.schedule == "constant" or total is None:
        return factor
    done = min(step / total, 1.0)
    return factor * (1 - done if config.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done)))


def optimizer_tensors(optimizer: Optimizer, names: list[str]) -> dict[str, Tensor]:
    """The optimiser's state as "<parameter>|<field>" -> tensor; `names` are those of its parameters, in order."""
    states: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
    return {f"{names[i]}|{key}": torch.as_tensor(value) for i, state in states.items() for key, value in state.items()}


def load_optimizer_tensors(optimizer: Optimizer, names: list[str], tensors: dict[str, Tensor]) -> None:
    """The inverse of `optimizer_tensors`.

    Raises:
        CheckpointError: the state belongs to other parameters.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    position = {name: i for i, name in enumerate(names)}
    states: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, _, part = key.rpartition("|")
        if name not in position:
            raise CheckpointError(f'The checkpoint has optimiser state for "{name}", which this model lacks.')
        index = position[name]
        if value.shape == parameters[index].shape:
            # In the parameter's own memory order, or the fused update would walk the two differently.
            value = torch.empty_like(parameters[index], dtype=value.dtype).copy_(value)
        states.setdefault(index, {})[part] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": states, "param_groups": groups})
