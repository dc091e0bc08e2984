"""Scores of single pictures and of pairs: measured as pictures go by, so that none is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mezzotint.core.rng import derive, stream
from mezzotint.data.output import to_uint8
from mezzotint.engine.feed import to_tensor
from mezzotint.metrics.extractor import Extractor
from mezzotint.metrics.perceptual import perceptual_distance
from mezzotint.metrics.pixel import psnr
from mezzotint.metrics.ssim import ms_ssim, pair_up, ssim
from mezzotint.tasks._features import to_bytes
from mezzotint.tasks._metrics import CODED, PAIRED, SAMPLES
from mezzotint.tasks._sides import RealSide
from mezzotint.tasks.reconstruct import fit_channels

_CHUNK = 64
_WEIGHED = 16
"""Pictures whose likelihood is measured at once; few, since thousands of latents may be decoded for each."""
Values = NDArray[np.float64]


class Diversity:
    """MS-SSIM of disjoint pairs among the first pictures that go by; call it with each chunk [k, C, H, W]."""

    def __init__(self) -> None:
        self.left = PAIRED
        self._found: list[Tensor] = []

    def __call__(self, chunk: Tensor) -> None:
        chunk = chunk[: self.left]
        self.left -= len(chunk)
        a, b = pair_up(chunk)
        self._found += [ms_ssim(x, y) for x, y in zip(a.split(_CHUNK), b.split(_CHUNK), strict=True) if len(x)]

    @property
    def values(self) -> Values:
        """[pairs]."""
        return np.concatenate([np.empty(0), *(x.numpy() for x in self._found)])


def real_diversity(real: RealSide, spec: Any, seed: int) -> Values:
    """The same of the real pictures, in random order, since those of one class often lie side by side."""
    rows = stream(seed, "evaluate", "pairs").permutation(real.rows)[:PAIRED]
    found = Diversity()
    for chunk in real.chunks(rows, spec):
        found(chunk)
    return found.values


def paired_rows(real: RealSide, seed: int) -> NDArray[np.int64]:
    """The pictures that reconstructions and the likelihood are measured on."""
    if len(real.rows) <= PAIRED:
        return real.rows
    return np.sort(stream(seed, "evaluate", "paired").permutation(real.rows)[:PAIRED])


@torch.no_grad()
def reconstructed(
    model: Any,
    real: RealSide,
    rows: NDArray[np.int64],
    wanted: set[str],
    extractor: Extractor,
    moved: Callable[[int], None],
) -> dict[str, Values]:
    """PSNR, SSIM, MS-SSIM and perceptual distance of pictures [N] and what the model gives back of them, as bytes."""
    found: dict[str, list[Tensor]] = {name: [] for name in wanted}
    for seen, original in _batches(model, real, rows):
        again = to_bytes(to_uint8(model.reconstruct(seen).float().cpu().numpy()))
        for name, values in _compared(original, again, wanted, extractor):
            found[name].append(values)
        moved(len(original))
    return {name: torch.cat(values).numpy() for name, values in found.items()}


@torch.no_grad()
def encoded(model: Any, real: RealSide, rows: NDArray[np.int64], moved: Callable[[int], None]) -> NDArray[np.float32]:
    """The model's latents [N, latent] of some of the real pictures."""
    found = []
    for seen, original in _batches(model, real, rows):
        found.append(model.encode(seen).float().cpu().numpy())
        moved(len(original))
    return np.concatenate(found)


@torch.no_grad()
def inferred(
    model: Any, real: RealSide, rows: NDArray[np.int64], moved: Callable[[int], None]
) -> tuple[Values, Values]:
    """Mean and log variance [N, units] of the model's latents of some of the real pictures."""
    found = []
    for seen, original in _batches(model, real, rows):
        found.append([each.double().cpu().numpy() for each in model.infer(seen)])
        moved(len(original))
    mean, log_variance = (np.concatenate(each) for each in zip(*found, strict=True))
    return mean, log_variance


def coded_rows(real: RealSide, seed: int) -> NDArray[np.int64]:
    """The pictures whose codes are scored."""
    if len(real.rows) <= CODED:
        return real.rows
    return np.sort(stream(seed, "evaluate", "coded").permutation(real.rows)[:CODED])


def _bound(model: Any, pictures: Tensor, seed: int) -> Tensor:
    return model.log_likelihood(pictures, seed=seed)


def _weighed(model: Any, pictures: Tensor, seed: int) -> Tensor:
    return model.importance_log_likelihood(pictures, samples=SAMPLES, seed=seed)


LIKELIHOODS: dict[str, tuple[str, Callable[[Any, Tensor, int], Tensor]]] = {
    "scores": ("likelihood", _bound),
    "marginalises": ("nll", _weighed),
}
"""What a score needs -> the name it is measured under, and what gives nats [N] of (model, pictures, seed)."""


@torch.no_grad()
def log_likelihoods(
    model: Any, real: RealSide, rows: NDArray[np.int64], need: str, seed: int, moved: Callable[[int], None]
) -> dict[str, Values]:
    """Nats [N] and, after "bits of ", bits a value [N], by one of `LIKELIHOODS`, whose name they have.

    Every few pictures have a seed of their own, or their errors would be the same ones; for all of `LIKELIHOODS` it is
    the same, so that where pictures are made black and white, all see the same.
    """
    name, measure = LIKELIHOODS[need]
    nats, bits = [], []
    for i, (seen, original) in enumerate(_batches(model, real, rows, _WEIGHED)):
        found = measure(model, seen, derive(seed, "evaluate", "likelihood", i))
        nats.append(found.cpu().double())
        bits.append(model.bits_per_dim(found).cpu().double())
        moved(len(original))
    return {name: torch.cat(nats).numpy(), f"bits of {name}": torch.cat(bits).numpy()}


def _batches(
    model: Any, real: RealSide, rows: NDArray[np.int64], size: int = _CHUNK
) -> Iterator[tuple[Tensor, Tensor]]:
    """What the model takes, floats on its device, beside the bytes of the same pictures."""
    for start in range(0, len(rows), size):
        packed = fit_channels(real.pictures.pictures[rows[start : start + size]], model.spec)
        yield to_tensor(np.ascontiguousarray(packed), model.device), to_bytes(packed)


def _compared(a: Tensor, b: Tensor, wanted: set[str], extractor: Extractor) -> Iterator[tuple[str, Tensor]]:
    if "psnr" in wanted:
        yield "psnr", psnr(a, b, 255)
    if "ssim" in wanted:
        yield "ssim", ssim(a, b)
    if "ms-ssim" in wanted:
        yield "ms-ssim", ms_ssim(a, b)
    if "perceptual" in wanted:
        yield "perceptual", perceptual_distance(extractor(a).maps, extractor(b).maps)
