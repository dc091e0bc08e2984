"""What a model that translates can make of a picture: a way for each domain, or for each attribute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mezzotint.data.captions import headed
from mezzotint.data.output import grid, to_uint8
from mezzotint.data.targets import exclusive, rivals

SOURCE = "source"
"""The name of the column of what is translated."""
_ACROSS, _ROWS = 9, 8
"""Pictures in a row of a preview, about, and rows."""


@dataclass(frozen=True)
class Way:
    """One thing that pictures can become.

    Attributes:
        name: of the domain, of the attribute that is switched, or of one of several words, of which pictures have one.
        change: pictures [N, C, H, W] in [-1, 1] of any size -> the same, translated.
    """

    name: str
    change: Callable[[Tensor], Tensor]


def ways(model: Any) -> tuple[Way, ...]:
    """All ways of a model that translates, in the order of its domains.

    Example:
        >>> from mezzotint.engine.model import PictureSpec, build
        >>> spec = PictureSpec(3, 16, 16, attributes=("smile", "hat"))
        >>> found = ways(build("stargan", {"width": 4, "critic_width": 4, "blocks": 1}, spec).eval())
        >>> [way.name for way in found], tuple(found[0].change(torch.zeros(2, 3, 16, 16)).shape)
        (['smile switched', 'hat switched'], (2, 3, 16, 16))
    """
    names = model.domains()
    if model.spec.attributes:
        return tuple(
            Way(name if rivals(names, k) else f"{name} switched", _changing(model, k)) for k, name in enumerate(names)
        )
    return tuple(Way(name, _to(model, torch.eye(len(names))[k])) for k, name in enumerate(names))


def styled_ways(model: Any, domains: Sequence[int], seeds: Sequence[int]) -> tuple[Way, ...]:
    """The ways of a model with style codes into some of its domains, each in the style of each seed.

    Args:
        model: one that restyles.
        domains: numbers of domains.
        seeds: of one style each.
    """
    names = model.domains()
    several = len(seeds) > 1
    return tuple(
        Way(
            names[k] if not several else f"{names[k]} {seed}" if len(domains) > 1 else f"style {seed}",
            in_style(model, model.draw_styles(torch.eye(len(names))[[k]], seed)),
        )
        for k in domains
        for seed in seeds
    )


def as_seen(model: Any, pictures: Tensor) -> Tensor:
    """What pictures [N, C, H, W] are in the eyes of a model of attributes, 1 or 0, [N, K].

    Of several words of one column it is the likeliest alone.
    """
    chances = model.read(pictures)
    found: Tensor = chances > 0.5
    for words in exclusive(model.domains()):
        found[:, words] &= chances[:, words] == chances[:, words].amax(1, keepdim=True)
    return found.float()


def in_style(model: Any, style: Tensor) -> Callable[[Tensor], Tensor]:
    """Pictures [N, C, H, W] of any size -> the same in one style [1, S]."""
    return lambda x: model.restyle(x, style.expand(len(x), -1))


def beside(sources: Tensor, found: Sequence[Way], across: int = 1) -> NDArray[np.uint8]:
    """A sheet of one row for each picture: itself, then what each way makes of it, with the ways' names above.

    Args:
        sources: [N, C, H, W] in [-1, 1].
        found: what is made of them.
        across: so many rows stand beside each other, at most.

    Returns:
        [H', W', C] uint8.

    Raises:
        DataError: a value is not a finite number, or there is no picture.
    """
    with torch.no_grad():
        columns = torch.stack([sources.float(), *(way.change(sources).float() for way in found)], 1)
    return headed(to_uint8(columns.flatten(0, 1).cpu().numpy()), (SOURCE, *(way.name for way in found)), across)


def side_by_side(count: int) -> int:
    """How many rows of a sheet stand beside each other, where each has `count` pictures.

    Example:
        >>> side_by_side(3), side_by_side(12)
        (3, 1)
    """
    return max(1, _ACROSS // count)


def preview_of(model: Any, pictures: Tensor) -> NDArray[np.uint8]:
    """The sheet that is drawn while a model trains, of some pictures among [N, C, H, W] in [-1, 1], spread evenly."""
    found = ways(model)
    across = side_by_side(1 + len(found))
    return beside(pictures[evenly(len(pictures), _ROWS * across)], found, across)


def styles_beside(model: Any, pictures: Tensor, styles: int = 5, rows: int = 4) -> NDArray[np.uint8]:
    """A sheet of a model that stylizes: styles above, contents at the left, and each content in each style.

    Args:
        model: in evaluation mode.
        pictures: [N, C, H, W] in [-1, 1]; contents are some of the first half, styles some of the second.

    Example:
        >>> from mezzotint.engine.model import PictureSpec, build
        >>> model = build("adain", {"width": 4}, PictureSpec(3, 32, 32)).eval()
        >>> styles_beside(model, torch.zeros(3, 3, 32, 32), styles=2, rows=1).shape[2]
        3
    """
    x = pictures.float().cpu()
    half = max(1, len(x) // 2)
    left, above = x[:half][evenly(half, rows)], x[-half:][evenly(half, styles)]
    looks = model.styles(above)
    lines = [torch.cat((torch.ones_like(x[:1]), above))]
    for content in left:
        made = model.stylize(content[None].expand(len(above), -1, -1, -1), looks).float().cpu()
        lines.append(torch.cat((content[None], made)))
    return grid(to_uint8(torch.cat(lines).numpy()), columns=1 + len(above))


def evenly(count: int, most: int) -> NDArray[np.int64]:
    """Up to `most` of `count` places, spread evenly: of pictures in the order of their domains, some of each.

    Example:
        >>> evenly(5, 3).tolist(), evenly(2, 3).tolist()
        ([0, 2, 4], [0, 1])
    """
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def _to(model: Any, domain: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: model.translate(x, domain.expand(len(x), -1))


def _changing(model: Any, k: int) -> Callable[[Tensor], Tensor]:
    """What a picture is in the model's eyes, but for one attribute: switched, or of several words this one."""
    others = rivals(model.domains(), k)

    def change(x: Tensor) -> Tensor:
        target = as_seen(model, x)
        target[:, k] = 1 if others else 1 - target[:, k]
        target[:, others] = 0
        translated: Tensor = model.translate(x, target)
        return translated

    return change
