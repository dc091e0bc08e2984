"""Models as ONNX files, which run without PyTorch; nothing is written that does not compute the same."""

from __future__ import annotations

import contextlib
import copy
import importlib
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from mezzotint.core import atomic, rng
from mezzotint.core.errors import CapabilityError, ConfigError, MissingExtra, TrainingError, suggest
from mezzotint.engine.capabilities import capabilities
from mezzotint.engine.recipe import versions
from mezzotint.tasks._folders import refuse_file
from mezzotint.tasks.sample import model_of, models_that

FUNCTIONS = {
    "generate": "samples",
    "encode": "encodes",
    "decode": "decodes",
    "discriminate": "discriminates",
    "indices": "quantises",
    "from_indices": "quantises",
}
"""What can be exported, and the capability that it takes."""

TOLERANCE = 1e-4
"""Largest difference from PyTorch; where a value is above 1, as a share of the largest."""
_BATCHES = (1, 3, 17)
_LARGEST = 2**31 - 2**24  # a file of the format ends at 2 GiB; the graph itself needs a little


class _Call(nn.Module):
    """One method of a model as a module of its own."""

    def __init__(self, model: nn.Module, function: str) -> None:
        super().__init__()
        self.model = model
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        result: Tensor = getattr(self.model, self.function)(*inputs)
        return result


@dataclass(frozen=True)
class _Function:
    """What is exported: a call, the names of what goes in and comes out, and how to make inputs."""

    name: str
    call: _Call
    inputs: tuple[str, ...]
    output: str

    def example(self, n: int) -> tuple[Tensor, ...]:
        """Inputs of a batch of n, the same at every call."""
        model: Any = self.call.model
        made: list[Tensor] = []
        for name in self.inputs:
            if name == "labels":
                made.append(torch.arange(n) % len(model.spec.classes))
            elif name == "indices":
                with torch.no_grad():
                    made.append(model.indices(self._pictures(n)))
            elif name == "latents":
                made.append(torch.from_numpy(rng.normal((n, _latent_size(model)), 0, "export", "latents")))
            else:
                made.append(self._pictures(n))
        return tuple(made)

    def _pictures(self, n: int) -> Tensor:
        model: Any = self.call.model
        uniform = rng.stream(0, "export", "pictures").random((n, *model.spec.shape), np.float32)
        return torch.from_numpy(uniform * 2 - 1)


def _latent_size(model: Any) -> int:
    with torch.no_grad():
        latents = (
            model.latent(1) if "samples" in capabilities(model) else model.encode(torch.zeros(1, *model.spec.shape))
        )
    return int(latents.shape[1])


