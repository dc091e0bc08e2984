"""Training, from a person's words to a run folder."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mezzotint.core.config import merge
from mezzotint.core.errors import CheckpointError, DataError, Interrupted, MezzotintError, TrainingError
from mezzotint.data.types import PictureSet
from mezzotint.engine.balancing import Balancing, wanted
from mezzotint.engine.callback import Callback
from mezzotint.engine.callbacks import Interrupts, JsonLog, Previews, Saver, TensorBoard, TimeBudget
from mezzotint.engine.checkpoint import Checkpoint
from mezzotint.engine.compiling import compile_networks, require_compiler
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.device import keep_freed_memory
from mezzotint.engine.diagnosing import Diagnosis
from mezzotint.engine.folder import RunFolder, next_free
from mezzotint.engine.loop import Trainer
from mezzotint.engine.parallel import Parallel, check_processes, launch
from mezzotint.engine.progress import ProgressBar, counting
from mezzotint.engine.recipe import Recipe
from mezzotint.engine.validation import QuickScore, Validation, settle_best
from mezzotint.tasks._advice import on_validation
from mezzotint.tasks._folders import refuse_file
from mezzotint.tasks._sources import open_source
from mezzotint.tasks.card import write_card
from mezzotint.tasks.prepare import Prepared, Tell, prepare, settle
from mezzotint.tasks.report import write_report
from mezzotint.tasks.run import Run, load


def train(
    model: str,
    source: Any,
    *,
    out: str | Path | None = None,
    size: int | tuple[int, int] | None = None,
    config: str | Path | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    auto: bool | None = None,
    quiet: bool = False,
    tell: Tell | None = None,
    **options: Any,
) -> Run:
    """Train a model on pictures and return the run.

    Args:
        model: a registered name, such as "dcgan" or "vae".
        source: a folder, zip, tar, npz, idx or CIFAR file, a named set ("digits", "mnist"), or an array [N, H, W, C]
            uint8.
        out: the run folder to make; runs/<model>-<source> when left out.
        size: height and width in pixels; needed unless all pictures have one size.
        config: a .json or .toml file with sections model, data and train; or a run (its folder or its config.json),
            whose settings are taken again.
        settings: the same sections as values; they win over the file.
        auto: let the model choose what is not given, by the pictures' number and size and by the device, and say so;
            None does so where the model can, as "gan" does.
        quiet: no progress bar.
        tell: called with sentences a person should read; printed when left out, unless quiet.
        options: any setting of `TrainConfig`: steps, minutes, batch_size, seed, device, precision ...

    Raises:
        ConfigError, DataError: something given is wrong.
        Interrupted: stopped by Ctrl-C or SIGTERM; a resumable checkpoint is left.
        TrainingError: a loss became infinite, or the disk failed.

    Example:
        >>> import mezzotint as mz, tempfile
        >>> run = mz.train("dcgan", "digits", steps=2, out=tempfile.mkdtemp() + "/a", quiet=True)
        >>> run.step
        2
    """
    tell = tell or ((lambda text: None) if quiet else print)
    if out is not None:
        refuse_file(Path(out), "Runs")
        RunFolder.check_free(Path(out))
    asked = {"train": options, "data": {} if size is None else {"size": size}}
    with counting("Reading pictures", quiet) as progress:
        prepared = prepare(
            model, source, config=config, settings=merge(settings or {}, asked), auto=auto, progress=progress, tell=tell
        )
    for note in (*prepared.pictures.notes, *prepared.chosen):
        tell(note)
    if prepared.pictures.bad:
        tell(f"{len(prepared.pictures.bad)} files were left out; mezzotint data check lists them.")
    prepared, why = settle(prepared)
    tell(why)
    path = Path(out) if out is not None else next_free(Path("runs"), f"{model}-{_stem(prepared.pictures.source)}")
    RunFolder.create(path, prepared.recipe)
    return _go(path, prepared, source, quiet, tell)


def resume(
    path: str | Path,
    *,
    source: Any = None,
    steps: int | None = None,
    minutes: float | None = None,
    quiet: bool = False,
    tell: Tell | None = None,
    **options: Any,
) -> Run:
    """Go on exactly where a run stopped.

    Args:
        path: the run folder.
        source: where the pictures are now, if they have moved; they must be the same pictures.
        steps: rounds in all, earlier ones counted; a schedule ends where it was to, unless `schedule_steps` is given.
        minutes: minutes in all, earlier ones counted.
        quiet, tell: as in `train`.
        options: other settings of `TrainConfig` to change; training is then no longer bit for bit what it would be.

    Raises:
        CheckpointError: the folder holds no run, or the pictures are others than those trained on.
    """
    tell = tell or ((lambda text: None) if quiet else print)
    keep_freed_memory()
    folder, recipe = RunFolder.open(Path(path))
    changes = dict(options)
    if steps is not None or minutes is not None:
        # The schedule's end was settled when the run began; a longer run does not bend what lies behind it.
        changes |= {"steps": steps, "minutes": minutes}
        changes.setdefault("schedule_steps", recipe.train.schedule_steps or recipe.train.steps or steps)
    recipe = recipe.with_train(**changes)
    if steps is not None or minutes is not None:
        _say_of_schedule(recipe.train, tell)
    device = recipe.device(recipe.train.device)
    check_processes(recipe.train.processes, device)
    if recipe.train.compile == "on":
        require_compiler(device)
    pictures = _same_pictures(path, recipe, source, quiet, tell)
    if source is not None:
        recipe = replace(recipe, summary=replace(recipe.summary, source=pictures.source))
    at = _latest(folder, recipe, tell)
    if at is not None:
        steps_up = recipe.train.steps is not None and at.step >= recipe.train.steps
        minutes_up = recipe.train.minutes is not None and at.state["seconds"] >= 60 * recipe.train.minutes
        if steps_up or minutes_up:
            more = "--steps" if steps_up else "--minutes"
            tell(f"{path} has done its {at.step} steps already; ask for more with {more}.")
            return load(path)
    prepared = Prepared(recipe, pictures, recipe.build(), device)
    if at is not None and recipe.fit_over(prepared.model, int(at.state["examples"])):
        tell(f"{path} has looked at all pictures as often as its model does; there is no more to fit.")
        return load(path)
    return _go(folder.path, prepared, recipe.summary.source if source is None else source, quiet, tell)


def _say_of_schedule(train: TrainConfig, tell: Tell) -> None:
    end, steps = train.schedule_steps, train.steps
    if train.schedule != "constant" and end is not None and (steps is None or steps > end):
        tell(
            f"The learning rate is 0 from step {end:,} on, where the {train.schedule} schedule ends; to let it fall "
            f"over the longer run, add --set train.schedule_steps={steps or 2 * end} (in Python schedule_steps=...)."
        )


def _same_pictures(path: str | Path, recipe: Recipe, source: Any, quiet: bool, tell: Tell) -> PictureSet:
    """The pictures that a run was trained on, wherever they are now."""
    place = recipe.summary.source if source is None else source
    with counting("Reading pictures", quiet) as progress:
        try:
            pictures = open_source(place, recipe.data, progress=progress, notify=tell)
        except DataError as error:
            if source is not None or Path(place).exists():
                raise
            raise DataError(
                f"The pictures that {path} was trained on are no longer at {place}; say where they are with --source "
                f"(in Python source=...)."
            ) from error
    if pictures.fingerprint != recipe.summary.fingerprint:
        raise CheckpointError(
            f"{pictures.source} no longer holds the pictures that {path} was trained on, so it cannot go on exactly; "
            "restore them, or name their new place, or start a new run."
        )
    return pictures


def _latest(folder: RunFolder, recipe: Recipe, tell: Tell) -> Checkpoint | None:
    """The checkpoint to go on from; None for a run that was stopped before it saved its first.

    Raises:
        CheckpointError: there were checkpoints, and none is whole.
    """
    if folder.store.steps():
        at = folder.store.load("latest")
        for warning in at.warnings:
            tell(warning)
        return at
    came_to = folder.last_logged()
    if folder.store.remains() or came_to >= recipe.train.save_every:
        raise CheckpointError(
            f"{folder.path} has come to step {came_to:,} at least, but none of its checkpoints is whole any more; "
            f"restore {folder.path / 'checkpoints'} from a copy, or begin a new run with another --out."
        )
    tell(f"{folder.path} was stopped before its first checkpoint, so it begins again.")
    return None


def _go(path: Path, prepared: Prepared, source: Any, quiet: bool, tell: Tell) -> Run:
    processes = prepared.recipe.train.processes
    given = prepared if processes == 1 else prepared.recipe
    try:
        launch(
            processes,
            prepared.device.type,
            partial(_work, path, given, source, quiet, tell if processes == 1 else None),
        )
    except (Interrupted, TrainingError):
        # The run explains itself all the same, but nobody who wants to stop shall wait for scores, or miss our error.
        with contextlib.suppress(MezzotintError, KeyboardInterrupt):
            run = load(path, device=str(prepared.device))
            write_card(run, prepared.pictures, scores=False)
            write_report(run, prepared.pictures, {}, draw=False)
        raise
    run = load(path, device=str(prepared.device))
    own = write_card(run, prepared.pictures)
    write_report(run, prepared.pictures, own, quick=True)
    advice = on_validation(run)
    if advice is not None:
        tell(advice)
    for finding in run.findings:
        tell(f"At the end: {finding.sentence} {finding.advice}")
    return run


def _work(
    path: Path, given: Prepared | Recipe, source: Any, quiet: bool, tell: Tell | None, parallel: Parallel
) -> None:
    """What every process does. In several, each opens the pictures (from the cache) and builds the model itself."""
    if isinstance(given, Recipe):
        keep_freed_memory()
        pictures = open_source(source, given.data)
        given = Prepared(given, pictures, given.build(), parallel.device or given.device(given.train.device))
    folder = RunFolder(path, given.recipe.train.keep)
    interrupts = Interrupts(quiet or parallel.rank > 0)
    callbacks: list[Callback] = [interrupts]
    if given.recipe.train.minutes is not None:
        callbacks.append(TimeBudget(given.recipe.train.minutes))
    if wanted(given.model, given.recipe.train.balance_every, given.recipe.train.stop_at_half):
        callbacks.append(Balancing(given.recipe.train.balance_every, given.recipe.train.stop_at_half))
    if parallel.rank == 0:
        # What asks to stop comes first, so that the others know it in the same round.
        callbacks += _callbacks(folder, given, quiet, tell or ((lambda text: None) if quiet else print))
    trainer = Trainer(
        given.model,
        given.pictures,
        given.recipe.train,
        given.device,
        parallel=parallel,
        callbacks=callbacks,
        flip=given.recipe.data.flip,
    )
    if folder.store.steps():
        checkpoint = folder.store.load("latest")
        trainer.restore(checkpoint.tensors, checkpoint.state)
    if parallel.rank == 0:
        folder.write(given.recipe)  # what a resume changes stands only once its start has succeeded
    if given.recipe.train.compile == "on":
        compile_networks(trainer.model)
    trainer.run()
    parallel.barrier()
    if interrupts.interrupted:
        raise Interrupted(
            f"Stopped after step {trainer.step}; nothing is lost. Go on with mezzotint train --resume {path}."
        )


def _callbacks(folder: RunFolder, given: Prepared, quiet: bool, tell: Tell) -> list[Callback]:
    """What the first process does beside training."""
    recipe, train = given.recipe, given.recipe.train
    saver = Saver(folder.store, train.save_every, train.save_minutes)
    by = settle_best(train.best_by, given.model)
    callbacks: list[Callback] = []
    if train.diagnose_every != 0:
        options = {"model": recipe.model.to_json(), "train": train.to_json(), "data": recipe.data.to_json()}
        callbacks.append(Diagnosis(folder.diagnosis, options, train.diagnose_every, tell))
    if by is not None:
        score = None if by == "loss" else QuickScore(by)
        callbacks.append(Validation(saver, train.validate_every, train.patience, score=score, tell=tell))
    callbacks += [
        saver,
        JsonLog(folder.log, train.log_every),
        Previews(folder.pictures, train.preview_every, train.preview_count),
    ]
    if train.tensorboard:
        callbacks.append(TensorBoard(folder.path / "tensorboard", train.log_every))
    if not quiet:
        callbacks.append(ProgressBar(recipe.name))
    return callbacks


def _stem(source: str) -> str:
    name = Path(source).resolve().name if Path(source).exists() else source
    return name.split(".")[0] or "pictures"
