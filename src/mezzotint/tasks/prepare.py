"""A training settled but not begun: from a person's words to settings, pictures and a fresh model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from mezzotint.core.config import Config, merge
from mezzotint.core.errors import ConfigError, suggest
from mezzotint.data.domains import Pairs
from mezzotint.data.types import DataConfig, PictureSet
from mezzotint.engine.advice import choices
from mezzotint.engine.balancing import wanted
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.device import choose_device, keep_freed_memory
from mezzotint.engine.fitting import Fitting
from mezzotint.engine.model import MODELS, Model, PictureSpec, build
from mezzotint.engine.parallel import check_processes
from mezzotint.engine.plan import Plan, plan
from mezzotint.engine.plan import settle as measure
from mezzotint.engine.recipe import DataSummary, Recipe
from mezzotint.engine.validation import settle_best
from mezzotint.tasks._settings import read_settings
from mezzotint.tasks._sources import open_source

SECTIONS: dict[str, type] = {"data": DataConfig, "train": TrainConfig}
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    """A training that is settled but not begun.

    Attributes:
        recipe: all settings, resolved; the precision is no longer "auto" once `settle` has run.
        pictures: the opened set.
        model: fresh, with its first weights.
        device: where it will train.
        chosen: what the model chose itself, and why: a sentence each.
    """

    recipe: Recipe
    pictures: PictureSet
    model: Model
    device: torch.device
    chosen: tuple[str, ...] = ()


def prepare(
    model: str,
    source: Any,
    *,
    config: str | Path | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    auto: bool | None = None,
    progress: Callable[[int, int], None] | None = None,
    tell: Tell | None = None,
) -> Prepared:
    """Resolve settings, open the pictures and build the model; nothing is written.

    Args:
        model: a registered name.
        source: a folder, file or named set; an array [N, H, W, C] uint8; or a run, whose codes are then trained on.
        config: a .json or .toml file with sections model, data and train; or a run (its folder or its config.json),
            whose settings are taken again.
        settings: the same sections; they win over the file.
        auto: let the model choose what neither of them says, by the pictures and the device; None does so where the
            model can (see `mezzotint.engine.advice`).
        progress: called with (done, all) while pictures are decoded.
        tell: told of the licence of a named set, and of what is about to be downloaded.

    Raises:
        ConfigError: a setting is wrong.
        DataError: the pictures cannot be used.
    """
    cls = MODELS.get(model)
    sections = merge(read_settings(Path(config), model) if config else {}, settings or {})
    for name in sections:
        if name not in (*SECTIONS, "model"):
            raise ConfigError(f'There is no section "{name}" of settings; {suggest(name, (*SECTIONS, "model"))}')
    data = DataConfig.build(
        {**({"pairs": True} if issubclass(cls.order, Pairs) else {}), **sections.get("data", {})}, "data"
    )
    train, model_config = _resolve(cls, sections)
    device = choose_device(train.device, cls.doubles)
    check_processes(train.processes, device)
    keep_freed_memory()
    pictures = open_source(source, data, progress=progress, notify=tell)
    spec = PictureSpec.of(pictures)
    chosen = choices(cls, sections, len(pictures.splits["train"]), spec, device, auto)
    if chosen:
        layers: list[Mapping[str, Mapping[str, Any]]] = [{each.section: {each.name: each.value}} for each in chosen]
        train, model_config = _resolve(cls, merge(*layers, sections))
    built = build(model, model_config.to_json(), spec, train.seed)
    if cls.fitted():
        train = _fitted(built, train, "steps" in sections.get("train", {}), len(pictures.splits["train"]))
    recipe = Recipe(model, model_config, spec, data, train, DataSummary.of(pictures))
    _check_labels(built, pictures)
    settle_best(train.best_by, built)
    wanted(built, train.balance_every, train.stop_at_half)
    return Prepared(recipe, pictures, built, device, tuple(map(str, chosen)))


def _resolve(cls: type[Model], sections: Mapping[str, Mapping[str, Any]]) -> tuple[TrainConfig, Config]:
    train = TrainConfig.build(_sane(sections.get("train", {})), "train")
    return train, cls.Config.build(sections.get("model", {}), "model")


def _sane(values: Mapping[str, Any]) -> dict[str, Any]:
    """Minutes alone mean: as many steps as fit."""
    result = dict(values)
    if result.get("minutes") is not None and "steps" not in result:
        result["steps"] = None
    return result


def _fitted(model: Model, train: TrainConfig, asked: bool, count: int) -> TrainConfig:
    """The settings of a model that is fitted: as many steps as its passes take, if no number was asked for."""
    if train.processes > 1:
        raise ConfigError(f"{model.name} is fitted by one process; leave train.processes out.")
    if asked or train.minutes is not None:
        return train
    return train.changed(steps=Fitting(model.passes(), count, train.batch_size).rounds)


def _check_labels(model: Model, pictures: PictureSet) -> None:
    if getattr(model, "conditional", False) and pictures.labels is not None and bool((pictures.labels < 0).any()):
        missing = int((pictures.labels < 0).sum())
        raise ConfigError(
            f"A conditional model needs a class for every picture, and {missing} of {pictures.source} have none; "
            "label them or take them out."
        )


def settle(prepared: Prepared) -> tuple[Prepared, str]:
    """Settle what is "auto" by measurement; returns the settled training and the reasons in words."""
    train, why = measure(prepared.model, prepared.pictures, prepared.recipe.train, prepared.device)
    return replace(prepared, recipe=replace(prepared.recipe, train=train)), why


def predict(prepared: Prepared) -> Plan:
    """What the training will cost; see `mezzotint.engine.plan.plan`."""
    return plan(prepared.model, prepared.pictures, prepared.recipe.train, prepared.device)
