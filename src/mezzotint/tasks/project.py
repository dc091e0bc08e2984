"""Latents of real pictures, for models that only go the other way: found by following the gradient."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mezzotint.core import atomic, rng
from mezzotint.core.errors import ConfigError
from mezzotint.engine.capabilities import require
from mezzotint.tasks._labels import is_conditional, parse_labels
from mezzotint.tasks.reconstruct import Reconstructions, write_as_seen
from mezzotint.tasks.sample import models_that

_STARTS = 512
"""Random latents, of which the one whose picture is nearest is where the way begins."""
_CHUNK = 64
_PRIOR = 1e-3
LATENTS = "latents.npy"


def project(
    run: Any,
    source: Any,
    out: str | Path,
    *,
    steps: int = 200,
    label: int | str | None = None,
    seed: int = 0,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Reconstructions:
    """Find the latent of every picture, and give the picture back that the model makes of it.

    Each becomes a PNG file of its own name in `out`, as with `reconstruct`; `latents.npy` holds the latents, float32
    [N, latent], in the order of `scores.json`.

    Args:
        run: an opened run, whose model samples.
        source: one picture, a folder, archive, named set or array: whatever `open_pictures` takes.
        out: a folder; it is made if it is not there.
        steps: of the descent, at least 1; more come nearer.
        label: the class, by name or number, in which a conditional model is to look.
        seed: of the random latents to begin from.
        overwrite: replace files of these names.
        progress: called with (done, all).
        tell: told of the licence of a named set that is about to be downloaded.

    Raises:
        CapabilityError: the model does not sample.
        ConfigError: a setting is wrong, or `out` holds a file of one of the names.
        DataError: there is nothing to read.

    Example:
        >>> import mezzotint as mz, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> tiny = {"model": {"width": 8, "discriminator_width": 8}}
        >>> run = mz.train("dcgan", "digits", steps=2, out=folder + "/a", quiet=True, settings=tiny)
        >>> found = project(run, np.zeros((3, 8, 8), np.uint8), folder + "/b", steps=2)
        >>> np.load(folder + "/b/latents.npy").shape
        (3, 100)
    """
    require(run.model, "samples", "project", others=models_that("samples"))
    if steps < 1:
        raise ConfigError(f"project needs 1 step at least; got steps={steps}.")
    wanted = _label(run.model, label)
    latents: list[Tensor] = []

    def see(pictures: Tensor) -> Tensor:
        found = nearest(run.model, pictures, steps=steps, label=wanted, seed=seed)
        latents.append(found.cpu())
        return _made(run.model, found, wanted)

    result = write_as_seen(
        run, source, out, see, beside=True, overwrite=overwrite, extra=(LATENTS,), progress=progress, tell=tell
    )
    stream = io.BytesIO()
    np.save(stream, torch.cat(latents).numpy(), allow_pickle=False)
    atomic.write_bytes(Path(out) / LATENTS, stream.getvalue())
    return result


def nearest(model: Any, pictures: Tensor, *, steps: int = 200, label: int | None = None, seed: int = 0) -> Tensor:
    """Latents [N, latent] whose pictures come near to `pictures` [N, C, H, W] in [-1, 1].

    Adam makes the squared difference smaller, at full, half and quarter size together, from the nearest of 512 random
    latents; a slight pull to the middle, as strong as the model's pictures differ, keeps latents where it was trained.
    Each picture is on its own. A model whose pictures have no gradient, such as one of discrete codes, is asked for
    the latents by its encoder.

    Raises:
        CapabilityError: there is neither gradient nor encoder.
    """
    if not _smooth(model, label):
        require(model, "encodes", "project", others=models_that("encodes"))
        encoded: Tensor = model.encode(pictures)
        return encoded
    starts = model.latent(_STARTS, seed=rng.derive(seed, "project"))
    with torch.no_grad():
        candidates = torch.cat([_made(model, part, label) for part in starts.split(_CHUNK)])
        pull = _PRIOR * float(candidates.var(0).mean())
        z = starts[torch.cdist(_small(pictures), _small(candidates)).argmin(1)].clone()
    z.requires_grad_(True)
    optimizer = torch.optim.Adam([z], lr=0.1)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    with torch.enable_grad():
        for _ in range(steps):
            made = model.generate(z, _labels(len(z), label, z.device))
            loss = distance(made, pictures).sum() + pull * z.square().mean(1).sum()
            (z.grad,) = torch.autograd.grad(loss, z)  # the model's own weights are left alone
            optimizer.step()
            falling.step()
    return z.detach()


def _smooth(model: Any, label: int | None) -> bool:
    """Whether pictures move as their latent does, so that there is a way to follow."""
    with torch.enable_grad():
        return bool(_made(model, model.latent(1).requires_grad_(), label).requires_grad)


def distance(a: Tensor, b: Tensor) -> Tensor:
    """The mean squared difference [N] of pictures [N, C, H, W], averaged over full, half and quarter size."""
    total = (a - b).square().flatten(1).mean(1)
    scales = 1
    for _ in range(2):
        if min(a.shape[2:]) >= 4:
            a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
            total, scales = total + (a - b).square().flatten(1).mean(1), scales + 1
    return total / scales


def _small(pictures: Tensor) -> Tensor:
    height, width = pictures.shape[2:]
    return F.adaptive_avg_pool2d(pictures.float(), (min(16, height), min(16, width))).flatten(1)


def _made(model: Any, latents: Tensor, label: int | None) -> Tensor:
    made: Tensor = model.generate(latents, _labels(len(latents), label, latents.device))
    return made


def _labels(n: int, label: int | None, device: torch.device) -> Tensor | None:
    return None if label is None else torch.full((n,), label, device=device)


def _label(model: Any, label: int | str | None) -> int | None:
    """The class's number; a conditional model needs one, since each picture is looked for in one class."""
    if not is_conditional(model):
        if label is not None:
            raise ConfigError("This model knows no classes; leave the label out.")
        return None
    classes = model.spec.classes
    if label is None:
        raise ConfigError(f"This model makes pictures of a class; say which: {', '.join(classes[:20])}.")
    return int(parse_labels(str(label), classes, 1)[0])
