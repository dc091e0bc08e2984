"""Named codes: parts of a latent that mean something by themselves, and what one may do with them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mezzotint.core.errors import ConfigError, suggest
from mezzotint.nn.latents import slerp_weights

_LIMITS = {"uniform": 2.0, "normal": 6.0}


@dataclass(frozen=True)
class Code:
    """One code of a model.

    Attributes:
        name: such as "c0" or "z17".
        kind: how training drew it: one of several values (one-hot), evenly from [-1, 1], or standard normal.
        start: its first column in the latents.
        values: how many values a categorical code has, which is also how many columns; 1 for others.

    Example:
        >>> Code("c0", "categorical", 62, 10).said, Code("c1", "uniform", 72).said
        ('0 to 9', '-2 to 2')
    """

    name: str
    kind: Literal["categorical", "uniform", "normal"]
    start: int
    values: int = 1

    @property
    def columns(self) -> slice:
        """Its columns in the latents."""
        return slice(self.start, self.start + self.values)

    @property
    def continuous(self) -> bool:
        """Whether it is a number rather than one of several values."""
        return self.kind != "categorical"

    @property
    def limits(self) -> tuple[float, float]:
        """What it may be set to, both ends counted: a continuous code somewhat beyond what training drew."""
        if self.kind == "categorical":
            return 0, self.values - 1
        return -_LIMITS[self.kind], _LIMITS[self.kind]

    @property
    def said(self) -> str:
        """The limits in words."""
        low, high = self.limits
        return f"{low:g} to {high:g}"

    def checked(self, value: float) -> float:
        """The value itself.

        Raises:
            ConfigError: the code cannot have it.
        """
        low, high = self.limits
        if not low <= value <= high or (not self.continuous and value != int(value)):
            what = "goes from" if self.continuous else "has the whole values"
            raise ConfigError(f"The code {self.name} {what} {self.said}; got {value:g}.")
        return value


def find(codes: Sequence[Code], name: str) -> Code:
    """The code of a name.

    Raises:
        ConfigError: there is none.

    Example:
        >>> find([Code("c0", "uniform", 0)], "c0").start
        0
    """
    known = {code.name: code for code in codes}
    if name not in known:
        few = len(known) <= 8
        cure = suggest(name, known) if few else f"they are called {codes[0].name} to {codes[-1].name}."
        raise ConfigError(f'There is no code "{name}"; {cure}')
    return known[name]


def columns(codes: Sequence[Code]) -> list[int]:
    """Columns of the latents that codes stand for, in the order of the codes; of the others an encoder knows nothing.

    Example:
        >>> columns([Code("c0", "categorical", 2, 3), Code("c1", "uniform", 5)])
        [2, 3, 4, 5]
    """
    return [column for code in codes for column in range(code.start, code.start + code.values)]


def set_codes(codes: Sequence[Code], latents: Tensor, values: Mapping[str, float]) -> Tensor:
    """A copy of latents [N, latent] in which these codes have these values.

    Args:
        codes: those of the model.
        latents: [N, latent].
        values: name -> the number of a categorical code's value, or a continuous code's value.

    Raises:
        ConfigError: there is no such code, or it cannot have the value.

    Example:
        >>> codes = [Code("c0", "categorical", 1, 3), Code("c1", "uniform", 4)]
        >>> set_codes(codes, torch.zeros(1, 5), {"c0": 2, "c1": -1.5}).tolist()
        [[0.0, 0.0, 0.0, 1.0, -1.5]]
    """
    latents = latents.clone()
    for name, value in values.items():
        code = find(codes, name)
        value = code.checked(value)
        if code.continuous:
            latents[:, code.start] = value
        else:
            latents[:, code.columns] = 0
            latents[:, code.start + int(value)] = 1
    return latents


def get_codes(codes: Sequence[Code], latents: Tensor) -> dict[str, Tensor]:
    """The codes of latents [N, latent]: int64 [N] for a categorical one, its strongest value; float32 [N] for others.

    Example:
        >>> get_codes([Code("c0", "categorical", 0, 2)], torch.tensor([[0.2, 0.8]]))["c0"].tolist()
        [1]
    """
    return {
        code.name: latents[:, code.start] if code.continuous else latents[:, code.columns].argmax(1) for code in codes
    }


def blend(codes: Sequence[Code], points: Tensor, weights: Tensor) -> Tensor:
    """Latents between others, as the model expects them.

    Weights of length 1 keep a normal latent normal. A code that is no normal variable takes the weighted mean instead:
    one that all points share stays what it is, and a one-hot code becomes a mixture whose parts add up to one.

    Args:
        codes: those of the model; all other columns are normal.
        points: [K, latent].
        weights: [T, K]; each row's sum is above 0.

    Returns:
        [T, latent], float32 on the device of `points`.
    """
    given, shares = points.detach().cpu().to(torch.float64), weights.to(torch.float64)
    made = shares @ given
    even = shares / shares.sum(1, keepdim=True)
    for code in codes:
        mine = given[:, code.columns]
        if code.kind == "uniform":
            made[:, code.columns] = (even @ mine).clamp(mine.min(), mine.max())
        elif code.kind == "categorical":
            mixed = (even @ mine).clamp(min=0)
            made[:, code.columns] = mixed / mixed.sum(1, keepdim=True)
    return made.to(torch.float32).to(points.device)


def between(codes: Sequence[Code], start: Tensor, end: Tensor, steps: int) -> Tensor:
    """The way from one latent to another: normal columns along the sphere (`slerp`), codes evenly (`blend`).

    Args:
        codes: those of the model; all other columns are normal.
        start, end: [latent].
        steps: points, both ends counted.

    Returns:
        [steps, latent], float32 on the device of `start`.

    Example:
        >>> start, end = torch.tensor([1.0, 0.0, 1.0, 0.0]), torch.tensor([0.0, 1.0, 0.0, 1.0])
        >>> between([Code("c0", "categorical", 2, 2)], start, end, 3)[1].round(decimals=3).tolist()
        [0.7070000171661377, 0.7070000171661377, 0.5, 0.5]
    """
    normal = torch.ones(len(start), dtype=torch.bool, device=start.device)
    for code in codes:
        if code.kind != "normal":
            normal[code.columns] = False
    weights = slerp_weights(start[normal], end.to(start.device)[normal], steps)
    return blend(codes, torch.stack((start, end.to(start.device))), weights)


def whole_latent(size: int) -> tuple[Code, ...]:
    """The codes z0, z1 ... of a latent whose every unit is standard normal."""
    return tuple(Code(f"z{unit}", "normal", unit) for unit in range(size))


def entropy(code: Code) -> float:
    """Of what training drew, in nats: of the values for a categorical code, else differential.

    Example:
        >>> entropy(Code("c0", "categorical", 0, 10)) == math.log(10)
        True
    """
    if code.kind == "normal":
        return 0.5 * math.log(2 * math.pi * math.e)
    return math.log(code.values if code.kind == "categorical" else 2)
