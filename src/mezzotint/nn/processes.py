"""Sums over all processes of a training, with gradients: what is no mean over pictures must know of all of them."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def several() -> bool:
    """Whether this process trains together with others."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


class _Sum(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of theirs, since each adds to every process's result."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        total = grad.clone()
        dist.all_reduce(total)
        return total


def summed(x: Tensor) -> Tensor:
    """The sum of every process's x; x: any shape, the same in all. x itself where there is one process."""
    if not several():
        return x
    total: Tensor = _Sum.apply(x)  # type: ignore[no-untyped-call]
    return total


def together(x: Tensor) -> Tensor:
    """x [N, ...] of every process, one below the other [processes * N, ...]; x itself where there is one."""
    if not several():
        return x
    parts = [torch.zeros_like(x)] * dist.get_world_size()
    parts[dist.get_rank()] = x
    return summed(torch.cat(parts))


def own(every: Tensor, count: int) -> Tensor:
    """Of what `together` gave, this process's `count` rows."""
    first = dist.get_rank() * count if several() else 0
    return every[first : first + count]