def export_onnx(
    run: Any,
    out: str | Path,
    batch: int | Literal["dynamic"] = "dynamic",
    what: str | Sequence[str] | None = None,
) -> dict[str, Any]:
    """Export what a model does to ONNX, and check it against PyTorch before it gets its name.

    Beside every file `x.onnx` lies `x.json` with its inputs, outputs, ranges and errors. Latents are float32
    [N, latent], pictures float32 [N, C, H, W] in [-1, 1], labels int64 [N] and only there for conditional models.
    Weights lie within the file; those of 2 GB and more lie beside it, as the format demands.

    Args:
        run: an opened run, or a model.
        out: a .onnx file, when one function is exported, or else a folder, in which files are called by function.
            Files that are there are replaced.
        batch: pictures at a time; dynamic takes any number.
        what: one or several of generate, encode, decode, discriminate, indices, from_indices; all that the model can
            do when left out.

    Returns:
        function -> what its JSON file says, and "file".

    Raises:
        MissingExtra: the extra `export` is not installed.
        CapabilityError: the model cannot do what is asked for.
        ConfigError: there is no such function, several shall go to one file, or `out` is another file's name.
        TrainingError: the exported file does not compute the same; nothing is written.

    Example:
        >>> import tempfile
        >>> from mezzotint.engine.model import PictureSpec, build
        >>> model = build("vae", {"width": 8}, PictureSpec(1, 8, 8)).eval()
        >>> made = export_onnx(model, tempfile.mkdtemp() + "/decoder.onnx", what="decode")
        >>> made["decode"]["inputs"]["latents"]
        ['N', 32]
    """
    model = model_of(run)
    names = _chosen(model, what)
    if batch != "dynamic" and (not isinstance(batch, int) or isinstance(batch, bool) or batch < 1):
        raise ConfigError(f'batch is a whole number from 1, or "dynamic"; got {batch!r}.')
    out = Path(out)
    single = out.suffix.lower() == ".onnx" and not out.is_dir()
    if not single:
        refuse_file(out, "Exports whose name does not end in .onnx")
    if single and len(names) > 1:
        raise ConfigError(f"{', '.join(names)} need a file each; name a folder instead of {out.name}, or choose one.")
    _check_extra()
    copied = copy.deepcopy(model).cpu().float().eval().requires_grad_(False)
    # Its checks look at values, which an exported graph cannot; whoever runs the file sees to the labels.
    copied.check_labels = lambda n, labels: labels
    result = {}
    for name in names:
        target = out if single else out / f"{name}.onnx"
        with atomic.explained(target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
        result[name] = _export_one(_function(copied, name), target, batch)
    return result


def _chosen(model: Any, what: str | Sequence[str] | None) -> list[str]:
    can = capabilities(model)
    if what is None:
        names = [name for name, needed in FUNCTIONS.items() if needed in can and name not in model.unexported]
        if not names:
            able = sorted({m for capability in FUNCTIONS.values() for m in models_that(capability)})
            raise CapabilityError(f"{model.name} has nothing to export; these have: {', '.join(able)}.")
        return names
    names = list(dict.fromkeys([what] if isinstance(what, str) else what))
    for name in names:
        if name not in FUNCTIONS:
            raise ConfigError(f'"{name}" cannot be exported; {suggest(name, FUNCTIONS)}')
        if FUNCTIONS[name] not in can:
            able = models_that(FUNCTIONS[name])
            raise CapabilityError(f"{model.name} does not {name}; these do: {', '.join(able) or 'none yet'}.")
        if name in model.unexported:
            others = [other for other in _chosen(model, None) if other != name]
            raise CapabilityError(
                f'"{name}" of {model.name} cannot be exported, since {model.unexported[name]}; these can: '
                f"{', '.join(others)}."
            )
    if not names:
        raise ConfigError(f"Say what to export: {', '.join(FUNCTIONS)}.")
    return names


def _function(model: Any, name: str) -> _Function:
    inputs = [{"generate": "latents", "decode": "latents", "from_indices": "indices"}.get(name, "pictures")]
    if name in ("generate", "discriminate") and getattr(model, "conditional", False):
        inputs.append("labels")
    output = {"encode": "latents", "discriminate": "probabilities", "indices": "indices"}.get(name, "pictures")
    return _Function(name, _Call(model, name).eval(), tuple(inputs), output)


def _export_one(function: _Function, target: Path, batch: int | Literal["dynamic"]) -> dict[str, Any]:
    with atomic.explained(target), atomic.partial(target.parent) as folder:
        folder.mkdir()
        draft = folder / target.name
        opset = _translate(function, draft, batch)
        errors = _compare(function, draft, _BATCHES if batch == "dynamic" else (batch,))
        about = _describe(function, batch, opset, errors, atomic.file_sha256(draft))
        atomic.write_json(folder / target.with_suffix(".json").name, about)
        # The file itself last: where it is, what belongs to it is.
        for file in sorted(folder.iterdir(), key=lambda file: (file == draft, file.name)):
            _flush(file)
            atomic.disk.replace(file, target.parent / file.name)
        atomic.sync_folder(target.parent)
    return {"file": str(target), **about}


def _translate(function: _Function, draft: Path, batch: int | Literal["dynamic"]) -> int:
    """Write the ONNX file; returns its opset."""
    size = sum(t.numel() * t.element_size() for t in function.call.state_dict().values())
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            _captured(function, batch),
            dynamo=True,
            external_data=size >= _LARGEST,
            input_names=function.inputs,
            output_names=(function.output,),
            verbose=False,
        )
        assert program is not None
        _remove_traces(program.model)
        program.save(draft, external_data=size >= _LARGEST)
    return int(program.model.opset_imports[""])


