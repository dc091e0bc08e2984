"""A look at this machine: what Mezzotint can use, what is missing, and what to do about it."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import psutil
import torch

from mezzotint.data.cache import default_folder
from mezzotint.engine.device import choose_device, has_bf16
from mezzotint.tasks._machine import Speed, cgroup_cpus, cpu_name, cpus_allowed, memory_limit, nvidia_driver, speeds

GIB = 2**30
PURPOSES = {
    "distributed": "training on several GPUs or processes",
    "jpeg": "decoding JPEG files faster",
    "film": "writing MP4 and WebM films",
    "curves": "TensorBoard curves",
    "export": "exporting models to ONNX",
    "hub": "models from and to the Hugging Face hub",
}
_DEVELOPERS = ("test", "lint", "docs", "dev")
_LITTLE_DISK = 5 * GIB
_LITTLE_MEMORY = 2 * GIB


@dataclass(frozen=True)
class Extra:
    """An optional part.

    Attributes:
        name: what it is called.
        purpose: what it is for.
        packages: package -> installed version, or None.
        command: how to install it; empty when it is whole.
    """

    name: str
    purpose: str
    packages: Mapping[str, str | None]
    command: str

    @property
    def complete(self) -> bool:
        """Whether every package is installed."""
        return None not in self.packages.values()


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    Attributes:
        system, python, cpu: in words.
        cores: physical, logical, allowed (how many this process may use) and limit (of its container, or None).
        memory: bytes in all and free; the limit of a container is taken into account.
        torch: its version and what it was built for.
        threads: how many it computes with.
        devices: name -> in words, the one that "auto" takes first.
        bf16: whether that device computes bfloat16 natively.
        speeds: what was measured.
        cache: the folder for packed pictures.
        disk_free: bytes free there.
        data: $MEZZOTINT_DATA, or None.
        packages: each dependency and its version, or None.
        extras: the optional parts.
        warnings: sentences about what should be changed.
    """

    system: str
    python: str
    cpu: str
    cores: Mapping[str, float | None]
    memory: Mapping[str, int]
    torch: str
    threads: int
    devices: Mapping[str, str]
    bf16: bool
    speeds: tuple[Speed, ...]
    cache: str
    disk_free: int
    data: str | None
    packages: Mapping[str, str | None]
    extras: tuple[Extra, ...]
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    def sentences(self) -> list[str]:
        """What a person should read, the warnings last."""
        cores = self.cores
        limit = f", {cores['limit']:g} by the container's limit" if cores["limit"] is not None else ""
        first = next(iter(self.devices))
        fast = ", ".join(f"{s.operation} {s.precision} {s.gflops:,.0f}" for s in self.speeds if s.device == "cpu")
        others = [f"{s.operation} {s.precision} {s.gflops:,.0f}" for s in self.speeds if s.device != "cpu"]
        lines = [
            f"{self.system}, Python {self.python}.",
            f"{self.cpu}: {cores['physical'] or '?'} cores, {cores['logical']} threads; this process may use "
            f"{cores['allowed']}{limit}.",
            f"Memory: {self.memory['total'] / GIB:.1f} GiB, {self.memory['available'] / GIB:.1f} GiB free.",
            f"PyTorch {self.torch} with {self.threads} threads; devices: "
            + "; ".join(f"{name} ({words})" for name, words in self.devices.items())
            + ".",
            f"bfloat16 is {'native' if self.bf16 else 'emulated, and slower than float32,'} on {first}.",
            f"Measured GFLOP/s on cpu: {fast}.",
            *([f"Measured GFLOP/s on {first}: {', '.join(others)}."] if others else []),
            f"Packed pictures are kept in {self.cache}, with {self.disk_free / GIB:.1f} GiB free.",
            f"MEZZOTINT_DATA is {self.data}." if self.data else "MEZZOTINT_DATA is not set.",
            "Packages: " + ", ".join(f"{name} {v or 'missing'}" for name, v in self.packages.items()) + ".",
        ]
        for extra in self.extras:
            state = "installed" if extra.complete else f"missing; {extra.command}"
            lines.append(f"Extra {extra.name} ({extra.purpose}): {state}.")
        return lines + [f"Warning: {warning}" for warning in self.warnings]


