"""Which codes a model has, and what they shall be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from mezzotint.core.errors import CapabilityError, ConfigError
from mezzotint.engine.capabilities import capabilities
from mezzotint.engine.codes import Code
from mezzotint.engine.model import MODELS

Values = Mapping[str, float]


def parse_codes(texts: Iterable[str]) -> dict[str, float]:
    """`["c0=3", "c1=-1.5"]` as name -> value.

    Raises:
        ConfigError: a text is no such assignment, or a code is named twice.

    Example:
        >>> parse_codes(["c0=3", "c1=-1.5"])
        {'c0': 3.0, 'c1': -1.5}
    """
    found: dict[str, float] = {}
    for text in texts:
        name, _, value = (part.strip() for part in text.partition("="))
        try:
            number = float(value)
        except ValueError:
            raise ConfigError(f'--code takes name=number, such as c0=3 or c1=-1.5; got "{text}".') from None
        if name in found:
            raise ConfigError(f"The code {name} is given twice; give it one value.")
        found[name] = number
    return found


def codes_of(model: Any) -> tuple[Code, ...]:
    """The codes of a model; none for a model without."""
    return tuple(model.codes()) if "codes" in capabilities(model) else ()


def with_codes(model: Any, latents: Tensor, values: Values | None) -> Tensor:
    """Latents [N, latent] in which these codes have these values.

    Raises:
        CapabilityError: the model has no codes.
        ConfigError: it lacks one of these, or one cannot have the value.
    """
    if not values:
        return latents
    require_codes(model, "sample with codes")
    changed: Tensor = model.set_codes(latents, values)
    return changed


def require_codes(model: Any, task: str) -> None:
    """Check at a task's door that a model has codes.

    Raises:
        CapabilityError: it has none.
    """
    if not codes_of(model):
        others = ", ".join(name for name in MODELS.names() if "codes" in capabilities(MODELS.get(name)))
        raise CapabilityError(
            f'"{task}" needs a model with named codes, and {getattr(model, "name", "this one")} has none; '
            f"these have: {others or 'none yet'}."
        )