def _captured(function: _Function, batch: int | Literal["dynamic"]) -> torch.export.ExportedProgram:
    """The graph of the call.

    It is captured here rather than by `torch.onnx.export`, which without a word makes the batch a constant where the
    quick way of capturing cannot keep it open (`len(pictures)` is enough). The strict way then can.
    """
    if batch != "dynamic":
        return torch.export.export(function.call, function.example(batch))
    inputs = function.example(2)
    size = torch.export.Dim("N", min=1)
    shapes = (tuple({0: size} for _ in inputs),)
    try:
        return torch.export.export(function.call, inputs, dynamic_shapes=shapes)
    except Exception:
        return torch.export.export(function.call, inputs, dynamic_shapes=shapes, strict=True)


def _remove_traces(model: Any) -> None:
    """Take out stack traces and the like: they name folders of the machine the file was made on."""
    graphs = [model.graph, *(f.graph for f in model.functions.values())]
    model.metadata_props.clear()
    for graph in graphs:
        graph.metadata_props.clear()
        graph.doc_string = None
        for value in (*graph.inputs, *graph.outputs, *graph.initializers.values()):
            value.metadata_props.clear()
        for node in graph.all_nodes():
            node.metadata_props.clear()
            node.doc_string = None
            for value in node.outputs:
                value.metadata_props.clear()


def _compare(function: _Function, draft: Path, batches: Sequence[int]) -> dict[str, float]:
    """Run the file against PyTorch; returns the largest absolute difference for each batch size."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(draft), options, providers=["CPUExecutionProvider"])
    errors = {}
    for n in batches:
        inputs = function.example(n)
        with torch.no_grad():
            wanted = function.call(*inputs).numpy()
        (got,) = session.run(None, {k: v.numpy() for k, v in zip(function.inputs, inputs, strict=True)})
        alike = got.shape == wanted.shape
        error = float(np.abs(got - wanted).max() / max(1, np.abs(wanted).max())) if alike else float("inf")
        if not error <= TOLERANCE:  # also when it is no number
            raise TrainingError(
                f'Exporting "{function.name}" failed its check: with a batch of {n} ONNX Runtime differs from PyTorch '
                f"by {error:.2g}, and {TOLERANCE:g} is allowed; nothing was written, please report it."
            )
        errors[str(n)] = error
    return errors


def _describe(
    function: _Function, batch: int | Literal["dynamic"], opset: int, errors: dict[str, float], sha256: str
) -> dict[str, Any]:
    model: Any = function.call.model
    size: int | str = "N" if batch == "dynamic" else batch
    example = dict(zip(function.inputs, function.example(1), strict=True))
    with torch.no_grad():
        output = function.call(*example.values())
    return {
        "model": model.name,
        "function": function.name,
        "inputs": {name: [size, *value.shape[1:]] for name, value in example.items()},
        "outputs": {function.output: [size, *output.shape[1:]]},
        "pictures": {"range": [-1.0, 1.0], "layout": "NCHW", "channels": model.spec.channels},
        "classes": list(model.spec.classes),
        "largest_error": errors,
        "opset": opset,
        "sha256": sha256,
        "versions": versions(),
    }


def _check_extra() -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise MissingExtra("Exporting to ONNX", "export") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks to its own developers off the screen."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _flush(file: Path) -> None:
    descriptor = os.open(file, os.O_RDWR)
    try:
        atomic.disk.fsync(descriptor)
    finally:
        os.close(descriptor)
