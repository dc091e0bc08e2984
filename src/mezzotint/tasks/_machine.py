"""What the system says about processor and memory, and how fast it computes."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
import torch.nn.functional as F
from torch import Tensor

_SECONDS = 0.15
_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Speed:
    """How fast a device computes: billions of multiplications and additions a second, counted separately."""

    device: str
    operation: str
    precision: str
    gflops: float


def speeds(device: torch.device) -> tuple[Speed, ...]:
    """Matrix product and convolution in fp32 and bf16 on a device; about a second in all."""
    size, pictures = (512, 8) if device.type == "cpu" else (4096, 256)
    found = []
    with torch.no_grad():
        for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
            a = torch.ones(size, size, device=device, dtype=dtype)
            x = torch.ones(pictures, 64, 32, 32, device=device, dtype=dtype).to(memory_format=torch.channels_last)
            w = torch.ones(64, 64, 3, 3, device=device, dtype=dtype).to(memory_format=torch.channels_last)
            for operation, work, call in (
                ("matmul", 2 * size**3, lambda a=a: a @ a),
                ("conv", 2 * pictures * 32 * 32 * 64 * 64 * 9, lambda x=x, w=w: F.conv2d(x, w, padding=1)),
            ):
                found.append(Speed(device.type, operation, precision, work * _rate(call, device) / 1e9))
    return tuple(found)


def _rate(call: Callable[[], Tensor], device: torch.device) -> float:
    """Calls a second, the fastest of a few: another program may take the processor in between."""
    deadline = time.perf_counter() + _SECONDS
    call()  # the first one also sets things up
    best = 0.0
    while True:
        _wait(device)
        start = time.perf_counter()
        call()
        _wait(device)
        now = time.perf_counter()
        best = max(best, 1 / max(now - start, 1e-9))
        if now >= deadline:
            return best


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def cpu_name() -> str:
    """The processor in words."""
    try:
        if platform.system() == "Linux":
            for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
                key, _, value = line.partition(":")
                if key.strip() in ("model name", "Model", "cpu model") and value.strip():
                    return value.strip()
        if platform.system() == "Darwin":
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        pass
    return platform.processor() or platform.machine() or "unknown processor"


def cpus_allowed() -> int:
    """How many logical cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cgroup_cpus(root: Path = _CGROUPS, own: Path = Path("/proc/self/cgroup")) -> float | None:
    """The cores that the container allows (2.5 means two and a half), or None when it sets no limit."""
    limits = []
    for folder in _own_groups(root, own):
        quota, period = (*_numbers(folder / "cpu.max"), None, None)[:2]
        if quota and period:
            limits.append(quota / period)
    old = root / "cpu"
    quota, period = (next(iter(_numbers(old / f"cpu.cfs_{key}_us")), None) for key in ("quota", "period"))
    if quota and period and quota > 0:
        limits.append(quota / period)
    return min(limits, default=None)


def memory_limit(root: Path = _CGROUPS, own: Path = Path("/proc/self/cgroup")) -> tuple[int, int]:
    """Bytes of memory in all and free, as far as the container allows."""
    memory = psutil.virtual_memory()
    total, available = int(memory.total), int(memory.available)
    pairs = [(folder / "memory.max", folder / "memory.current") for folder in _own_groups(root, own)]
    pairs.append((root / "memory" / "memory.limit_in_bytes", root / "memory" / "memory.usage_in_bytes"))
    for limit_file, used_file in pairs:
        limit = next(iter(_numbers(limit_file)), None)
        if limit is not None and 0 < limit < total:
            used = next(iter(_numbers(used_file)), None) or 0
            total, available = int(limit), min(available, max(0, int(limit - used)))
    return total, available


def _own_groups(root: Path, own: Path) -> list[Path]:
    """The folders of this process's control group and of those above it (version 2)."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return [root]
    name = next((line.removeprefix("0::").strip("/") for line in lines if line.startswith("0::")), "")
    group = Path(name)
    return [root, *(root / path for path in (group, *group.parents) if str(path) not in (".", ".."))]


def _numbers(file: Path) -> list[float | None]:
    """The numbers in a one-line file; None for a word such as max; nothing if it is not there."""
    try:
        words = file.read_text().split()
    except (OSError, UnicodeDecodeError):
        return []
    return [float(word) if word.lstrip("-").isdecimal() else None for word in words]


def nvidia_driver() -> bool:
    """Whether the driver of an NVIDIA GPU is installed and has found one."""
    if Path("/proc/driver/nvidia/gpus").is_dir():
        return any(Path("/proc/driver/nvidia/gpus").iterdir())
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return False
    try:
        listed = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return listed.returncode == 0 and "GPU" in listed.stdout
