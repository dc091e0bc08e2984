"""Settings that a model chooses by what it is trained on, each with the reason in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch

from mezzotint.core.errors import ConfigError
from mezzotint.engine.model import Model, PictureSpec

Sections = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Choice:
    """One setting that was chosen.

    Attributes:
        section, name: which setting: "train", "batch_size".
        value: what it shall be.
        why: the rest of a sentence that begins with the setting; no full stop.
    """

    section: Literal["model", "train"]
    name: str
    value: Any
    why: str

    def __str__(self) -> str:
        return f"{self.section}.{self.name}={self.value}: {self.why}."


@runtime_checkable
class Advises(Protocol):
    """A model class that chooses settings."""

    @classmethod
    def advise(cls, pictures: int, spec: PictureSpec, device: torch.device) -> Sequence[Choice]:
        """The settings it would take.

        Args:
            pictures: how many there are to train on.
            spec: their shape.
            device: where it will train.
        """
        ...


def choices(
    cls: type[Model], given: Sections, pictures: int, spec: PictureSpec, device: torch.device, auto: bool | None
) -> tuple[Choice, ...]:
    """What the model chooses of that which the person has left open.

    Args:
        cls: the model.
        given: the person's own settings, which are never touched.
        pictures, spec, device: as in `Advises.advise`.
        auto: True asks the model, False does not, None asks a model that can be asked.

    Raises:
        ConfigError: `auto` is True, and the model chooses nothing.
    """
    if auto is False:
        return ()
    advises: Any = cls  # a class of its own, which mypy takes for one that cannot be both
    if not isinstance(advises, Advises):
        if auto:
            raise ConfigError(
                f"{cls.name} chooses no settings by itself; leave --auto out (in Python auto=True), or train gan."
            )
        return ()
    open_ones = [
        each for each in advises.advise(pictures, spec, device) if each.name not in given.get(each.section, {})
    ]
    return tuple(each for each in open_ones if each.name != "schedule" or _ends_by_steps(given.get("train", {})))


def _ends_by_steps(train: Mapping[str, Any]) -> bool:
    """Whether it is known in which step the training ends, by which a learning rate can fall; not by minutes alone."""
    return train.get("minutes") is None or any(train.get(name) is not None for name in ("steps", "schedule_steps"))
