"""One process or many. Many are started and connected by lightning-fabric, which is imported only then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from mezzotint.core.errors import MissingExtra


class Parallel(Protocol):
    """What the loop needs to know of the other processes."""

    rank: int
    world: int
    device: torch.device | None
    """The device this process was given; None leaves the choice to the settings."""

    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace every gradient by its mean over the processes."""
        ...

    def agree(self, flag: bool) -> bool:
        """Whether any process says yes; all get the same answer."""
        ...

    def barrier(self) -> None:
        """Wait for the others."""
        ...


class Alone:
    """One process: nothing to agree upon."""

    rank = 0
    world = 1
    device: torch.device | None = None

    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        return

    def agree(self, flag: bool) -> bool:
        return flag

    def barrier(self) -> None:
        return


class Together:
    """One of several processes, over a launched `lightning_fabric.Fabric`."""

    def __init__(self, fabric: Any) -> None:
        self._fabric = fabric
        self.rank: int = fabric.global_rank
        self.world: int = fabric.world_size
        self.device: torch.device | None = fabric.device

    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        # One flat message per phase instead of one per parameter. DistributedDataParallel is not used: it hooks
        # `forward`, and a game calls its networks several times, partly frozen, between two updates.
        gradients = [p.grad for p in parameters if p.grad is not None]
        if not gradients:
            return
        flat = torch.cat([g.reshape(-1) for g in gradients])
        flat = self._fabric.all_reduce(flat, reduce_op="mean")
        offset = 0
        for gradient in gradients:
            gradient.copy_(flat[offset : offset + gradient.numel()].view_as(gradient))
            offset += gradient.numel()

    def agree(self, flag: bool) -> bool:
        vote: Tensor = self._fabric.all_reduce(torch.tensor(float(flag), device=self._fabric.device), reduce_op="sum")
        return bool(vote.item() > 0)

    def barrier(self) -> None:
        self._fabric.barrier()


def launch(processes: int, accelerator: str, work: Callable[[Parallel], None]) -> None:
    """Run `work` in `processes` processes that know of each other, and wait for them.

    Under torchrun the processes that exist already are used. `work` must be importable (a module's function or a
    partial of one), since new processes import it.

    Raises:
        MissingExtra: lightning-fabric is not installed.
    """
    if processes == 1:
        work(Alone())
        return
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.strategies import DDPStrategy
    except ImportError:
        raise MissingExtra("Training in several processes", "distributed") from None
    spawn = DDPStrategy(start_method="spawn", process_group_backend="nccl" if accelerator == "cuda" else "gloo")
    fabric = Fabric(accelerator=accelerator, devices=processes, strategy=spawn)
    fabric.launch(_with_fabric, work)


def _with_fabric(fabric: Any, work: Callable[[Parallel], None]) -> None:
    work(Together(fabric))
