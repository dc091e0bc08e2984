"""What is measured of a training in progress, so that a diagnosis can be made: numbers, and no judgement.

Everything is measured by what a model can do (`engine.capabilities`), on the same held-out pictures and the same
latents each time, with the weights that are being trained rather than their average, which lags behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mezzotint.core import rng
from mezzotint.engine.capabilities import capabilities
from mezzotint.engine.codes import columns
from mezzotint.engine.draw import Draw
from mezzotint.engine.feed import to_labels, to_tensor
from mezzotint.engine.model import Model
from mezzotint.engine.phase import Turn
from mezzotint.metrics.calibration import platt, sigmoid
from mezzotint.metrics.neighbours import memorising, nearest

if TYPE_CHECKING:
    from mezzotint.engine.loop import Trainer

Array = NDArray[np.float64]
Judge = Callable[[Tensor, Tensor | None], Tensor]

_PICTURES = 256
"""Held-out and generated pictures, each."""
_TRAINING = 4096
"""Training pictures among which neighbours are looked for."""
_SIDE = 16
"""Distances are taken of pictures made so small: their shapes count, not their noise."""
_FEWEST = 8
"""With fewer pictures a mean of distances or a variance says nothing."""


class Probe:
    """Measures a training; what does not change is measured once.

    Args:
        trainer: the training.
        count: held-out and generated pictures, each, at most.
    """

    def __init__(self, trainer: Trainer, count: int = _PICTURES) -> None:
        splits = trainer.pictures.splits
        self.trainer = trainer
        self.honest = len(splits["validation"]) > 0
        """Whether pictures are held out at all; those of the training split must do otherwise."""
        self.held = _some(trainer, "validation" if self.honest else "train", count)
        self.training = _some(trainer, "train", count)
        self._real = self._small(self.held)
        self._known = self._small(_some(trainer, "train", _TRAINING)) if self.honest else np.empty((0, 0))
        self._spread = mean_distance(self._real)

    def measure(self) -> dict[str, float]:
        """The measures of this moment, by name.

        - `discriminator/accuracy`, `discriminator/probability`: how well it tells held-out pictures from as many
          generated ones; see `told_apart`. One half is the equilibrium (Goodfellow et al. 2014, theorem 1).
        - `difference`: of held-out and generated pictures, from 0 (the same distribution) to 1; see `energy`.
        - `diversity`: mean distance of two generated pictures over that of two real ones.
        - `memorising`, `memorising/low`: see `metrics.neighbours.memorising`; one half is right, 1 copies.
        - `memorising/chance`: see `chance_of_no_copies`; small where training pictures are copied.
        - `active_units`, `units`: of the latent; see `active_units`.
        - `kl`: the training loss's term of that name, where there is one.
        - `loss/training`, `loss/held_out`: the model's own validation loss on both.

        - `pictures/held_out`: how many there are, up to those that are used.

        Those that the model cannot offer, or for which there are too few pictures, are left out.
        """
        with self.trainer.using(averaged=False) as model:
            offered = capabilities(model)
            found: dict[str, float] = {"pictures/held_out": len(self.held) if self.honest else 0.0}
            if "samples" in offered:
                found |= self._generated(model, _judge(model, offered))
            if "encodes" in offered and "samples" in offered and len(self.held) >= _FEWEST:
                latents = _numpy(torch.cat([can(model).encode(x) for x, _ in self._batches(self.held)]))
                prior = _numpy(can(model).latent(len(self.held)))
                if "codes" in offered:  # of other units an encoder can know nothing
                    known = columns(can(model).codes())
                    latents, prior = latents[:, known], prior[:, known]
                found |= {"active_units": float(active_units(latents, prior)), "units": float(latents.shape[1])}
                kl = [value.item() for name, value in self.trainer.losses.items() if name.endswith("/kl")]
                found |= {"kl": sum(kl)} if kl else {}
            if self.honest:
                found |= self._losses(model)
        return {name: value for name, value in found.items() if np.isfinite(value)}

    def _generated(self, model: Model, judge: Judge | None) -> dict[str, float]:
        """The measures of generated pictures, which are gone again batch by batch."""
        small, real_side, fake_side = [], [], []
        latents = can(model).latent(len(self.held)).split(self._batch)
        for (pictures, labels), z in zip(self._batches(self.held), latents, strict=True):
            fake = can(model).generate(z, labels)
            small.append(shrunk(fake))
            if judge is not None:
                real_side.append(judge(pictures, labels))
                fake_side.append(judge(fake, labels))
        found: dict[str, float] = {}
        features = np.concatenate(small)
        if not np.isfinite(features).all():
            return {}
        if judge is not None:
            accuracy, probability = told_apart(_numpy(torch.cat(real_side)), _numpy(torch.cat(fake_side)))
            found |= {"discriminator/accuracy": accuracy, "discriminator/probability": probability}
        if len(features) >= _FEWEST and self._spread > 0:
            spread = mean_distance(features)
            found["difference"] = energy(mean_distance(self._real, features), self._spread, spread)
            found["diversity"] = spread / self._spread
        if self.honest and len(features) >= _FEWEST:
            test = memorising(features, self._real, self._known)
            found |= {"memorising": test.value, "memorising/low": test.low or 0.0}
            found["memorising/chance"] = chance_of_no_copies(features, self._real, self._known)
        return found

    def _losses(self, model: Model) -> dict[str, float]:
        found = {}
        for name, rows in (("loss/training", self.training), ("loss/held_out", self.held)):
            draw = Draw(self.trainer.config.seed, ("diagnosis", "loss"), self.trainer.device)
            total = 0.0
            for pictures, labels in self._batches(rows):
                loss = model.validation_loss(Turn(pictures, labels, draw, self.trainer.step))
                if loss is None:
                    return {}
                total += loss.item() * len(pictures)
            found[name] = total / len(rows)
        return found

    @property
    def _batch(self) -> int:
        """What memory was planned for."""
        config = self.trainer.config
        return config.batch_size // (config.processes * config.accumulate)

    def _batches(self, rows: NDArray[np.int64]) -> Iterator[tuple[Tensor, Tensor | None]]:
        pictures, device = self.trainer.pictures, self.trainer.device
        for start in range(0, len(rows), self._batch):
            some = rows[start : start + self._batch]
            labels = None if pictures.labels is None else pictures.labels[some]
            yield to_tensor(pictures.pictures[some], device, self.trainer.channels_last), to_labels(labels, device)

    def _small(self, rows: NDArray[np.int64]) -> Array:
        return np.concatenate([shrunk(x) for x, _ in self._batches(rows)])


def _judge(model: Model, offered: list[str]) -> Judge | None:
    """What gives scores of pictures, high for real: the critic itself, since probabilities of its may all be 0 or 1."""
    if "criticises" in offered:
        return cast(Judge, can(model).critic)
    if "discriminates" not in offered:
        return None
    return lambda pictures, labels: torch.logit(can(model).discriminate(pictures, labels), 1e-7)


def can(model: Model) -> Any:
    """The model as what its capabilities say it is."""
    return model


def _some(trainer: Trainer, split: str, count: int) -> NDArray[np.int64]:
    """Rows of a split, drawn at random, since pictures of one class often lie side by side."""
    rows = trainer.pictures.splits[split]
    if len(rows) <= count:
        return rows
    return np.sort(rng.stream(trainer.config.seed, "diagnosis", split).choice(rows, count, replace=False))


def _numpy(values: Tensor) -> Array:
    return values.detach().float().cpu().double().numpy()


def shrunk_to(pictures: Tensor, side: int) -> Tensor:
    """Pictures [N, C, H, W] brought down to at most `side` pixels a side, by means over areas."""
    height, width = pictures.shape[2:]
    if max(height, width) <= side:
        return pictures
    scale = side / max(height, width)
    return functional.adaptive_avg_pool2d(
        pictures.float(), (max(1, round(height * scale)), max(1, round(width * scale)))
    )


def shrunk(pictures: Tensor) -> Array:
    """Pictures [N, C, H, W] as small ones [N, features]."""
    return _numpy(shrunk_to(pictures, _SIDE).flatten(1))


def mean_distance(x: Array, y: Array | None = None) -> float:
    """The mean Euclidean distance of a row of x and one of y; of two different rows of x where y is left out.

    0 of a single row.

    Example:
        >>> mean_distance(np.array([[0.0], [3.0]])), mean_distance(np.array([[0.0]]), np.array([[3.0], [5.0]]))
        (3.0, 4.0)
    """
    other = x if y is None else y
    squares = np.square(x).sum(1)[:, None] + np.square(other).sum(1) - 2 * x @ other.T
    if y is None:
        np.fill_diagonal(squares, 0)
    total = float(np.sqrt(np.clip(squares, 0, None)).sum())
    return total / (max(1, len(x) * (len(x) - 1)) if y is None else len(x) * len(other))


def chance_of_no_copies(generated: Array, held_out: Array, training: Array) -> float:
    """How probable it is, were nothing copied, that so few held-out pictures are the nearest to a generated one.

    Blurred pictures lie near to everything, also to training pictures; but only to those that it copies is a model
    nearer than to held-out ones. Without copies, of the N training and M held-out pictures that are nearest to some
    generated one a share of M / (N + M) is held out, and how many are is binomial. Each counts once, since a few smooth
    pictures may be the nearest to nearly all.

    Args:
        generated, held_out, training: features [K, D], [M, D], [N, D].

    Example:
        >>> training, held_out = np.arange(0.0, 80.0, 2)[:, None], np.arange(1.0, 81.0, 2)[:, None]
        >>> chance_of_no_copies(training, held_out, training) < 1e-9, chance_of_no_copies(held_out, held_out, training)
        (True, 1.0)
    """
    from scipy.stats import binom  # slow to import

    (theirs, far), (mine, near) = nearest(generated, held_out), nearest(generated, training)
    hits, others = len(np.unique(theirs[far < near])), len(np.unique(mine[near <= far]))
    return float(binom.cdf(hits, hits + others, len(held_out) / (len(held_out) + len(training))))


def energy(across: float, within_real: float, within_fake: float) -> float:
    """The energy distance of two sets as a share of its largest value, from 0 (the same distribution) to 1.

        H = (2 E|X - Y| - E|X - X'| - E|Y - Y'|) / (2 E|X - Y|)

    Székely and Rizzo (2013), "Energy statistics: a class of statistics based on distances", section 6. Noise may take
    it below 0.

    Example:
        >>> energy(4.0, 1.0, 1.0), energy(2.0, 2.0, 2.0)
        (0.75, 0.0)
    """
    return 1 - (within_real + within_fake) / (2 * across) if across > 0 else 0.0


def active_units(latents: Array, prior: Array) -> int:
    """How many latent units depend on the picture: Var_x(E[z|x]) > 0.01 times the variance of the prior.

    Burda, Grosse and Salakhutdinov (2016), "Importance weighted autoencoders", arXiv:1509.00519, section 5.1.

    Args:
        latents: what pictures are encoded to, [N, units].
        prior: latents drawn from the prior, [M, units].

    Example:
        >>> active_units(np.array([[0.0, 1.0], [0.05, -1.0]]), np.array([[1.0, 1.0], [-1.0, -1.0]]))
        1
    """
    return int((latents.var(0) > 0.01 * prior.var()).sum())


def told_apart(real: Array, fake: Array) -> tuple[float, float]:
    """How well a discriminator tells real pictures from generated ones, once its probabilities are calibrated.

    The scores become probabilities sigmoid(a score + b), fitted by Platt's method: Platt (1999), "Probabilistic outputs
    for support vector machines", with its targets that keep the fit finite. So a discriminator that is right but biased
    gets its due; one that takes generated pictures for real ones more often than real pictures knows nothing.

    Args:
        real, fake: scores [N] and [M] of being real, on any scale, such as the logits of probabilities.

    Returns:
        (accuracy with both kinds counting half, mean probability of the truth), each one half at the equilibrium.

    Example:
        >>> told_apart(np.array([9.0, 8.0]), np.array([7.0, 6.0]))[0]
        1.0
    """
    scores, truth = np.concatenate([real, fake]), np.repeat([1.0, 0.0], [len(real), len(fake)])
    if not np.isfinite(scores).all():
        return 0.5, 0.5
    slope, offset = platt(scores, truth)
    if slope <= 0 or not np.isfinite([slope, offset]).all():
        return 0.5, 0.5
    q = sigmoid(slope * scores + offset)
    right = np.where(truth > 0, q, 1 - q)
    halves = [right[truth == side] for side in (1, 0)]
    accuracy = float(np.mean([(half > 0.5).mean() for half in halves]))
    return accuracy, float(np.mean([half.mean() for half in halves]))