def examine(measure: bool = True) -> Diagnosis:
    """Look at this machine. Takes about a second, most of it for measuring; nothing is written.

    Args:
        measure: also measure how fast it computes.

    Example:
        >>> examine(measure=False).cores["logical"] >= 1
        True
    """
    best = choose_device("auto")
    cores: dict[str, float | None] = {
        "physical": psutil.cpu_count(logical=False),
        "logical": psutil.cpu_count() or 1,
        "allowed": cpus_allowed(),
        "limit": cgroup_cpus(),
    }
    total, available = memory_limit()
    cache = default_folder()
    free = shutil.disk_usage(_existing(cache)).free
    packages, extras = _packages()
    built = f"{torch.__version__} ({_built_for()})"
    measured = () if not measure else speeds(torch.device("cpu")) + (speeds(best) if best.type != "cpu" else ())
    found = Diagnosis(
        system=f"{platform.system()} {platform.release()} on {platform.machine()}",
        python=platform.python_version(),
        cpu=cpu_name(),
        cores=cores,
        memory={"total": total, "available": available},
        torch=built,
        threads=torch.get_num_threads(),
        devices=_devices(),
        bf16=has_bf16(best),
        speeds=measured,
        cache=str(cache),
        disk_free=free,
        data=os.environ.get("MEZZOTINT_DATA") or None,
        packages=packages,
        extras=extras,
    )
    return replace(found, warnings=tuple(_warnings(found, nvidia_driver())))


def _warnings(found: Diagnosis, driver: bool) -> list[str]:
    """What should be changed, each in a sentence.

    Args:
        found: everything else.
        driver: whether the driver of an NVIDIA GPU is there.
    """
    cores = found.cores
    usable = min(cores["allowed"] or 1, cores["limit"] or float("inf"))
    warnings = []
    if found.threads > max(1, usable):
        warnings.append(
            f"PyTorch computes with {found.threads} threads and only {usable:g} cores may be used, which slows it "
            f"down; set OMP_NUM_THREADS={max(1, int(usable))}."
        )
    physical = min(usable, cores["physical"] or usable)
    if found.threads <= physical / 2:
        warnings.append(
            f"PyTorch computes with {found.threads} of {physical:g} cores; unset OMP_NUM_THREADS if you want them all."
        )
    if driver and not any(name.startswith("cuda") for name in found.devices):
        built = torch.version.cuda is not None
        cure = (
            "update the NVIDIA driver, or see whether CUDA_VISIBLE_DEVICES hides it"
            if built
            else "install a build with CUDA from https://pytorch.org/get-started"
        )
        warnings.append(f"There is an NVIDIA GPU that PyTorch {'cannot' if built else 'was not built to'} use; {cure}.")
    if found.disk_free < _LITTLE_DISK:
        warnings.append(
            f"Only {found.disk_free / GIB:.1f} GiB are free for packed pictures in {found.cache}; free some space, or "
            "set MEZZOTINT_CACHE to another folder."
        )
    if not os.access(_existing(Path(found.cache)), os.W_OK):
        warnings.append(f"{found.cache} may not be written; set MEZZOTINT_CACHE to another folder.")
    if found.memory["available"] < _LITTLE_MEMORY:
        warnings.append(
            f"Only {found.memory['available'] / GIB:.1f} GiB of memory are free; close other programs, or train with a "
            "smaller batch_size."
        )
    if found.data is not None and not Path(found.data).expanduser().is_dir():
        warnings.append(f"MEZZOTINT_DATA names {found.data}, which is no folder; correct or unset it.")
    for name, installed in found.packages.items():
        if installed is None:
            warnings.append(f"The package {name} is missing; pip install --force-reinstall mezzotint.")
    return warnings


def _devices() -> dict[str, str]:
    """Every device, the fastest kind first."""
    devices = {}
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(index)
            devices[f"cuda:{index}"] = f"{about.name}, {about.total_memory / GIB:.1f} GiB"
    if torch.backends.mps.is_available():
        devices["mps"] = "Apple GPU"
    return {**devices, "cpu": cpu_name()}


def _built_for() -> str:
    if torch.version.cuda is not None:
        return f"CUDA {torch.version.cuda}"
    hip = getattr(torch.version, "hip", None)
    return f"ROCm {hip}" if hip else "CPU only" if not torch.backends.mps.is_built() else "CPU and MPS"


def _packages() -> tuple[dict[str, str | None], tuple[Extra, ...]]:
    """What Mezzotint's own metadata names: dependencies, and the extras that are not for its developers."""
    try:
        lines = requires("mezzotint") or []
    except PackageNotFoundError:  # run from a copy of the source
        lines = []
    core: dict[str, str | None] = {}
    extras: dict[str, dict[str, str | None]] = {}
    for line in lines:
        requirement, _, marker = line.partition(";")
        match = re.match(r"[A-Za-z0-9._-]+", requirement)
        if match is None:
            continue
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", marker)
        (core if extra is None else extras.setdefault(extra[1], {}))[match[0]] = _version(match[0])
    made = []
    for name, packages in sorted(extras.items()):
        if name in _DEVELOPERS:
            continue
        command = f'pip install "mezzotint[{name}]"' if None in packages.values() else ""
        made.append(Extra(name, PURPOSES.get(name, "see the documentation"), packages, command))
    return dict(sorted(core.items())), tuple(made)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
