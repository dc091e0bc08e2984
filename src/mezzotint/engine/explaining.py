"""What a model says that it has learned: pictures and curves of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Parts:
    """Pictures that a model is made of, such as the eigen-pictures of principal components.

    Attributes:
        name: what they are, for a heading.
        pictures: [n, C, H, W] in [-1, 1], the most telling first.
        says: how they are to be read, in a sentence.
    """

    name: str
    pictures: Tensor
    says: str


@dataclass(frozen=True)
class Curve:
    """Numbers over numbers, such as the share of all variance along each component.

    Attributes:
        name: what is drawn.
        at: [N], rising.
        values: [N].
        says: how it is to be read, in a sentence.
    """

    name: str
    at: Sequence[float]
    values: Sequence[float]
    says: str


@dataclass(frozen=True)
class Explanation:
    """All that a model shows of itself."""

    parts: tuple[Parts, ...] = ()
    curves: tuple[Curve, ...] = ()
