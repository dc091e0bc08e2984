"""One process or many. Many are started and connected by lightning-fabric, which is imported only then."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from mezzotint.core import atomic
from mezzotint.core.errors import ConfigError, Interrupted, MezzotintError, MissingExtra


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


def check_processes(processes: int, device: torch.device) -> None:
    """Check that `processes` can share a training on devices of this kind.

    Raises:
        ConfigError: there are fewer GPUs, or the kind knows no sharing.
    """
    if processes > 1 and device.type not in ("cpu", "cuda"):
        raise ConfigError(f"Several processes cannot share {device.type}; set train.processes to 1.")
    if device.type == "cuda" and processes > torch.cuda.device_count():
        raise ConfigError(
            f"train.processes is {processes}, and this machine has {torch.cuda.device_count()} GPU(s), one for each."
        )


def launch(processes: int, accelerator: str, work: Callable[[Parallel], None]) -> None:
    """Run `work` in `processes` processes that know of each other, and wait for them.

    SIGTERM is handed on to them, and what stops one of them stops all.

    Args:
        processes: how many; one runs here.
        accelerator: "cpu" or "cuda".
        work: importable (a module's function or a partial of one), since new processes import it.

    Raises:
        MezzotintError: the one that `work` raised.
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
    nccl = accelerator == "cuda" and torch.distributed.is_nccl_available()  # not on Windows
    spawn = DDPStrategy(start_method="spawn", process_group_backend="nccl" if nccl else "gloo")
    fabric = Fabric(accelerator=accelerator, devices=processes, strategy=spawn)
    with tempfile.TemporaryDirectory() as folder, _handing_on():
        try:
            fabric.launch(_with_fabric, work, folder)
        except Exception as error:  # torch tells of a child's error as text only
            told = _told(Path(folder))
            raise (told or error) from (None if told else error.__cause__)


def _with_fabric(fabric: Any, work: Callable[[Parallel], None], folder: str) -> None:
    try:
        work(Together(fabric))
    except MezzotintError as error:
        said = {"kind": type(error).__name__, "sentence": str(error)}
        atomic.write_json(Path(folder) / f"{fabric.global_rank}.json", said)
        raise


def _told(folder: Path) -> MezzotintError | None:
    """What a child has said, as the error that it was; an interruption only if there is nothing worse."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    if not found:
        return None
    first = min(found, key=lambda said: said["kind"] == Interrupted.__name__)
    kinds = {kind.__name__: kind for kind in _below(MezzotintError)}
    kinds.pop(MissingExtra.__name__, None)  # which makes its sentence itself
    return kinds.get(first["kind"], MezzotintError)(first["sentence"])


def _below(kind: type[MezzotintError]) -> Iterator[type[MezzotintError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


@contextmanager
def _handing_on() -> Iterator[None]:
    """Inside, SIGTERM goes to the children, and Ctrl-C, which they hear themselves, does not end the wait for them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def hand_on(number: int, frame: FrameType | None) -> None:
        for child in multiprocessing.active_children():
            if child.pid is not None:
                os.kill(child.pid, number)

    before = signal.signal(signal.SIGTERM, hand_on), signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])
