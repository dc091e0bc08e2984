"""The training loop. There is one, and it knows phases, never models."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mezzotint.core import rng
from mezzotint.core.errors import CheckpointError, ConfigError, MezzotintError
from mezzotint.data.types import PictureSet
from mezzotint.engine.callback import Callback
from mezzotint.engine.compiling import uncompiled
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.device import autocast, deterministic, lays_channels_last, seed_torch
from mezzotint.engine.draw import Draw
from mezzotint.engine.ema import EMA
from mezzotint.engine.feed import Part, parts_of, to_labels, to_tensor
from mezzotint.engine.finite import check_gradient, check_loss
from mezzotint.engine.fitting import Fitting
from mezzotint.engine.model import Model
from mezzotint.engine.optim import lr_factor
from mezzotint.engine.parallel import Alone, Parallel
from mezzotint.engine.phase import Phase, Terms, Turn
from mezzotint.engine.player import Player
from mezzotint.engine.ways import evenly
from mezzotint.engine.weights import ANOTHER, below, load_model_tensors, to_channels_last
from mezzotint.nn.fastconv import quicken
from mezzotint.nn.norm import estimated, has_statistics


class Trainer:
    """Plays rounds of a model's phases on a set of pictures.

    Everything random in round k is a function of the seed and k, and the position in the data is a number, so
    `tensors()` and `state()` are all there is to remember: restored, training goes on bit for bit.

    Args:
        model: what is trained; it is moved to `device`.
        pictures: the whole set; the loop reads its train split.
        config: how.
        device: where; `precision` must be settled in `config` ("auto" counts as fp32 here).
        parallel: the other processes, if any.
        callbacks: called around rounds, in this order.
        flip: mirror half of the training pictures.
    """

    def __init__(
        self,
        model: Model,
        pictures: PictureSet,
        config: TrainConfig,
        device: torch.device,
        *,
        parallel: Parallel | None = None,
        callbacks: Sequence[Callback] = (),
        flip: bool = False,
    ) -> None:
        self.config, self.device = config, device
        self.parallel = parallel or Alone()
        self.callbacks = list(callbacks)
        self.model = model.to(device)
        quicken(model)
        self.channels_last = config.channels_last and lays_channels_last(device)
        if self.channels_last:
            to_channels_last(model)
        self.pictures = pictures
        self.batches = model.order(pictures, config.batch_size, config.seed, flip, rows=pictures.splits["train"])
        self._check_parts(self.batches.together)
        with torch.no_grad():
            model.begin(self.training)  # where a checkpoint follows, `restore` has the last word
        self.players = [Player(phase, model) for phase in model.phases()]
        self.fitting = Fitting(model.passes(), len(self.batches), config.batch_size)
        self.ema: EMA | None = None
        if config.ema and model.averaged:
            rehearses = type(model).rehearse is not Model.rehearse and has_statistics(self._averaged())
            self.ema = EMA(model, model.averaged, config.ema, config.ema_every, self._rehearse if rehearses else None)
        self.step = 0
        self.examples = 0
        self.seconds = 0.0
        self.losses: dict[str, Tensor] = {}
        self.stop_reason: str | None = None
        self._lr = 1.0
        self._batch: list[Part] = []
        self._serial = 0
        self._kept: tuple[Callable[[Turn], Any], Any] | None = None

    def _check_parts(self, together: int) -> None:
        """No part of a batch that is looked at by itself divides pictures that belong together."""
        parts = self.parallel.world * self.config.accumulate
        if self.config.batch_size // parts % together:
            raise ConfigError(
                f"A batch of {self.config.batch_size} in {parts} parts leaves a part without as many pictures of each "
                f"of the {together} domains; use --batch-size {together * parts}, or a multiple of it."
            )

    # The loop ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Train until the steps are done or a callback asks to stop.

        Raises:
            TrainingError: a loss is not a finite number; nothing was updated with it.
        """
        self.model.start()
        self.model.train()
        gpus = [self.device] if self.device.type == "cuda" else []
        # The caller's random numbers are kept, since rounds seed torch anew.
        with torch.random.fork_rng(devices=gpus), ExitStack() as closing:
            closing.enter_context(deterministic(self.device, self.config.deterministic))
            for callback in self.callbacks:
                callback.on_start(self)
                closing.callback(callback.on_close, self)
            try:
                self._rounds()
            except MezzotintError as error:
                for callback in self.callbacks:
                    callback.on_error(self, error)
                raise
            with self.using() as model:
                model.finish(self.held_out)
            for callback in self.callbacks:
                callback.on_finish(self)

    def _rounds(self) -> None:
        started, before = time.perf_counter(), self.seconds
        while not self.done:
            self.round()
            self.seconds = before + time.perf_counter() - started
            for callback in self.callbacks:
                callback.on_round(self)
            if self.parallel.world > 1 and self.parallel.agree(self.stop_reason is not None):
                self.stop_reason = self.stop_reason or "another process stopped"

    @property
    def done(self) -> bool:
        """Whether no round follows: the steps or the passes are done, or something asked to stop."""
        steps_up = self.config.steps is not None and self.step >= self.config.steps
        return self.stop_reason is not None or steps_up or self.fitting.over(self.examples)

    def round(self) -> None:
        """One round: every phase takes its turns; of a model that is fitted, one batch of a pass."""
        if self.fitting:
            self._look()
            return
        self._kept, self._serial = None, -1
        factor = lr_factor(self.config, self.step)
        if factor != self._lr:
            self._set_lr(factor)
        playing = [player for player in self.players if self.step % player.phase.every == 0]
        for place, player in enumerate(playing):
            following = playing[place + 1].phase.prepare if place + 1 < len(playing) else None
            turns = player.phase.turns()
            for turn in range(turns):
                if turn > 0 or place == 0:
                    self._next_batch()
                last = turn == turns - 1
                self._update(
                    player, turn, hands_on=last and following is not None and following == player.phase.prepare
                )
        self.step += 1
        if self.ema is not None:
            self.ema.update(self.step)

    def _look(self) -> None:
        """The next batch of a pass, and the end of the pass if it was the last; after all passes, nothing."""
        if self.fitting.over(self.examples):
            self.step += 1
            return
        now, size = self.fitting.now(self.examples), self.fitting.size(self.examples)
        raw = self.batches.at(self.examples, size)
        pictures, labels = to_tensor(raw.pictures, self.device), to_labels(raw.labels, self.device)
        turn = Turn(pictures, labels, self._draw(("fit", self.step), 0), self.step)
        with torch.no_grad():
            for name, value in now.see(turn).items():
                self.losses[f"{now.name}/{name}"] = value
            self.examples += size
            if self.fitting.closes(self.examples):
                self.examples = self.fitting.after(self.examples, now.close())
        self.step += 1

    def _update(self, player: Player, turn_number: int, hands_on: bool) -> None:
        """One turn of one player: gradients for its own networks only, loss, finite check, backward, step."""
        phase, accumulate = player.phase, self.config.accumulate
        _allow(player.parameters, player.others)
        player.forget()
        for part, (pictures, labels, targets) in enumerate(self._batch):
            path = ("train", self.step, phase.name, turn_number)
            seed_torch(self.device, rng.derive(self.config.seed, *path, part, self.parallel.rank))
            turn = Turn(pictures, labels, self._draw(path, part), self.step, targets=targets)
            with autocast(self.device, self.config.precision):
                if phase.prepare is not None:
                    turn.prepared = self._prepare(player, phase.prepare, turn, part, hands_on)
                terms = phase.loss(turn)
                total = torch.stack(tuple(terms.values())).sum() if len(terms) > 1 else next(iter(terms.values()))
            check_loss(phase, terms, total, self.step)
            self._note(phase, part, turn, terms)
            (total / accumulate if accumulate > 1 else total).backward()
        self.parallel.average(player.parameters)
        check_gradient(phase, player.parameters, self.step, self.config.clip_norm)
        player.step()
        if phase.after is not None:
            phase.after()

    def _note(self, phase: Phase, part: int, turn: Turn, terms: Terms) -> None:
        """Keep the terms for the log; those of a batch in parts are averaged."""
        for name, value in (*terms.items(), *turn.notes.items()):
            key, mine = f"{phase.name}/{name}", value.detach()
            if self.config.accumulate > 1:
                mine = mine / self.config.accumulate + (self.losses.get(key, 0) if part else 0)
            self.losses[key] = mine

    def _prepare(self, player: Player, prepare: Callable[[Turn], Any], turn: Turn, part: int, hands_on: bool) -> Any:
        """The phase's prepared work, or the phase before's, when it did the same on the same batch."""
        if self._kept is not None and self._kept[0] == prepare:
            prepared = self._kept[1]
            self._kept = None
            return prepared
        # Its own stream, named by the batch: computed again for the same batch it draws the same numbers.
        draw = self._draw(("prepare", self.step, self._serial), part)
        own = Turn(turn.pictures, turn.labels, draw, self.step, targets=turn.targets)
        # Graphs of several parts would hold all their memory, which is what accumulation is there to avoid.
        keep = hands_on and self.config.accumulate == 1
        if keep:
            _allow(player.others, ())
        prepared = prepare(own)
        if keep:
            self._kept = (prepare, prepared)
            _allow(player.parameters, player.others)
        return prepared

    def _next_batch(self) -> None:
        """Read this process's share of the next batch, cut into `accumulate` parts."""
        share = self.config.batch_size // self.parallel.world
        size = share // self.config.accumulate
        raw = self.batches.at(self.examples + self.parallel.rank * share, share)
        self._batch = parts_of(raw, size, self.device, self.channels_last)
        self.examples += self.config.batch_size
        self._serial += 1

    def _draw(self, path: Sequence[str | int], part: int) -> Draw:
        parts = self.config.accumulate
        return Draw(self.config.seed, path, self.device, self.parallel.rank * parts + part, self.parallel.world * parts)

    def _set_lr(self, factor: float) -> None:
        self._lr = factor
        for player in self.players:
            for group in player.optimizer.param_groups:
                group["lr"] = player.phase.optimizer.lr * factor

    def _rehearse(self) -> None:
        """Statistics of batch normalisations for the averaged weights, which are in place."""
        training = self.model.training
        self.model.eval()
        with torch.no_grad(), uncompiled(self.model), estimated(self._averaged()):
            self.model.rehearse(self.training)
        self.model.train(training)

    def _averaged(self) -> nn.ModuleList:
        return nn.ModuleList(self.model.get_submodule(name) for name in self.model.averaged)

    # Looking at it ----------------------------------------------------------------------------------------------

    @contextmanager
    def using(self, averaged: bool = True) -> Iterator[Model]:
        """The model as it will be used: averaged weights, evaluation mode, no gradients.

        Args:
            averaged: False takes the weights that are being trained.
        """
        self.model.eval()
        weights = self.ema.applied() if averaged and self.ema is not None else nullcontext()
        try:
            with weights, torch.no_grad(), uncompiled(self.model):
                yield self.model
        finally:
            self.model.train()

    def held_out(self, n: int, start: int = 0, spread: bool = False) -> tuple[Tensor, Tensor | None]:
        """Up to `n` pictures of the validation split, from the one at `start`; of the training split if it is empty.

        Args:
            n: how many.
            start: the first; the others follow it.
            spread: take them from the whole split evenly, and so from all classes.
        """
        rows = self.pictures.splits["validation"]
        rows = rows if len(rows) else self.pictures.splits["train"]
        return self._tensors(rows[evenly(len(rows), n)] if spread else rows[start : start + n])

    def training(self, n: int) -> tuple[Tensor, Tensor | None]:
        """Up to `n` pictures of the training split, drawn by the seed."""
        rows = self.pictures.splits["train"]
        return self._tensors(rows[rng.stream(self.config.seed, "training").permutation(len(rows))[:n]])

    def _tensors(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor | None]:
        labels = None if self.pictures.labels is None else self.pictures.labels[rows]
        pictures = to_tensor(self.pictures.pictures[rows], self.device, self.channels_last)
        return pictures, to_labels(labels, self.device)

    # What a checkpoint holds ------------------------------------------------------------------------------------

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor that training depends on, by name."""
        tensors = {f"model/{key}": value for key, value in self.model.state_dict().items()}
        if self.ema is not None:
            tensors |= {f"ema/{key}": value for key, value in self.ema.tensors().items()}
        for player in self.players:
            tensors |= {f"optimizer/{player.phase.name}/{key}": value for key, value in player.tensors().items()}
        return tensors

    def state(self) -> dict[str, Any]:
        """Everything else, as JSON values."""
        callbacks = {type(callback).__name__: callback.state() for callback in self.callbacks}
        return {
            "step": self.step,
            "examples": self.examples,
            "seconds": self.seconds,
            "callbacks": {name: value for name, value in callbacks.items() if value},
        }

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """The inverse of `tensors` and `state`.

        Raises:
            CheckpointError: they belong to another model or other settings.
        """
        load_model_tensors(self.model, below("model/", tensors))
        if self.ema is not None:
            self.ema.load(below("ema/", tensors))
        try:
            step, examples, seconds = int(state["step"]), int(state["examples"]), float(state["seconds"])
            remembered = dict(state.get("callbacks", {}))
        except (KeyError, TypeError, ValueError):
            raise CheckpointError(
                "The checkpoint does not say at which step it was made; take an earlier checkpoint."
            ) from None
        known = ("model/", "ema/", *(f"optimizer/{player.phase.name}/" for player in self.players))
        strange = next((key for key in tensors if not key.startswith(known)), None)
        if strange is not None:
            raise CheckpointError(f'The checkpoint has "{strange}", which this model lacks; {ANOTHER}')
        for player in self.players:
            player.load(below(f"optimizer/{player.phase.name}/", tensors), begun=step > 0)
        self.step, self.examples, self.seconds = step, examples, seconds
        for callback in self.callbacks:
            callback.load(remembered.get(type(callback).__name__, {}))


def _allow(yes: Sequence[nn.Parameter], no: Sequence[nn.Parameter]) -> None:
    for parameter in yes:
        parameter.requires_grad_(True)
    for parameter in no:
        parameter.requires_grad_(False)
