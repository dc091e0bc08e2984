"""Optimisers and learning-rate schedules, built from what a phase declares."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Muon, Optimizer, RMSprop

from mezzotint.core.errors import CheckpointError
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.phase import OptimizerSpec


def build_optimizer(spec: OptimizerSpec, parameters: list[Tensor]) -> Optimizer:
    """The optimiser that `spec` describes; the fused implementation where there is one."""
    fused = all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in parameters)
    if spec.kind == "rmsprop":
        momentum, alpha = spec.betas
        return RMSprop(
            parameters, spec.lr, alpha=alpha, eps=spec.eps, weight_decay=spec.weight_decay, momentum=momentum
        )
    if spec.kind == "muon":
        matrices, others = ([p for p in parameters if _is_matrix(p) == of] for of in (True, False))
        adam = replace(spec, kind="adam")
        decay = spec.weight_decay
        muon = [Muon(matrices, spec.lr, weight_decay=decay, adjust_lr_fn="match_rms_adamw")] if matrices else []
        return Several([*muon, *([build_optimizer(adam, others)] if others else [])])
    kind = AdamW if spec.kind == "adamw" else Adam
    return kind(parameters, spec.lr, betas=spec.betas, eps=spec.eps, weight_decay=spec.weight_decay, fused=fused)


class Several(Optimizer):
    """Optimisers of different parameters as one."""

    def __init__(self, parts: list[Optimizer]) -> None:
        self.parts = parts
        super().__init__([group for part in parts for group in part.param_groups], {})
        self._share()

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Let each of them move its parameters."""
        for part in self.parts:
            part.step()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As of any optimiser."""
        super().load_state_dict(state_dict)
        self._share()

    def _share(self) -> None:
        """What they remember, and their groups, are those of the whole."""
        at = 0
        for part in self.parts:
            part.state = self.state
            part.param_groups = self.param_groups[at : at + len(part.param_groups)]
            at += len(part.param_groups)


def _is_matrix(parameter: Tensor) -> bool:
    return parameter.dim() == 2


def state_fields(spec: OptimizerSpec, parameter: Tensor) -> set[str]:
    """What the optimiser that `spec` describes remembers of a parameter once it has moved."""
    if spec.kind == "muon" and _is_matrix(parameter):
        return {"momentum_buffer"}
    if spec.kind == "rmsprop":
        return {"step", "square_avg"} | ({"momentum_buffer"} if spec.betas[0] > 0 else set())
    return {"step", "exp_avg", "exp_avg_sq"}


def memory_order(tensor: Tensor) -> Tensor:
    """`tensor`, or a channels-last one [N, C, H, W] seen as it lies in memory, [N, H, W, C].

    PyTorch's fused updates copy whatever is not contiguous, which doubles their time.
    """
    return tensor.permute(0, 2, 3, 1) if is_channels_last(tensor) else tensor


def is_channels_last(tensor: Tensor) -> bool:
    """Whether a tensor lies in memory as [N, H, W, C] and differently from a contiguous one."""
    if tensor.dim() != 4 or tensor.is_contiguous():
        return False
    return tensor.is_contiguous(memory_format=torch.channels_last)


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
    if config.schedule == "late":
        return factor * min(1.0, 2 * (1 - done))
    return factor * (1 - done if config.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done)))


def optimizer_tensors(
    optimizer: Optimizer, names: list[str], parameters: list[nn.Parameter], moved: list[Tensor]
) -> dict[str, Tensor]:
    """The optimiser's state as "<parameter>|<field>" -> tensor, in the shape of the parameters.

    Args:
        optimizer: what moves.
        names, parameters: what is moved.
        moved: the `memory_order` of the parameters, which it knows.
    """
    found: dict[str, Tensor] = {}
    for name, parameter, known in zip(names, parameters, moved, strict=True):
        turned = is_channels_last(parameter)
        for key, value in optimizer.state.get(known, {}).items():
            tensor = torch.as_tensor(value)
            found[f"{name}|{key}"] = tensor.permute(0, 3, 1, 2) if turned and tensor.dim() == 4 else tensor
    return found


def load_optimizer_tensors(
    optimizer: Optimizer,
    names: list[str],
    parameters: list[nn.Parameter],
    moved: list[Tensor],
    tensors: dict[str, Tensor],
) -> None:
    """The inverse of `optimizer_tensors`.

    Raises:
        CheckpointError: the state belongs to other parameters.
    """
    order = [id(each) for group in optimizer.param_groups for each in group["params"]]
    position = {name: order.index(id(each)) for name, each in zip(names, moved, strict=True)}
    known = dict(zip(names, parameters, strict=True))
    states: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, _, part = key.rpartition("|")
        if name not in position:
            raise CheckpointError(f'The checkpoint has optimiser state for "{name}", which this model lacks.')
        shape = torch.Size() if part == "step" else known[name].shape
        if value.shape != shape:  # the fused update would read beyond its end
            raise CheckpointError(
                f'The checkpoint\'s optimiser state "{part}" of "{name}" has the shape {list(value.shape)}, not '
                f"{list(shape)}; it was made with other settings."
            )
        if part != "step":
            # In the parameter's own memory order, or the fused update would walk the two differently.
            value = memory_order(torch.empty_like(known[name], dtype=value.dtype).copy_(value).detach())
        states.setdefault(position[name], {})[part] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": states, "param_groups": groups})
