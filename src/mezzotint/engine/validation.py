"""The best checkpoint and early stopping: by the model's own loss on held-out pictures, or by a quick score."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from mezzotint.core import rng
from mezzotint.core.errors import ConfigError, DataError
from mezzotint.data.output import to_uint8
from mezzotint.engine.callback import Callback
from mezzotint.engine.callbacks import Saver
from mezzotint.engine.capabilities import capabilities
from mezzotint.engine.config import BestBy
from mezzotint.engine.draw import Draw
from mezzotint.engine.feed import to_labels, to_tensor
from mezzotint.engine.model import Model
from mezzotint.engine.phase import Turn
from mezzotint.engine.probe import can, shrunk_to
from mezzotint.metrics.extractor import EXTRACTORS, Extractor
from mezzotint.metrics.frechet import frechet_distance
from mezzotint.metrics.kid import kernel_distance

if TYPE_CHECKING:
    from mezzotint.engine.loop import Trainer

By = Literal["loss", "frechet", "kid"]

_PICTURES = 256
_SIDE = 16
"""Pictures up to this size are compared as pixels: an extractor would see little more, and takes longer than they."""


def settle_best(asked: BestBy, model: Model) -> By | None:
    """What the best checkpoint goes by: the model's own validation loss when it has one, or else the kernel distance.

    Returns:
        None for a model that has no such loss and generates nothing.

    Raises:
        ConfigError: the model cannot be judged by what was asked for.
    """
    own = type(model).validation_loss is not Model.validation_loss
    samples = "samples" in capabilities(model)
    if asked == "auto":
        return "loss" if own else "kid" if samples else None
    if asked == "loss" and not own:
        raise ConfigError(f"{model.name} has no validation loss; set train.best_by to kid, frechet or auto.")
    if asked != "loss" and not samples:
        raise ConfigError(f"{model.name} generates no pictures to score; set train.best_by to loss or auto.")
    return asked


class QuickScore:
    """A distance between held-out and generated pictures that is quick enough for use while training.

    It compares moments of one training with each other and is no score to report: few pictures, and always the same.

    Args:
        by: the Fréchet distance, or the kernel distance, which is unbiased for few pictures too.
        count: held-out and generated pictures, each, at most.
    """

    def __init__(self, by: Literal["frechet", "kid"], count: int = _PICTURES) -> None:
        self.by, self.count = by, count
        self._extractor: Extractor | None = None
        self._real: Tensor | None = None

    def extractor(self, model: Model) -> Extractor:
        """The pixels for small pictures, our own embedded extractor for others."""
        if self._extractor is None:
            name = "pixels" if max(model.spec.height, model.spec.width) <= _SIDE else "mezzotint-1"
            try:
                self._extractor = EXTRACTORS.get(name).open()
            except DataError:  # its weights are not in this installation; what is taken is said, see `words`
                self._extractor = EXTRACTORS.get("pixels").open()
        return self._extractor

    def words(self, model: Model) -> str:
        """What is measured."""
        name = {"frechet": "the Fréchet distance", "kid": "the kernel distance"}[self.by]
        return f"{name} ({self.extractor(model).name}) of up to {self.count} generated to as many held-out pictures"

    def measure(self, trainer: Trainer, model: Model) -> float | None:
        """The distance now; None where fewer than two pictures are held out, or a generated one is not finite."""
        rows = trainer.pictures.splits["validation"]
        if len(rows) < 2:
            return None
        if len(rows) > self.count:
            rows = rng.stream(trainer.config.seed, "best").choice(rows, self.count, replace=False)
        labels = None if trainer.pictures.labels is None else trainer.pictures.labels[rows]
        marks = to_labels(labels, trainer.device)
        size = trainer.config.batch_size
        if self._real is None:
            stored = trainer.pictures.pictures
            parts = (to_tensor(stored[rows[start : start + size]]) for start in range(0, len(rows), size))
            self._real = torch.cat([self._features(model, part) for part in parts])
        found = []
        known = [None] * len(rows) if marks is None else marks.split(size)
        for z, mark in zip(can(model).latent(len(rows)).split(size), known, strict=False):
            fake = can(model).generate(z, mark)
            if not bool(torch.isfinite(fake).all()):
                return None
            found.append(self._features(model, fake))
        features = torch.cat(found)
        if self.by == "frechet":
            return frechet_distance(self._real, features, interval=False).value
        return kernel_distance(self._real, features).value

    def _features(self, model: Model, pictures: Tensor) -> Tensor:
        extractor = self.extractor(model)
        if extractor.name == "pixels":
            pictures = shrunk_to(pictures, _SIDE)  # or a Fréchet distance would take seconds
        packed = torch.from_numpy(to_uint8(pictures.float().cpu().numpy()))
        return extractor(packed.permute(0, 3, 1, 2).contiguous()).features


class Validation(Callback):
    """Measures on held-out pictures, keeps the best round, and stops when nothing better comes.

    Args:
        saver: keeps the best round; None only measures.
        every: rounds between two measurements.
        patience: stop after this many measurements in a row without a new best; 0 never does.
        limit: at most so many held-out pictures, for the model's own loss.
        score: what is measured instead of the model's own loss.
        tell: told what the best goes by.
    """

    def __init__(
        self,
        saver: Saver | None,
        every: int,
        patience: int,
        limit: int = 1024,
        *,
        score: QuickScore | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.saver, self.every, self.patience, self.limit = saver, every, patience, limit
        self.score, self.tell = score, tell
        self.by = "loss"
        self.best = math.inf
        self.waited = 0

    def on_start(self, trainer: Trainer) -> None:
        words, by = "the model's own loss on held-out pictures", "loss"
        if self.score is not None:
            words = self.score.words(trainer.model)
            by = f"{self.score.by} {self.score.extractor(trainer.model).digest}"
        if by != self.by:  # of another measure, so that it compares with nothing
            self.best, self.waited, self.by = math.inf, 0, by
        if self.tell is not None and self.every and len(trainer.pictures.splits["validation"]):
            stop = f", and training stops after {self.patience} in a row without a better one" if self.patience else ""
            self.tell(f"Best checkpoint: by {words}, every {self.every:,} steps{stop}.")

    def on_round(self, trainer: Trainer) -> None:
        if not self.every or trainer.step % self.every:
            return
        value = self.measure(trainer)
        if value is None:
            return
        name = "loss" if self.score is None else self.score.by
        trainer.losses[f"validation/{name}"] = torch.tensor(value)
        if value < self.best:
            self.best, self.waited = value, 0
            if self.saver is not None:
                with trainer.using() as model:  # somebody will use it as it is
                    model.finish(trainer.held_out)
                self.saver.save(trainer, again=True, best=True)
                trainer.model.start()
        else:
            self.waited += 1
            if self.patience and self.waited >= self.patience:
                trainer.stop_reason = f"{self.waited} validations in a row brought nothing better"

    def measure(self, trainer: Trainer) -> float | None:
        """The validation loss or score now, or None when the model has none or nothing is held out."""
        if not len(trainer.pictures.splits["validation"]):
            return None
        if self.score is not None:
            with trainer.using() as model:
                return self.score.measure(trainer, model)
        return self._loss(trainer)

    def _loss(self, trainer: Trainer) -> float | None:
        count = min(len(trainer.pictures.splits["validation"]), self.limit)
        size, total = trainer.config.batch_size, 0.0
        with trainer.using() as model:
            draw = Draw(trainer.config.seed, ("validation",), trainer.device)
            for start in range(0, count, size):  # a batch at a time, which is what memory was planned for
                pictures, labels = trainer.held_out(min(size, count - start), start)
                loss = model.validation_loss(Turn(pictures, labels, draw, trainer.step))
                if loss is None:
                    return None
                total += loss.item() * len(pictures)
        return total / count

    def state(self) -> dict[str, Any]:
        return {"best": self.best if math.isfinite(self.best) else None, "waited": self.waited, "by": self.by}

    def load(self, state: dict[str, Any]) -> None:
        best = state.get("best")
        self.best = math.inf if best is None else best
        self.waited = state.get("waited", 0)
        self.by = state.get("by", "loss")
