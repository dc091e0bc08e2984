"""Settings from a file: sections that a person wrote, or the `config.json` of an earlier run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mezzotint.core.config import read_file
from mezzotint.core.errors import ConfigError
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.model import MODELS
from mezzotint.engine.recipe import SCHEMA

Sections = dict[str, dict[str, Any]]


def read_settings(path: Path, model: str) -> Sections:
    """The sections model, data and train of a .json or .toml file, or of a run: to train again with its settings.

    Args:
        path: a file; or a run's folder, for the `config.json` in it.
        model: the name of the model that shall be trained.

    Raises:
        ConfigError: the file cannot be read, or is the configuration of a run of another model.
    """
    file = path / "config.json" if path.is_dir() else path
    return read_file(file, lambda value: _of_run(value, model, file) if "schema" in value else value)


def _of_run(value: Mapping[str, Any], model: str, file: Path) -> Sections:
    try:
        if value["schema"] > SCHEMA:
            raise ConfigError(f"{file} was made by a newer Mezzotint; upgrade with pip install -U mezzotint.")
        settings, data, train = dict(value["model"]), dict(value["data"]), dict(value["train"])
        name = settings.pop("name")
        if name != model:
            raise ConfigError(
                f'{file} holds the settings of the model "{name}", which are none for {model}; train {name} with it, '
                "or write a file with the sections data and train."
            )
        if name in MODELS:  # options newer than the run are as they were then: nobody shall choose them anew
            settings = {**MODELS.get(name).Config().to_json(), **settings}
        train = {**TrainConfig().to_json(), **train}
        return {"model": settings, "data": dict(data["settings"]), "train": train}
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{file} is the configuration of a run, and damaged ({error}); take another copy.") from error
