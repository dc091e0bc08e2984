"""Translations as scores see them: for each domain its real pictures, and others before and after translation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mezzotint.data.output import to_uint8
from mezzotint.data.targets import rivals
from mezzotint.engine.capabilities import capabilities
from mezzotint.engine.feed import to_tensor
from mezzotint.engine.ways import as_seen
from mezzotint.metrics.extractor import Extractor
from mezzotint.metrics.frechet import frechet_distance
from mezzotint.metrics.score import Better, Estimate
from mezzotint.tasks import _features
from mezzotint.tasks._sides import RealSide
from mezzotint.tasks.reconstruct import fit_channels

_CHUNK = 64
_FEWEST = 2
"""Pictures of each side without which there is no distance."""


@dataclass(frozen=True)
class Ahead:
    """One domain and what is to be translated to it.

    Attributes:
        domain: its name.
        real: places in `RealSide.rows` of its pictures.
        sources: of pictures that are not of it.
        to: [len(sources), K] what these shall be; NaN where the model is to say what they are.
    """

    domain: str
    real: NDArray[np.int64]
    sources: NDArray[np.int64]
    to: NDArray[np.float32]


@dataclass(frozen=True)
class Translated:
    """Features of one domain.

    Attributes:
        domain: its name.
        real: [N, D] of its pictures.
        before, after: [M, D] of others as they are, and translated to it.
    """

    domain: str
    real: NDArray[np.float32]
    before: NDArray[np.float32]
    after: NDArray[np.float32]


def ahead(model: Any, real: RealSide) -> list[Ahead]:
    """What there is to translate; domains of which there are not two pictures are left out, or not two others."""
    names, known = model.domains(), _known(model, real)
    if known is None:
        return []
    found = []
    for k, name in enumerate(names):
        column = known[name]
        mine, others = np.flatnonzero(column == 1), np.flatnonzero(column == 0)
        if min(len(mine), len(others)) < _FEWEST:
            continue
        to = np.zeros((len(others), len(names)), np.float32)
        if model.spec.attributes:  # the others stay as they are
            to = np.stack([known[each] for each in names], 1)[others]
            to[:, rivals(names, k)] = 0
        to[:, k] = 1
        found.append(Ahead(name, mine, others, to))
    return found


def _known(model: Any, real: RealSide) -> dict[str, NDArray[np.float32]] | None:
    """Domain -> [rows] 1 where a picture is of it, 0 where not, and NaN where it is unknown; None if nothing is."""
    pictures = real.pictures
    if model.spec.attributes:
        if pictures.targets is None or pictures.target_names != model.spec.attributes:
            return None
        columns = pictures.targets[real.rows].T
        return dict(zip(pictures.target_names, columns, strict=True))
    if pictures.labels is None:
        return None
    # By name, since other pictures may have other classes too, in another order.
    labels = np.array([*pictures.classes, ""], dtype=object)[pictures.labels[real.rows]]
    strange = ~np.isin(labels, np.array(model.spec.classes, dtype=object))
    return {
        name: np.where(strange, np.nan, labels == name).astype(np.float32)  # NaN is neither of it nor to be translated
        for name in model.domains()
    }


def translated(
    model: Any,
    real: RealSide,
    features: NDArray[np.float32],
    extractor: Extractor,
    seed: int,
    moved: Callable[[int], None],
) -> tuple[Translated, ...]:
    """Translate what there is, and look at it.

    Args:
        model: one that translates.
        real: the real pictures.
        features: [N, D] of all of them.
        extractor: what made the features.
        seed: of the styles, another one for each picture, where the model has style codes.
        moved: told how many pictures were done.
    """
    found = []
    for each in ahead(model, real):
        chunks = _chunks(model, real, each, seed)
        after = _features.extract(chunks, len(each.sources), extractor, moved).features
        found.append(Translated(each.domain, features[each.real], features[each.sources], after))
    return tuple(found)


def distances(
    found: Sequence[Translated], title: str, seed: int
) -> Iterator[tuple[str, str, Better, Estimate, int, int]]:
    """Of each domain, after translation and before: title, metric, direction, distance, and how many of each side.

    Args:
        found: what there is.
        title: what the distance is called.
        seed: of its interval.
    """
    for each in found:
        sides: list[tuple[str, Better, NDArray[np.float32]]] = [
            ("", "lower", each.after),
            (" before translation", "none", each.before),
        ]
        for when, way, seen in sides:
            to = f"to {each.domain}{when}"
            distance = frechet_distance(each.real, seen, seed=seed)
            yield f"{title} {to}", f"frechet, {to}", way, distance, len(each.real), len(seen)


@torch.no_grad()
def _chunks(model: Any, real: RealSide, each: Ahead, seed: int) -> Iterator[Tensor]:
    """uint8 [k, C, H, W], translated."""
    styled = "restyles" in capabilities(model)
    to = torch.from_numpy(each.to)
    styles = model.draw_styles(to, seed) if styled else None
    for start in range(0, len(to), _CHUNK):
        part = slice(start, start + _CHUNK)
        packed = fit_channels(real.pictures.pictures[real.rows[each.sources[part]]], model.spec)
        x = to_tensor(packed, model.device)
        made = model.translate(x, _settled(model, x, to[part])) if styles is None else model.restyle(x, styles[part])
        yield _features.to_bytes(to_uint8(made.float().cpu().numpy()))


def _settled(model: Any, x: Tensor, to: Tensor) -> Tensor:
    """What pictures shall be, with what is unknown of them as the model sees it."""
    to = to.to(x.device)
    return torch.where(to.isnan(), as_seen(model, x), to) if bool(to.isnan().any()) else to
