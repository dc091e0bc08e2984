"""Two processes over gloo equal one with the same total batch."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

import mezzotint as mz
from mezzotint.core.errors import ConfigError, TrainingError
from mezzotint.data.batches import Batches
from mezzotint.engine.capabilities import capabilities
from mezzotint.engine.folder import RunFolder
from mezzotint.engine.model import MODELS

pytest.importorskip("lightning_fabric")


def two_folders(path: Path) -> Path:
    """Zeros in one folder and ones in another, with the same names."""
    digits = load_digits(n_class=2)
    for kind in (0, 1):
        (path / str(kind)).mkdir(parents=True)
        for k, picture in enumerate(digits.images[digits.target == kind][:80]):
            Image.fromarray((picture * 15).astype(np.uint8)).save(path / str(kind) / f"{k:02d}.png")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", [cls.name for cls in MODELS if not cls.fitted()])
def test_two_processes_equal_one(name: str, tmp_path: Path) -> None:
    """Some steps of 32 pictures, by one process and by two with 16 each; batch statistics are those of all 32."""
    two_equal_one(name, dict(MODELS.get(name).tiny), tmp_path)


@pytest.mark.slow
def test_two_processes_augment_as_one(tmp_path: Path) -> None:
    """Where a picture of the batch is made twice, and so shown twice, each process has its own rows of the draws."""
    styled = {"styles": 4, "style_noise": 3, "mapping_width": 16, "augment": "diffaugment"}
    two_equal_one("stargan", {**MODELS.get("stargan").tiny, **styled}, tmp_path)


def two_equal_one(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    """Train with these settings both ways, and compare all that is kept."""
    # Of cyclegan a difference of 1e-7 in the first weights is 7e-3 after four steps, whatever the processes.
    steps = 1 if "translates" in capabilities(MODELS.get(name)) else 4
    weights = []
    source: str | Path = "digits" if MODELS.get(name).order is Batches else two_folders(tmp_path / "digits")
    for processes in (1, 2):
        run = mz.train(
            name,
            source,
            out=tmp_path / str(processes),
            steps=steps,
            batch_size=32,
            processes=processes,
            precision="fp32",
            settings={"model": settings},
            auto=False,  # what rounding makes of a gradient that cancels grows with the rate that a model chooses
            quiet=True,
        )
        weights.append(RunFolder(run.path).store.load("latest").tensors)
    one, two = weights
    assert one.keys() == two.keys()
    apart = {}
    for key in one:
        # The second moment of a gradient in nats is in the thousands, and so is what a float rounds away of it.
        a, b = one[key].double(), two[key].double()
        apart[key] = (a - b).abs().flatten() / a.abs().max().clamp(min=1)
    fit = apart.pop("model/calibration", torch.zeros(1))  # to scores that hardly differ yet
    assert float(fit.max()) < 1e-3
    every = torch.cat(list(apart.values()))
    # A gradient that cancels but for rounding (of what adds the same to every score, where only differences count)
    # still makes Adam take steps of full length: a few numbers may be some steps apart, and no more than that.
    assert float((every > 3e-5).double().mean()) < 2e-3, max(apart, key=lambda key: float(apart[key].max()))
    assert float(every.max()) < 1e-3


def tiny(path: Path, source: Any, **options: Any) -> dict[str, Any]:
    common = {"batch_size": 8, "processes": 2, "precision": "fp32", "save_every": 5, "quiet": True}
    settings = {"model": dict(MODELS.get("vae").tiny)}
    return {"model": "vae", "source": source, "out": path, "settings": settings, **common, **options}


@pytest.mark.slow
def test_an_array_and_a_new_place_of_the_pictures(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    run = mz.train(**tiny(tmp_path / "run", array, steps=2))
    assert mz.resume(run.path, source=array, steps=4, quiet=True).step == 4


@pytest.mark.slow
def test_an_error_of_a_child_is_our_own(tmp_path: Path) -> None:
    settings = {"model": {**MODELS.get("vae").tiny, "lr": 1e30}}
    with pytest.raises(TrainingError, match="step"):
        mz.train(**tiny(tmp_path / "run", "digits", steps=50) | {"settings": settings})


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_sigterm_reaches_the_children(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mezzotint", "train", "vae", "digits", "--out", str(tmp_path / "run")]
    command += ["--set", "train.processes=2", "--set", "model.width=8", "--steps", "1000000", "--precision", "fp32"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as child:
        log, limit = tmp_path / "run" / "log.jsonl", time.monotonic() + 120
        while not log.exists() and time.monotonic() < limit:
            time.sleep(0.1)
        child.send_signal(signal.SIGTERM)
        _, said = child.communicate(timeout=60)
    assert child.returncode == 130, said
    assert "Stopped after step" in said
    assert mz.load(tmp_path / "run").step > 0


def test_a_fit_is_not_shared(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="gmm is fitted by one process"):
        mz.train("gmm", "digits", out=tmp_path / "a", processes=2, quiet=True)
