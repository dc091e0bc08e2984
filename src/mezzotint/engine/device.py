"""Which device and number format to use: found out, not guessed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from mezzotint.core.errors import ConfigError


def choose_device(wish: str, doubles: bool = False) -> torch.device:
    """The device a person asked for; "auto" is CUDA, else MPS, else the CPU.

    Args:
        wish: "auto", "cpu", "cuda", "cuda:1" or "mps".
        doubles: whether double precision is needed, which MPS has not.

    Raises:
        ConfigError: that device is not on this machine, or has no double precision where it is needed.
    """
    available = ["cpu"]
    if doubles and wish == "mps":
        raise ConfigError("mps has no double precision, in which this model computes; use --device cpu.")
    if torch.backends.mps.is_available() and not doubles:
        available.insert(0, "mps")
    if torch.cuda.is_available():
        available.insert(0, "cuda")
    if wish == "auto":
        return torch.device(available[0])
    try:
        device = torch.device(wish)
    except RuntimeError:
        raise ConfigError(f'"{wish}" is no device; this machine has: {", ".join(available)}.') from None
    if device.type not in available:
        raise ConfigError(f'There is no "{wish}" here; this machine has: {", ".join(available)}.')
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f'There is no "{wish}" here; this machine has {torch.cuda.device_count()} GPU(s).')
    return device


def has_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is computed natively (without it, it is only slower)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":  # the operator exists only where torch was built with oneDNN: not for Apple's processors
        return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return False


def lays_channels_last(device: torch.device) -> bool:
    """Whether [N, H, W, C] in memory is of use: on MPS it has crashed batch normalisation and changed results."""
    return device.type != "mps"


def send(tensor: Tensor, device: torch.device | str) -> Tensor:
    """`tensor` on `device`. Only CUDA keeps what a copy that goes on after this returns needs; MPS reads garbage."""
    device = torch.device(device)
    return tensor.to(device, non_blocking=device.type == "cuda")


def wait_for(device: torch.device) -> None:
    """Wait until all work on `device` is done, as a clock must."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """The context in which losses are computed: bfloat16 where it is safe, float32 elsewhere."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def seed_torch(device: torch.device, seed: int) -> None:
    """Seed what layers such as dropout draw from; `torch.manual_seed` visits every device and is slow."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):  # or the first GPU would be seeded for the second
            torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


@contextlib.contextmanager
def deterministic(device: torch.device, wish: bool) -> Iterator[None]:
    """Inside, where it is wished for, a GPU takes only algorithms that give the same bits each time.

    An operator that has none warns and runs all the same. On a CPU nothing changes: torch's are all of this kind.
    """
    if not wish or device.type != "cuda":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS may sum in any order
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def keep_freed_memory() -> bool:
    """Ask glibc to keep freed blocks for the next step instead of returning them to the system; True if it did.

    By default blocks above 32 MB (at first 128 kB) are mapped and unmapped each time, and every page of theirs is
    cleared and faulted in again. Affects the whole process, holds its memory at the peak, and changes no result.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl
        return False
    trim, threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
    mapped = mallopt(threshold, 1 << 30) or mallopt(threshold, 1 << 25)  # old glibc takes at most 32 MB
    return bool(mapped) and bool(mallopt(trim, (1 << 31) - 1))
