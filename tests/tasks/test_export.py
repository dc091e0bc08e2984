"""ONNX: every function of every model, checked here once more by means of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mezzotint.core.atomic import file_sha256
from mezzotint.core.errors import CapabilityError, ConfigError, MissingExtra, TrainingError
from mezzotint.engine.capabilities import capabilities
from mezzotint.engine.model import MODELS
from mezzotint.tasks import export
from mezzotint.tasks._labels import can_be_conditional
from mezzotint.tasks.export import FUNCTIONS, export_onnx
from mezzotint.tasks.run import Run
from mezzotint.tasks.sample import models_that

pytest.importorskip("onnxscript")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

Open = Callable[..., Run]
EXPORTABLE = sorted({name for capability in FUNCTIONS.values() for name in models_that(capability)})
CONDITIONAL = [name for name in EXPORTABLE if can_be_conditional(MODELS.get(name))]


def functions(name: str) -> list[str]:
    cls = MODELS.get(name)
    can = capabilities(cls)
    return [function for function, needed in FUNCTIONS.items() if needed in can and function not in cls.unexported]


def compare(model: Any, made: dict[str, Any], function: str, n: int) -> None:
    """Run the file on n inputs drawn here, against the model."""
    generator = torch.Generator().manual_seed(n)
    inputs = {}
    for name, shape in made["inputs"].items():
        if name == "labels":
            inputs[name] = torch.randint(len(model.spec.classes), (n,), generator=generator)
        elif name == "indices":
            inputs[name] = torch.randint(model.quantiser.count, (n, *shape[1:]), generator=generator)
        else:
            inputs[name] = torch.rand(n, *shape[1:], generator=generator) * 2 - 1
    session = onnxruntime.InferenceSession(made["file"], providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {k: v.numpy() for k, v in inputs.items()})
    with torch.no_grad():
        wanted = getattr(model, function)(*inputs.values()).numpy()
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", EXPORTABLE)
def test_every_function_computes_the_same(opened: Open, name: str, tmp_path: Path) -> None:
    run = opened(name, tmp_path / "run")
    result = export_onnx(run, tmp_path / "out")
    assert list(result) == functions(name)
    for function, made in result.items():
        assert set(made["largest_error"]) == {"1", "3", "17"}
        assert max(made["largest_error"].values()) <= export.TOLERANCE
        file = tmp_path / "out" / f"{function}.onnx"
        assert made["sha256"] == file_sha256(file)
        assert {"file": str(file), **json.loads(file.with_suffix(".json").read_text())} == made
        compare(run.model, made, function, 5)
        onnx.checker.check_model(str(file))
        for private in (b"site-packages", b"mezzotint/", str(Path(export.__file__).parent).encode()):
            assert private not in file.read_bytes()
    there = {p.name for p in (tmp_path / "out").iterdir()}
    assert there == {f"{function}.{suffix}" for function in result for suffix in ("onnx", "json")}
    assert "check_labels" not in vars(run.model)


@pytest.mark.parametrize("name", CONDITIONAL)
def test_conditional_models_take_labels(opened: Open, name: str, tmp_path: Path) -> None:
    run = opened(name, tmp_path / "run", conditional=True)
    for function in {"generate", "discriminate"} & set(functions(name)):
        made = export_onnx(run, tmp_path / f"{function}.onnx", what=function)[function]
        assert made["inputs"]["labels"] == ["N"]
        compare(run.model, made, function, 4)


def test_what_a_graph_cannot_hold_is_said(opened: Open, tmp_path: Path) -> None:
    said = r'"generate" of vqvae cannot be exported, since its codes follow .*; these can: indices, from_indices\.'
    with pytest.raises(CapabilityError, match=said):
        export_onnx(opened("vqvae", tmp_path / "run"), tmp_path / "a.onnx", what="generate")


def test_a_batch_of_one_size(opened: Open, tmp_path: Path) -> None:
    name = models_that("samples")[0]
    made = export_onnx(opened(name, tmp_path / "run"), tmp_path / "a.onnx", batch=2, what=["generate"])["generate"]
    assert made["largest_error"].keys() == {"2"}
    assert made["inputs"]["latents"][0] == 2
    graph = onnx.load(made["file"]).graph
    assert [d.dim_value for d in graph.output[0].type.tensor_type.shape.dim] == [2, 1, 8, 8]


def test_what_is_not_the_same_is_not_written(opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    run = opened(models_that("samples")[0], tmp_path / "run")
    (tmp_path / "a.onnx").write_bytes(b"before")
    with pytest.raises(TrainingError, match="failed its check"):
        export_onnx(run, tmp_path / "a.onnx", what="generate")
    assert (tmp_path / "a.onnx").read_bytes() == b"before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.onnx", "run"]


def test_mistakes(opened: Open, tmp_path: Path) -> None:
    run = opened(models_that("samples")[0], tmp_path / "run")
    missing = sorted(set(FUNCTIONS) - set(functions(run.recipe.name)))
    with pytest.raises(ConfigError, match="did you mean"):
        export_onnx(run, tmp_path, what="generat")
    with pytest.raises(ConfigError, match="Say what"):
        export_onnx(run, tmp_path, what=[])
    with pytest.raises(ConfigError, match="need a file each"):
        export_onnx(run, tmp_path / "a.onnx")
    for batch in (0, -1, 2.0, "many", True):
        with pytest.raises(ConfigError, match="batch"):
            export_onnx(run, tmp_path / "a.onnx", batch=batch, what="generate")  # type: ignore[arg-type]
    if missing:
        with pytest.raises(CapabilityError, match="these do"):
            export_onnx(run, tmp_path, what=missing[0])


def test_without_the_extra(opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = opened(models_that("samples")[0], tmp_path / "run")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"mezzotint\[export\]"):
        export_onnx(run, tmp_path / "out", what="generate")
    assert not (tmp_path / "out").exists()
