"""The look at this machine: it finds what is there, and warns of what is made to be wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

from mezzotint.tasks import doctor
from mezzotint.tasks._machine import cgroup_cpus, cpus_allowed, memory_limit
from mezzotint.tasks.doctor import GIB, Diagnosis, examine


@pytest.fixture(scope="module")
def found() -> Diagnosis:
    return examine()


def test_it_finds_this_machine(found: Diagnosis) -> None:
    assert found.cores["logical"] == psutil.cpu_count()
    assert 0 < found.memory["available"] <= found.memory["total"] <= psutil.virtual_memory().total
    assert found.torch.startswith(torch.__version__)
    assert found.threads == torch.get_num_threads()
    assert list(found.devices)[-1] == "cpu"
    assert found.disk_free > 0
    assert {"torch", "numpy", "pydantic"} <= found.packages.keys()
    assert None not in found.packages.values()


def test_it_measures_every_operation_in_both_precisions(found: Diagnosis) -> None:
    cpu = [(s.operation, s.precision) for s in found.speeds if s.device == "cpu"]
    assert sorted(cpu) == [("conv", "bf16"), ("conv", "fp32"), ("matmul", "bf16"), ("matmul", "fp32")]
    assert all(0.01 < s.gflops < 1e7 for s in found.speeds)
    assert examine(measure=False).speeds == ()


def test_it_is_json_and_sentences(found: Diagnosis) -> None:
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["threads"] == found.threads
    sentences = replace(found, warnings=("Beware.",)).sentences()
    assert all(s and "\n" not in s and s[-1] in '."' for s in sentences)
    assert sentences[-1] == "Warning: Beware."


def test_extras_are_those_of_the_package_and_say_how_to_get_them(
    found: Diagnosis, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {extra.name for extra in found.extras} == set(doctor.PURPOSES)
    monkeypatch.setattr(doctor, "_version", lambda package: None if package == "av" else "1")
    film = next(extra for extra in examine(measure=False).extras if extra.name == "film")
    assert not film.complete
    assert film.command == 'pip install "mezzotint[film]"'
    assert any("MP4" in s and film.command in s for s in replace(found, extras=(film,)).sentences())


def healthy(found: Diagnosis) -> Diagnosis:
    return replace(
        found,
        cores={"physical": 4, "logical": 8, "allowed": 8, "limit": None},
        memory={"total": 16 * GIB, "available": 8 * GIB},
        threads=4,
        devices={"cpu": "x"},
        disk_free=50 * GIB,
        data=None,
    )


def test_a_healthy_machine_has_no_warning(found: Diagnosis) -> None:
    assert doctor._warnings(healthy(found), driver=False) == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"threads": 9}, "OMP_NUM_THREADS=8"),
        ({"cores": {"physical": 4, "logical": 8, "allowed": 8, "limit": 1.5}}, "OMP_NUM_THREADS=1"),
        ({"threads": 1}, "1 of 4 cores"),
        ({"disk_free": GIB}, "MEZZOTINT_CACHE"),
        ({"memory": {"total": 4 * GIB, "available": GIB}}, "memory"),
        ({"data": "/no/such/folder"}, "MEZZOTINT_DATA"),
        ({"packages": {"torch": None}}, "torch is missing"),
    ],
)
def test_each_trouble_has_its_warning(found: Diagnosis, change: dict, word: str) -> None:
    (warning,) = doctor._warnings(replace(healthy(found), **change), driver=False)
    assert word in warning
    assert warning.endswith(".")


@pytest.mark.parametrize(("built", "word"), [(None, "build with CUDA"), ("12.8", "driver")])
def test_a_gpu_that_is_not_used(
    found: Diagnosis, built: str | None, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.version, "cuda", built)
    (warning,) = doctor._warnings(healthy(found), driver=True)
    assert word in warning
    assert doctor._warnings(replace(healthy(found), devices={"cuda:0": "x", "cpu": "y"}), driver=True) == []


def group(root: Path, **files: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (root / name.replace("__", ".")).write_text(text)
    return root


def test_limits_of_containers(tmp_path: Path) -> None:
    own = tmp_path / "own"
    assert cgroup_cpus(tmp_path / "none", own) is None
    assert cgroup_cpus(group(tmp_path / "max", cpu__max="max 100000\n"), own) is None
    assert cgroup_cpus(group(tmp_path / "half", cpu__max="250000 100000\n"), own) == 2.5
    assert cgroup_cpus(group(tmp_path / "odd", cpu__max="\n"), own) is None
    old = tmp_path / "old"
    group(old / "cpu", cpu__cfs_quota_us="150000", cpu__cfs_period_us="100000")
    assert cgroup_cpus(old, own) == 1.5
    (old / "cpu" / "cpu.cfs_quota_us").write_text("-1")
    assert cgroup_cpus(old, own) is None
    own.write_text("0::/a/b\n")
    nested = group(tmp_path / "nested", cpu__max="400000 100000")
    group(nested / "a", cpu__max="100000 100000")
    group(nested / "a" / "b", cpu__max="max 100000")
    assert cgroup_cpus(nested, own) == 1
    full = group(tmp_path / "full", memory__max=str(2**20), memory__current=str(2**19))
    assert memory_limit(full, own) == (2**20, 2**19)
    assert memory_limit(tmp_path / "none", own)[0] == psutil.virtual_memory().total
    assert cpus_allowed() >= 1
