"""Findings in words: each on a training made sick on purpose, and none on healthy ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mezzotint.core.errors import DataError, NotFinite
from mezzotint.data.open import open_pictures
from mezzotint.data.types import DataConfig, PictureSet
from mezzotint.engine.diagnosing import Diagnosis, Pace, read_findings
from mezzotint.engine.diagnosis import NAMES, Finding, Moment, judge, said_at_the_end, stopped
from mezzotint.engine.loop import Trainer
from mezzotint.engine.model import MODELS
from mezzotint.engine.phase import Terms, Turn
from mezzotint.engine.probe import chance_of_no_copies
from mezzotint.metrics.neighbours import memorising
from mezzotint.testing._make import make_pictures, make_trainer, same_tensors

Hack = Callable[[Trainer], None]


@pytest.fixture(scope="module")
def digits() -> PictureSet:
    return open_pictures("digits", DataConfig())


def trained(
    name: str, pictures: PictureSet, folder: Path, steps: int, every: int, hack: Hack | None = None, **options: Any
) -> list[Finding]:
    """What is told while a tiny model trains."""
    trainer = make_trainer(MODELS.get(name), pictures, steps=steps, batch_size=32, **options)
    if hack is not None:
        hack(trainer)
    options = {"model": trainer.model.config.to_json(), "train": trainer.config.to_json()}
    told: list[str] = []
    diagnosis = Diagnosis(folder / "diagnosis.jsonl", options, every, told.append)
    trainer.callbacks = [diagnosis]
    trainer.run()
    lines = [json.loads(line) for line in (folder / "diagnosis.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(every, steps + 1, every))
    found: dict[str, Finding] = {}
    for line in lines:
        for each in line["findings"]:
            found.setdefault(each["name"], Finding.from_json(each))
    said = [f"Step {each.step:,}: {each.sentence} {each.advice}" for each in found.values()]
    assert told == said, "each is told once, when it first counts"
    return list(found.values())


def standing_still(phase: str) -> Hack:
    def hack(trainer: Trainer) -> None:
        player = next(player for player in trainer.players if player.phase.name == phase)
        for group in player.optimizer.param_groups:
            group["lr"] = 0.0

    return hack


# Sick on purpose ------------------------------------------------------------------------------------------------------


def test_a_generator_that_does_not_learn_loses(digits: PictureSet, tmp_path: Path) -> None:
    found = {each.name: each for each in trained("dcgan", digits, tmp_path, 240, 30, standing_still("generator"))}
    said = found["discriminator-wins"]
    assert "100%" in said.sentence
    assert "--set model.discriminator_width=4 or --set model.lr=0.0001" in said.advice


def test_a_discriminator_that_does_not_learn_loses(digits: PictureSet, tmp_path: Path) -> None:
    found = trained("dcgan", digits, tmp_path, 240, 30, standing_still("discriminator"))
    assert "discriminator-loses" in {each.name for each in found}
    assert "discriminator-wins" not in {each.name for each in found}


def test_a_generator_that_ignores_its_latent_has_collapsed(digits: PictureSet, tmp_path: Path) -> None:
    def hack(trainer: Trainer) -> None:
        generator: torch.nn.Module = trainer.model.generator  # type: ignore[assignment]
        generator.register_forward_pre_hook(lambda module, given: (given[0] * 0, *given[1:]))

    found = {each.name: each for each in trained("dcgan", digits, tmp_path, 160, 20, hack)}
    assert "are 0% as far apart as two real ones" in found["collapse"].sentence


def test_a_heavy_kl_empties_the_latent(digits: PictureSet, tmp_path: Path) -> None:
    def hack(trainer: Trainer) -> None:
        player = trainer.players[0]
        loss = player.phase.loss

        def heavy(turn: Turn) -> Terms:
            return {name: term * (100 if name == "kl" else 1) for name, term in loss(turn).items()}

        player.phase = replace(player.phase, loss=heavy)

    found = {each.name: each for each in trained("vae", digits, tmp_path, 240, 30, hack)}
    assert "0 of its 4 units depend on the picture, and the KL divergence is" in found["posterior-collapse"].sentence
    assert "posterior-collapse" in found
    assert "train.warmup" in found["posterior-collapse"].advice


def test_twenty_pictures_are_learned_by_heart(digits: PictureSet, tmp_path: Path) -> None:
    few = replace(digits, splits={**digits.splits, "train": digits.splits["train"][:20]})

    def hack(trainer: Trainer) -> None:
        for group in trainer.players[0].optimizer.param_groups:
            group["lr"] = 5e-3

    found = {each.name: each for each in trained("vae", few, tmp_path, 600, 60, hack)}
    assert {"memorising", "overfitting"} <= found.keys()
    assert "--checkpoint best" in found["overfitting"].advice


@pytest.mark.parametrize("every", [2, 5])
def test_a_loss_that_is_no_number_is_a_finding(tmp_path: Path, every: int) -> None:
    trainer = make_trainer(MODELS.get("vae"), make_pictures(), steps=9)
    player = trainer.players[0]
    loss = player.phase.loss
    player.phase = replace(
        player.phase, loss=lambda turn: {**loss(turn), "kl": torch.tensor(torch.nan if turn.step == 5 else 0.0)}
    )
    trainer.callbacks = [Diagnosis(tmp_path / "diagnosis.jsonl", {}, every)]
    with pytest.raises(NotFinite):
        trainer.run()
    (last,) = (each for each in read_findings(tmp_path / "diagnosis.jsonl").now if each.name == "stopped-nan")
    assert last.step == 5
    assert last.sentence == 'The term "kl" of phase "vae" became nan in step 5.'
    assert last.advice.startswith("A lower learning rate, --set train.clip_norm=1")
    lines = [json.loads(line) for line in (tmp_path / "diagnosis.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == {2: [2, 4, 5], 5: [5]}[every], "a step has one line"
    assert bool(lines[-1]["measures"]) == (every == 5)


def test_few_held_out_pictures_are_said(tmp_path: Path) -> None:
    found = trained("vae", make_pictures(), tmp_path, 4, 1)
    assert [each.sentence[:26] for each in found] == ["6 pictures are held out: t"]
    assert found[0].step == 2, "it counts from the second time on"


# Healthy --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "steps"), [("dcgan", 450), ("vae", 300)])
def test_healthy_trainings_are_left_alone(digits: PictureSet, tmp_path: Path, name: str, steps: int) -> None:
    assert trained(name, digits, tmp_path, steps, steps // 15) == []


def course(name: str, *values: float, **others: float) -> list[Moment]:
    return [Moment(100 * (k + 1), {name: value, **others}) for k, value in enumerate(values)]


FAR = {"discriminator/accuracy": 1.0, "discriminator/probability": 0.99}


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        (course("difference", 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, **FAR), ["discriminator-wins"]),
        (course("difference", 0.5, 0.45, 0.4, 0.35, 0.3, 0.25, **FAR), []),  # it wins, and the generator learns
        (course("difference", 0.5, 0.5, 0.5, 0.5, **FAR), []),  # too early to tell
        (course("difference", 0.2, 0.1, 0.05, 0.05, 0.05, 0.05, **FAR), []),  # it sees what hardly anybody would
        (course("difference", *[0.5] * 6, **{"discriminator/accuracy": 0.52}), ["discriminator-loses"]),
        (course("difference", 0.5, 0.4, 0.3, 0.25, 0.2, 0.18, **{"discriminator/accuracy": 0.5}), []),  # seen on MNIST
        (course("difference", 0.02, **{"discriminator/accuracy": 0.5}), []),  # the equilibrium
        (course("diversity", 0.9, 0.8, 0.2), ["collapse"]),
        (course("diversity", 0.05, 0.1, 0.12, 0.13, 0.14, 0.14), []),  # the beginning, as long as it grows
        (course("diversity", 0.1, 0.1, 0.1, 0.1, 0.1, 0.1), ["collapse"]),
        (course("diversity", 0.3, 0.5, 0.7, 0.65), []),
        (course("active_units", 0, 0, 0, 0, 0, 0, units=32), ["posterior-collapse"]),
        (course("active_units", 9, 9, 9, 9, 9, 9, units=32), []),  # a model needs no more
        (course("memorising", 0.9, **{"memorising/low": 0.8}), ["memorising"]),
        (course("memorising", 0.65, **{"memorising/low": 0.45}), []),  # it may be chance
        (course("pictures/held_out", 0), ["few-pictures"]),
        (course("pictures/held_out", 100), []),
    ],
)
def test_rules_look_at_the_course(history: list[Moment], expected: list[str]) -> None:
    assert [each.name for each in judge(history, {})] == expected


@pytest.mark.parametrize(
    ("held", "training", "expected"),
    [
        ([5, 3, 3.1, 3.3, 3.5], [5, 3, 2, 1, 0.5], True),
        ([5, 3, 3.1, 3.3, 2.9], [5, 3, 2, 1, 0.5], False),  # the best is now
        ([5, 3, 3.1, 3.3, 3.5], [5, 3, 3.2, 3.4, 3.6], False),  # both grow: it gets worse, and does not overfit
        ([5, 4, 3, 3.1], [5, 3, 2, 1], False),  # not long ago
    ],
)
def test_overfitting_is_a_gap_that_grows(held: list[float], training: list[float], expected: bool) -> None:
    history = [
        Moment(100 * (k + 1), {"loss/held_out": a, "loss/training": b})
        for k, (a, b) in enumerate(zip(held, training, strict=True))
    ]
    assert bool(judge(history, {})) is expected


# What is left behind --------------------------------------------------------------------------------------------------


def test_measuring_changes_nothing(tmp_path: Path) -> None:
    for name in ("dcgan", "vae"):
        plain, watched = (make_trainer(MODELS.get(name), make_pictures(), steps=4) for _ in range(2))
        watched.callbacks = [Diagnosis(tmp_path / f"{name}.jsonl", {}, 1)]
        state = torch.random.get_rng_state()
        plain.run(), watched.run()
        assert same_tensors(plain.tensors(), watched.tensors())
        assert torch.equal(state, torch.random.get_rng_state())


def test_a_resumed_run_leaves_the_file_of_a_straight_one(tmp_path: Path) -> None:
    def made(folder: str, steps: int) -> tuple[Trainer, list[str]]:
        trainer = make_trainer(MODELS.get("dcgan"), make_pictures(), steps=steps)
        told: list[str] = []
        trainer.callbacks = [Diagnosis(tmp_path / folder, {}, 1, told.append)]
        return trainer, told

    straight, told = made("straight", 6)
    straight.run()
    first, before = made("resumed", 3)
    first.run()
    state = json.loads(json.dumps(first.state()))
    tensors = {
        name: value.clone() for name, value in first.tensors().items()
    }  # a trainer goes on with what it is given
    lost, _ = made("resumed", 5)
    lost.restore({name: value.clone() for name, value in tensors.items()}, state)
    lost.run()  # is killed before it saves, and its lines are taken back
    second, after = made("resumed", 6)
    second.restore(tensors, state)
    second.run()
    assert (tmp_path / "resumed").read_text() == (tmp_path / "straight").read_text()
    assert [*before, *after] == told
    assert told, "nothing was told, so that nothing was checked"


def test_measuring_takes_its_share_of_the_time() -> None:
    """A training of 1,000 seconds, whose measurements take longer and longer after the first."""
    pace, seconds, spent, count = Pace(), 0.0, 0.0, 0
    times: list[float] = []
    while seconds < 1000:
        seconds += 0.1
        if pace.due(seconds, guess=3.0):
            cost = 0.2 + 0.01 * count
            count += 1
            pace.paid(cost, seconds)
            times.append(seconds)
            seconds, spent = seconds + cost, spent + cost
    assert 0.02 * seconds < spent < 0.031 * seconds
    assert min(b - a for a, b in pairwise(times)) > 5, "not all at once after a slow beginning"
    assert count > 20


@pytest.mark.parametrize(("reason", "measured"), [(None, True), ("interrupted", False)])
def test_a_short_training_is_measured_at_its_end(
    digits: PictureSet, tmp_path: Path, reason: str | None, measured: bool
) -> None:
    """After four rounds the samples are noise, and that is said; but who presses Ctrl-C does not wait for it."""
    trainer = make_trainer(MODELS.get("dcgan"), digits, steps=4, batch_size=32)
    trainer.callbacks = [Diagnosis(tmp_path / "diagnosis.jsonl", {})]
    trainer.stop_reason = reason
    trainer.run()
    assert [each.name for each in read_findings(tmp_path / "diagnosis.jsonl").now] == ["hardly-begun"] * measured


@pytest.mark.parametrize("count", [10, 12])
def test_one_or_two_held_out_pictures_are_enough_to_go_on(tmp_path: Path, count: int) -> None:
    """Of one picture there is no distance to another."""
    pictures = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)
    few = open_pictures(pictures, DataConfig(validation=0.1))
    found = trained("vae", few, tmp_path, 2, 1)
    assert [each.name for each in found] == ["few-pictures"]


def test_only_what_differs_and_is_not_known_to_be_stuck_has_hardly_begun() -> None:
    assert said_at_the_end([Moment(100, {"difference": 0.1})]) == []
    assert said_at_the_end(course("difference", 0.4, 0.4, 0.4, 0.4, 0.4, 0.4)) == [], "it has a rule of its own"
    [found] = said_at_the_end(course("difference", 0.9, 0.8, 0.7, 0.6, 0.5, 0.4))
    assert found.name in NAMES
    assert found.sentence.startswith("Training has hardly begun: after 600 rounds generated pictures plainly differ")
    [stuck] = said_at_the_end(course("difference", 0.4, 0.39, 0.4))
    assert stuck.sentence.startswith("After 300 rounds generated")
    assert stuck.sentence.endswith("(0.40 of 1, where trained models come below 0.1), no less than after 100.")


def test_blurred_pictures_are_no_copies() -> None:
    """Nearer to all pictures than these are to each other, and yet not nearer to those trained on."""
    random = np.random.default_rng(0)
    training, held_out = random.normal(size=(700, 20)), random.normal(size=(80, 20))
    blurred, copied = random.normal(size=(80, 20)) * 0.3, training[:80] + random.normal(size=(80, 20)) * 0.1
    assert memorising(blurred, held_out, training).value > 0.9
    assert chance_of_no_copies(blurred, held_out, training) > 0.01
    assert chance_of_no_copies(copied, held_out, training) < 0.001
    alike = np.repeat(training[:3] * 0.3, 30, axis=0)
    assert chance_of_no_copies(alike, held_out, training) > 0.1, "three pictures say little, however often"
    sick = {"memorising": 0.95, "memorising/low": 0.9}
    assert judge([Moment(100, {**sick, "memorising/chance": 0.2})], {}) == []
    assert [each.name for each in judge([Moment(100, {**sick, "memorising/chance": 1e-4})], {})] == ["memorising"]


def test_findings_survive_json_and_what_is_none_is_refused(tmp_path: Path) -> None:
    finding = Finding("collapse", 3, "Alike.", "Try.")
    assert Finding.from_json(json.loads(json.dumps(finding.to_json()))) == finding
    for wrong in ([], {}, {**finding.to_json(), "step": "3"}, {**finding.to_json(), "more": 1}):
        with pytest.raises(DataError):
            Finding.from_json(wrong)
    file = tmp_path / "diagnosis.jsonl"
    lines = [{"step": 3, "findings": [finding.to_json()]}, {"step": 4, "findings": []}]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 5, "fin')
    past = read_findings(file)
    assert (past.now, past.before) == ((), (finding,))
    assert read_findings(tmp_path / "none").now == ()


def test_every_name_is_known(digits: PictureSet) -> None:
    assert stopped(3, "It broke; nothing was updated. Try less.") == Finding("stopped-nan", 3, "It broke.", "Try less.")
    saved = '"a" is no longer finite in step 3, so this step was not saved; the last checkpoint is sound. Resume it.'
    assert stopped(3, saved).advice == "Resume it."
    assert "stopped-nan" in NAMES
