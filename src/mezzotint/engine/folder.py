"""A run folder: it explains itself, and it is all that is needed to go on."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from mezzotint.core import atomic
from mezzotint.core.errors import CheckpointError, ConfigError, TrainingError
from mezzotint.engine.checkpoint import CheckpointStore
from mezzotint.engine.recipe import Recipe


class RunFolder:
    """Where a run keeps its things.

    ```
    config.json    what was asked for, resolved            README.md   the model card
    log.jsonl      losses and rates                        report.html everything about it, to look at
    diagnosis.jsonl what was measured, what is wrong       pictures/   previews
    checkpoints/   weights and everything training needs   samples.png what the model makes
    scores.json    scores, once evaluated
    ```

    Args:
        path: the folder; use `create` or `open` rather than the constructor.
        keep: checkpoints to keep.
    """

    def __init__(self, path: Path, keep: int = 3) -> None:
        self.path = path
        self.config = path / "config.json"
        self.card = path / "README.md"
        self.report = path / "report.html"
        self.log = path / "log.jsonl"
        self.diagnosis = path / "diagnosis.jsonl"
        self.pictures = path / "pictures"
        self.samples = path / "samples.png"
        self.store = CheckpointStore(path / "checkpoints", keep)

    @classmethod
    def create(cls, path: Path, recipe: Recipe) -> RunFolder:
        """Make the folder of a new run.

        Raises:
            ConfigError: there is a run already, or something that is not a folder.
            TrainingError: the folder cannot be written.
        """
        cls.check_free(path)
        try:
            (path / "pictures").mkdir(parents=True, exist_ok=True)
            (path / "checkpoints").mkdir(exist_ok=True)
        except OSError as error:
            raise TrainingError(f"Cannot make the folder {path}: {error.strerror}; choose another --out.") from error
        run = cls(path, recipe.train.keep)
        run.write(recipe)
        return run

    @staticmethod
    def check_free(path: Path) -> None:
        """Refuse a place where a new run cannot be made; asked before the long work begins.

        Raises:
            ConfigError: there is a run already, or something that is not a folder.
        """
        if (path / "config.json").exists():
            raise ConfigError(
                f"{path} already holds a run; continue it with mezzotint train --resume, or choose another --out."
            )
        if path.exists() and not path.is_dir():
            raise ConfigError(f"{path} is a file, not a folder; choose another --out.")
        with contextlib.suppress(OSError):  # what cannot be listed cannot be written either, which is said then
            if any(path.iterdir()):
                raise ConfigError(f"{path} is a folder with other files in it; choose another --out for the new run.")

    @classmethod
    def open(cls, path: Path) -> tuple[RunFolder, Recipe]:
        """The folder of an earlier run and what it was asked for.

        Raises:
            CheckpointError: it is not a run folder, or its configuration is damaged.
        """
        file = path / "config.json"
        if not file.is_file():
            raise CheckpointError(f"{path} is not a run folder: it has no config.json. Give the --out of a training.")
        try:
            value = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise CheckpointError(f"{file} cannot be read: {error}. Restore it from a copy of the run.") from error
        recipe = Recipe.from_json(value, str(file))
        return cls(path, recipe.train.keep), recipe

    def last_logged(self) -> int:
        """The last step that the log tells of; 0 if it tells of none."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return 0
        found = 0
        for line in lines:
            with contextlib.suppress(ValueError, KeyError, TypeError):  # a line may have been cut short
                found = max(found, int(json.loads(line)["step"]))
        return found

    def write(self, recipe: Recipe) -> None:
        """Write `config.json`."""
        atomic.write_json(self.config, recipe.to_json())


def next_free(parent: Path, stem: str) -> Path:
    """`parent/stem`, or with -2, -3, ... when it is taken."""
    path, number = parent / stem, 2
    while path.exists():
        path, number = parent / f"{stem}-{number}", number + 1
    return path
