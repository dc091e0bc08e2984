"""Two processes over gloo equal one with the same total batch."""

from __future__ import annotations

from pathlib import Path

import pytest

import mezzotint as mz
from mezzotint.engine.folder import RunFolder
from mezzotint.engine.model import MODELS

pytest.importorskip("lightning_fabric")


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS.names())
def test_two_processes_equal_one(name: str, tmp_path: Path) -> None:
    """Eight steps of 32 pictures, by one process and by two with 16 each; batch statistics are those of all 32."""
    weights = []
    for processes in (1, 2):
        run = mz.train(
            name,
            "digits",
            out=tmp_path / str(processes),
            steps=8,
            batch_size=32,
            processes=processes,
            precision="fp32",
            settings={"model": dict(MODELS.get(name).tiny)},
            quiet=True,
        )
        weights.append(RunFolder(run.path).store.load("latest").tensors)
    one, two = weights
    assert one.keys() == two.keys()
    worst = {key: float((one[key].double() - two[key].double()).abs().max()) for key in one if one[key].numel()}
    assert max(worst.values()) < 1e-5, max(worst, key=worst.__getitem__)
