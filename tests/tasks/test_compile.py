"""Compiled networks train as the others do."""

from __future__ import annotations

import shutil

import pytest

from mezzotint.engine.compiling import compile_networks
from mezzotint.engine.model import MODELS
from mezzotint.testing._make import make_pictures, make_trainer


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
@pytest.mark.parametrize("name", MODELS.names())
def test_compiled_training_has_the_same_losses(name: str) -> None:
    plain, compiled = (make_trainer(MODELS.get(name), make_pictures()) for _ in range(2))
    compile_networks(compiled.model)
    assert compiled.tensors().keys() == plain.tensors().keys(), "a checkpoint of one loads into the other"
    for _ in range(3):
        plain.round(), compiled.round()
        for term, value in plain.losses.items():
            assert compiled.losses[term].item() == pytest.approx(value.item(), rel=1e-3, abs=1e-3), term
