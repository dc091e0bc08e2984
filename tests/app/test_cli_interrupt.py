"""Ctrl-C on real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are sent in another way there")


def start(tmp_path, *args: str) -> subprocess.Popen[str]:
    env = {**os.environ, "MEZZOTINT_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mezzotint", *args]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_can_be_resumed(tmp_path, number):
    out = tmp_path / "a"
    small = ("--batch-size", "8", "--device", "cpu", "--precision", "fp32", "--set", "model.width=4")
    more = ("--set", "train.log_every=1", "--set", "train.preview_every=0")
    process = start(tmp_path, "train", "vae", "digits", "--steps", "1000000", "--out", str(out), *small, *more)
    try:
        wait_for(lambda: (out / "log.jsonl").exists(), process)
        sent = time.monotonic()
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=10)
    finally:
        process.kill()
    assert time.monotonic() - sent < 10
    assert process.returncode == 130, stderr
    assert stdout == ""
    assert "Stopping after this step" in stderr  # at once, for a round may be long
    assert stderr.splitlines()[-1].startswith("Stopped after step ")
    assert f"mezzotint train --resume {out}" in stderr
    assert "Traceback" not in stderr
    from mezzotint.engine.checkpoint import CheckpointStore

    step = CheckpointStore(out / "checkpoints").load("latest").step
    assert step > 0
    assert f"{step:,} steps of 8 pictures" in (out / "README.md").read_text()
    assert (out / "samples.png").exists()
    resumed = start(tmp_path, "train", "--resume", str(out), "--steps", str(step + 2), "--json")
    stdout, stderr = resumed.communicate(timeout=60)
    assert resumed.returncode == 0, stderr
    assert f'"step": {step + 2},' in stdout


@pytest.mark.parametrize("pause", [0.3, 1.0])
def test_ctrl_c_while_starting(tmp_path, pause):
    process = start(tmp_path, "models")
    time.sleep(pause)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    if process.returncode in (0, -signal.SIGINT) or "init_import_site" in stderr:
        return  # it was faster, or Python itself had not yet started
    assert process.returncode == 130, stderr
    assert stderr == "Interrupted.\n"
    assert stdout == ""


def test_ctrl_c_while_torch_is_being_imported():
    """Its C++ would turn a KeyboardInterrupt into an abort."""
    program = (
        "import os, signal, sys, types; from mezzotint.app.cli._answer import listen; listen();"
        "torch = sys.modules['torch'] = types.ModuleType('torch');"
        "torch.__spec__ = types.SimpleNamespace(_initializing=True);"
        "os.kill(os.getpid(), signal.SIGINT); print('went on')"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (found.returncode, found.stdout, found.stderr) == (130, "", "Interrupted.\n")


def wait_for(condition, process) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < limit
        time.sleep(0.05)
