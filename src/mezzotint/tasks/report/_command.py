"""The command that makes a run again."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from mezzotint.core.config import Config
from mezzotint.data.types import DataConfig
from mezzotint.engine.config import TrainConfig


def command(run: Any, out: str | None = None) -> str:
    """`mezzotint train ...` with every setting of the run that is not the default one.

    Steps are those that were done, so that a run that was stopped by the clock is made again exactly.

    Args:
        run: an opened run.
        out: the new run's folder.
    """
    recipe = run.recipe
    words = ["mezzotint", "train", shlex.quote(recipe.name), place(recipe.summary.source)]
    changed = _changed("data", recipe.data, DataConfig())
    changed |= _changed("train", recipe.train, TrainConfig())
    changed |= _changed("model", recipe.model, type(recipe.model)())
    size = changed.pop("data.size", None)
    if size is not None:
        words += ["--size", "x".join(map(str, size)) if isinstance(size, list) else str(size)]
    for name in ("train.steps", "train.minutes"):
        changed.pop(name, None)
    if recipe.train.schedule != "constant" and recipe.train.schedule_steps is None and recipe.train.steps is not None:
        changed["train.schedule_steps"] = recipe.train.steps
    words += ["--steps", str(max(1, run.step))]
    if "train.seed" in changed:
        words += ["--seed", str(changed.pop("train.seed"))]
    words += [f"--set {shlex.quote(f'{key}={_value(value)}')}" for key, value in changed.items()]
    return " ".join(words if out is None else [*words, "--out", shlex.quote(out)])


def place(source: str) -> str:
    """Where the pictures are, as one types it: nothing above the home folder, nor its name, is told."""
    if source == "an array":
        return "PICTURES"
    path = Path(source)
    if not path.is_absolute():
        return shlex.quote(source)
    try:
        inside = path.relative_to(Path.home())
    except (ValueError, RuntimeError):
        return shlex.quote(source)
    return f"~/{shlex.quote(inside.as_posix())}" if inside.parts else "~"


def _changed(section: str, config: Config, usual: Config) -> dict[str, Any]:
    mine, theirs = config.to_json(), usual.to_json()
    return {f"{section}.{key}": value for key, value in mine.items() if value != theirs[key]}


def _value(value: Any) -> str:
    if isinstance(value, str):
        try:
            json.loads(value)
        except ValueError:
            return value  # read as the text it is
    return json.dumps(value, ensure_ascii=False)
