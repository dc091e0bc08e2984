"""A trained model with all that belongs to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch

from mezzotint.core.errors import CheckpointError
from mezzotint.engine.checkpoint import Checkpoint
from mezzotint.engine.diagnosing import read_findings
from mezzotint.engine.diagnosis import Finding
from mezzotint.engine.folder import RunFolder
from mezzotint.engine.recipe import Recipe
from mezzotint.engine.weights import load_model_tensors

Which = Literal["latest", "best"] | int


class Run:
    """A run folder, opened.

    Attributes:
        path: the folder.
        recipe: what was asked for.
        model: the trained model in evaluation mode, with averaged weights where the run keeps them. What it can do is
            what its class offers: `sample`, `encode`, `reconstruct`, `discriminate` ...
        step: the round its weights are of.
        seconds: how long training took until then.
        waited: how many validations in a row, up to this step, brought nothing better; see `load(path, "best")`.
        warnings: sentences about what was found on opening (a damaged checkpoint passed over).

    Example:
        >>> import mezzotint as mz, tempfile
        >>> run = mz.train("vae", "digits", steps=2, out=tempfile.mkdtemp() + "/a", quiet=True)
        >>> tuple(run.model.sample(4, seed=3).shape)
        (4, 1, 8, 8)
    """

    def __init__(self, path: Path, recipe: Recipe, checkpoint: Checkpoint, device: torch.device) -> None:
        self.path = path
        self.recipe = recipe
        self.step = checkpoint.step
        self.seconds = float(checkpoint.state.get("seconds", 0.0))
        self.waited = _waited(checkpoint.state)
        self._seen = int(checkpoint.state.get("examples", 0))
        self.warnings = checkpoint.warnings
        weights = {k.removeprefix("model/"): v for k, v in checkpoint.tensors.items() if k.startswith("model/")}
        weights |= {k.removeprefix("ema/"): v for k, v in checkpoint.tensors.items() if k.startswith("ema/")}
        # Any: a model offers what its capabilities say, beyond what the base class declares
        self.model: Any = recipe.build()
        load_model_tensors(self.model, weights)
        self.model.to(device).eval().requires_grad_(False)

    @property
    def fit_over(self) -> bool:
        """Whether a model that is fitted has looked at all it will; False for one that is trained."""
        return self.recipe.fit_over(self.model, self._seen)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was wrong with the training at its last diagnosis."""
        return read_findings(RunFolder(self.path).diagnosis).now

    def resume(self, **settings: Any) -> Run:
        """Train on; `settings` are those of `mezzotint.resume`, such as steps=20000."""
        from mezzotint.tasks.train import resume

        return resume(self.path, **settings)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, model={self.recipe.name!r}, step={self.step})"


def _waited(state: Mapping[str, Any]) -> int:
    try:
        return int(state["callbacks"]["Validation"]["waited"])
    except (KeyError, TypeError, ValueError):  # a model without validation, or a state of another making
        return 0


def load(path: str | Path, which: Which = "latest", device: str = "auto", sampler: str | Path | None = None) -> Run:
    """Open a run folder. Nothing in it can execute code.

    Args:
        path: the folder a training was told to write to.
        which: the latest checkpoint, the one with the best validation, or that of a step.
        device: where the model is put.
        sampler: a run that was trained on the codes of this one, which then draws the latents.

    Raises:
        CheckpointError: it is not a run folder, holds no whole checkpoint, or not the one asked for.
        ConfigError: the sampler was trained on something else.
    """
    folder, recipe = RunFolder.open(Path(path))
    if not folder.store.remains():
        raise CheckpointError(f"{path} holds no checkpoint yet; train it with mezzotint train --resume {path}.")
    run = Run(folder.path, recipe, folder.store.load(which), recipe.device(device))
    if sampler is not None:
        from mezzotint.tasks._sources import use_sampler

        use_sampler(run, load(sampler, device=device))
    return run
