"""A light version of benchmarks/kill_during_save.py: a run that is killed while saving can always be resumed."""

from __future__ import annotations

import importlib.util
import signal
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from mezzotint.engine.checkpoint import CheckpointStore
from mezzotint.engine.model import MODELS

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCRIPT = BENCHMARKS / "kill_during_save.py"


def load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    return load_script("kill_during_save")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill as hard as that")
def test_ten_kills(benchmark: ModuleType, tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--child", "--folder", str(tmp_path), "--megabytes", "1"]
    report = benchmark.kill_trial(
        command,
        tmp_path / "store",
        lambda found: benchmark.check_content(found, 1.0, tmp_path / "acknowledged"),
        kills=10,
        seed=1,
    )
    assert report.failures == ()
    assert report.kills == report.resumable == 10
    assert report.steps_back == 0
    assert list((tmp_path / "store").glob(".partial-*")) == []


def test_the_check_notices_what_is_wrong(benchmark: ModuleType, tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    state = {"step": 8, "text": "x" * 8}
    store.save(8, benchmark.content(8, 0.1), state)
    benchmark.check_content(store.load(), 0.1, tmp_path / "acknowledged")
    (tmp_path / "acknowledged").write_text("9")
    with pytest.raises(AssertionError, match="step 9 was saved"):
        benchmark.check_content(store.load(), 0.1, tmp_path / "acknowledged")
    store.save(9, benchmark.content(8, 0.1), state)
    with pytest.raises(AssertionError):
        benchmark.check_content(store.load(), 0.1, tmp_path / "acknowledged")


def test_a_command_that_saves_nothing_is_said(benchmark: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="saved nothing"):
        benchmark.kill_trial([sys.executable, "-c", ""], tmp_path, lambda found: None, kills=1, seed=0)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill as hard as that")
@pytest.mark.parametrize("model", MODELS.names())
def test_killed_training_goes_on_bit_for_bit(benchmark: ModuleType, tmp_path: Path, model: str) -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)  # as in the child, so that sums are added up in the same order
        report = load_script("kill_training").kill_model(model, 3, 1, tmp_path)
    finally:
        torch.set_num_threads(threads)
    assert report.failures == ()
    assert report.resumable == 3
    assert report.steps_back == 0
    assert report.last_step > 3, "training went on after each kill"
