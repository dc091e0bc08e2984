"""Which classes a conditional model shall draw."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

import torch
from torch import Tensor

from mezzotint.core.errors import ConfigError, suggest

Labels = str | Sequence[int] | Tensor | None


def parse_labels(text: str, classes: Sequence[str], n: int | None = None) -> Tensor:
    """Labels in words: "cat", "3", "0,1,cat" or "all". A name wins over a number.

    Args:
        text: names or indices of classes, divided by commas.
        classes: the names of the classes.
        n: how many labels are needed; those given are repeated in turn. Those given alone when left out.

    Returns:
        [n] int64.

    Raises:
        ConfigError: there are no classes, or one is unknown.

    Example:
        >>> parse_labels("dog,0", ["cat", "dog"], 3).tolist()
        [1, 0, 1]
    """
    if not classes:
        raise ConfigError("This model knows no classes; leave --labels out.")
    names = {name: index for index, name in enumerate(classes)}
    if text in names:  # the name may hold a comma, or be "all"
        found = [names[text]]
    elif text.strip() == "all":
        found = list(range(len(classes)))
    else:
        found = [_class_index(word.strip(), names) for word in text.split(",")]
    return torch.tensor(found if n is None else [found[k % len(found)] for k in range(n)], dtype=torch.int64)


def labels_for(model: Any, n: int, labels: Labels, codes: Container[str] | None = None) -> Tensor | None:
    """Labels [n] on the model's device, all classes in turn when none are given; None for a model that takes none.

    Args:
        model: whose pictures are to be drawn.
        n: how many.
        labels: what was asked for.
        codes: names of the codes that are set; where the class is among them, it needs no label.

    Raises:
        ConfigError: labels are given and do not fit, or the model takes none.
    """
    if labels is None:
        if not is_conditional(model) or class_code(model) in (codes or ()):
            return None
        return torch.arange(n, device=model.device) % len(model.spec.classes)
    if isinstance(labels, str):
        labels = parsed(model, labels, n)
    _refuse_unless_conditional(model)
    checked: Tensor | None = model.check_labels(n, torch.as_tensor(labels))
    return checked


def parsed(model: Any, text: str, n: int | None) -> Tensor:
    """`parse_labels` for a model, which must be conditional."""
    _refuse_unless_conditional(model)
    return parse_labels(text, model.spec.classes, n)


def _refuse_unless_conditional(model: Any) -> None:
    if is_conditional(model):
        return
    cure = "leave --labels out"
    if can_be_conditional(type(model)):
        cure += ", or train one with --set model.conditional=true"
    raise ConfigError(f"This {model.name} was trained without classes and cannot be told which to draw; {cure}.")


def can_be_conditional(cls: Any) -> bool:
    """Whether a model of this class makes pictures of a class that it is told, if it is trained so."""
    field = cls.Config.model_fields.get("conditional")
    return field is not None and field.annotation is bool


def is_conditional(model: Any) -> bool:
    """Whether the model makes pictures of a class that it is told."""
    return bool(getattr(model, "conditional", False))


def class_code(model: Any) -> str | None:
    """The name of the code that is the class, in a model whose latents hold it."""
    return getattr(model, "class_code", None)


def _class_index(word: str, names: dict[str, int]) -> int:
    if word in names:
        return names[word]
    if word.isascii() and word.isdecimal():
        if int(word) < len(names):
            return int(word)
        raise ConfigError(f"There is no class {word}; they go from 0 to {len(names) - 1}.")
    raise ConfigError(f'There is no class "{word}"; {suggest(word, names)}')
