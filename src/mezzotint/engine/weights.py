"""The weights of a model: their order in memory, and filling them from a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mezzotint.core.errors import CheckpointError

ANOTHER = "it was made by another model or an earlier version of it: train it again, or take the version that made it."
"""Why a checkpoint's names are not the model's, and what to do."""


def to_channels_last(model: nn.Module) -> None:
    """Lay the weights of all convolutions out as [N, H, W, C] in memory."""
    for parameter in model.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def load_model_tensors(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy `tensors` into the model.

    Raises:
        CheckpointError: a name or a shape differs.
    """
    wanted = model.state_dict()
    odd = sorted(wanted.keys() ^ tensors.keys())
    if odd:
        side = "lacks" if odd[0] in wanted else "has, and this model lacks,"
        raise CheckpointError(f'The checkpoint {side} the weights "{odd[0]}"; {ANOTHER}')
    for key, value in wanted.items():
        if value.shape != tensors[key].shape:
            raise CheckpointError(
                f'The weights "{key}" have shape {tuple(tensors[key].shape)} in the checkpoint and '
                f"{tuple(value.shape)} in the model; it was made with other settings."
            )
        value.copy_(tensors[key])


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
