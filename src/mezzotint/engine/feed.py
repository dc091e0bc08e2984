"""From packed integer pictures to tensors on the device."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mezzotint.data.batches import RawBatch
from mezzotint.engine.device import send


def to_tensor(pictures: NDArray[Any], device: torch.device | str = "cpu", channels_last: bool = False) -> Tensor:
    """Packed pictures as float32 [N, C, H, W] in [-1, 1].

    The integers travel to the device and are scaled there. With `channels_last` the memory order stays that of the
    packed array, so nothing is transposed.

    Args:
        pictures: [N, H, W, C] uint8 or uint16.
    """
    top = float(np.iinfo(pictures.dtype).max)
    tensor = send(torch.from_numpy(pictures), device).permute(0, 3, 1, 2)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    floats = tensor.to(torch.float32, memory_format=layout)
    return floats.mul_(2.0 / top).sub_(1.0)


def to_labels(labels: NDArray[Any] | None, device: torch.device | str = "cpu") -> Tensor | None:
    """Labels, or other numbers that go with pictures, as a tensor of the same type on the device."""
    return None if labels is None else send(torch.from_numpy(labels), device)


class Part(NamedTuple):
    """Pictures [N, C, H, W] in [-1, 1] that are looked at together, with their labels and targets [N, ...]."""

    pictures: Tensor
    labels: Tensor | None
    targets: Tensor | None


def parts_of(batch: RawBatch, size: int, device: torch.device, channels_last: bool) -> list[Part]:
    """A batch on the device, in parts of so many pictures each."""
    pictures = to_tensor(batch.pictures, device, channels_last)
    labels, targets = to_labels(batch.labels, device), to_labels(batch.targets, device)
    return [
        Part(pictures[at], None if labels is None else labels[at], None if targets is None else targets[at])
        for at in (slice(i, i + size) for i in range(0, len(pictures), size))
    ]
