"""Everything that decides a run, as plain data: what `config.json` in a run folder holds."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from mezzotint.core.config import Config
from mezzotint.core.errors import CheckpointError
from mezzotint.data.types import DataConfig, PictureSet
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.device import choose_device
from mezzotint.engine.fitting import Fitting
from mezzotint.engine.model import MODELS, Model, PictureSpec, build

SCHEMA = 1


@dataclass(frozen=True)
class DataSummary:
    """What was trained on."""

    source: str
    fingerprint: str
    count: int
    train: int
    validation: int
    test: int
    left_out: int

    @classmethod
    def of(cls, pictures: PictureSet) -> DataSummary:
        """The summary of a set; a path is made absolute, so that a run can go on from any folder."""
        source = str(Path(pictures.source).resolve()) if Path(pictures.source).exists() else pictures.source
        sizes = {name: len(rows) for name, rows in pictures.splits.items()}
        return cls(source, pictures.fingerprint, len(pictures), **sizes, left_out=len(pictures.bad))


@dataclass(frozen=True)
class Recipe:
    """A model's name and settings, the pictures' shape, how they are read, and how training runs."""

    name: str
    model: Config
    spec: PictureSpec
    data: DataConfig
    train: TrainConfig
    summary: DataSummary

    def build(self) -> Model:
        """A fresh model; the seed decides its weights."""
        return build(self.name, self.model.to_json(), self.spec, self.train.seed)

    def device(self, wish: str) -> torch.device:
        """The device that is wished for; "auto" is the fastest that can hold the model. See `choose_device`."""
        return choose_device(wish, MODELS.get(self.name).doubles)

    def fit_over(self, model: Model, seen: int) -> bool:
        """Whether a model that is fitted has looked at all it will, after so many pictures; False for others."""
        return Fitting(model.passes(), self.summary.train, self.train.batch_size).over(seen)

    def with_train(self, **values: Any) -> Recipe:
        """A copy with some training settings changed."""
        return replace(self, train=self.train.changed(**values))

    def to_json(self) -> dict[str, Any]:
        """What `config.json` holds."""
        return {
            "schema": SCHEMA,
            "model": {"name": self.name, **self.model.to_json()},
            "pictures": self.spec.to_json(),
            "data": {**asdict(self.summary), "settings": self.data.to_json()},
            "train": self.train.to_json(),
            "versions": versions(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], where: str) -> Recipe:
        """The inverse of `to_json`. Only names in the registry of models are accepted, and nothing is executed.

        Raises:
            CheckpointError: a part is missing, malformed, or made by a newer version.
            ConfigError: a setting or the model is unknown.
        """
        if not isinstance(value, Mapping) or not isinstance(value.get("schema"), int):
            raise CheckpointError(f"{where} is not the configuration of a Mezzotint run.")
        if value["schema"] > SCHEMA:
            raise CheckpointError(f"{where} was made by a newer Mezzotint; upgrade with pip install -U mezzotint.")
        try:
            settings = dict(value["model"])
            name = settings.pop("name")
            summary = dict(value["data"])
            data = DataConfig.build(summary.pop("settings"), "data")
            spec = PictureSpec.from_json(value["pictures"])
            if not (isinstance(name, str) and all(isinstance(n, int) and n > 0 for n in spec.shape)):
                raise TypeError("a name or a size is of the wrong type")
            if name not in MODELS:
                raise CheckpointError(f'{where} names the model "{name}", which this Mezzotint does not know.')
            model = MODELS.get(name).Config.build(settings, "model")
            return cls(name, model, spec, data, TrainConfig.build(value["train"], "train"), DataSummary(**summary))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{where} is damaged: {error}. Restore it from a copy of the run.") from error


def versions() -> dict[str, str]:
    """What this was made with."""
    found = {"python": platform.python_version()}
    for package in ("mezzotint", "torch", "numpy", "pillow"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found
