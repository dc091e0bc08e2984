"""Training and resuming as a person does: what is refused, and what is left as it was."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import mezzotint as mz
from mezzotint.core.errors import CheckpointError, ConfigError, DataError, MissingExtra, TrainingError
from mezzotint.engine.model import MODELS
from mezzotint.tasks.prepare import prepare

TINY: dict[str, Any] = {"precision": "fp32", "batch_size": 8, "quiet": True}


def begin(out: Path, source: Any = "digits", **options: Any) -> mz.Run:
    return mz.train("vae", source, out=out, settings={"model": dict(MODELS.get("vae").tiny)}, **{**TINY, **options})


def photos(folder: Path) -> Path:
    folder.mkdir()
    values = np.random.default_rng(0).integers(0, 256, (12, 8, 8), dtype=np.uint8)
    for number, value in enumerate(values):
        Image.fromarray(value).save(folder / f"{number}.png")
    return folder


def test_resume_refuses_to_begin_again(tmp_path: Path) -> None:
    run = begin(tmp_path / "run", steps=4, save_every=2)
    log = (run.path / "log.jsonl").read_text() if (run.path / "log.jsonl").exists() else ""
    for file in (run.path / "checkpoints").glob("*/tensors.safetensors"):
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="none of its checkpoints is whole"):
        mz.resume(run.path, steps=8, quiet=True)
    assert not log or (run.path / "log.jsonl").read_text() == log


def test_resume_misses_checkpoints_that_were_removed(tmp_path: Path) -> None:
    run = begin(tmp_path / "run", steps=4, save_every=2, log_every=1)
    shutil.rmtree(run.path / "checkpoints")
    with pytest.raises(CheckpointError, match="come to step 4"):
        mz.resume(run.path, steps=8, quiet=True)


def test_a_run_stopped_before_its_first_checkpoint_begins_again(tmp_path: Path) -> None:
    run = begin(tmp_path / "run", steps=2)
    shutil.rmtree(run.path / "checkpoints")
    (run.path / "checkpoints").mkdir()
    (run.path / "log.jsonl").unlink(missing_ok=True)
    said: list[str] = []
    again = mz.resume(run.path, steps=3, tell=said.append)
    assert again.step == again.recipe.train.steps == 3
    assert "begins again" in said[0]


def test_a_resume_that_fails_changes_no_setting(tmp_path: Path) -> None:
    run = begin(tmp_path / "run", steps=2)
    before = (run.path / "config.json").read_bytes()
    for wrong in ({"device": "cuda:7"}, {"precision": "fp8"}):
        with pytest.raises(ConfigError):
            mz.resume(run.path, steps=4, quiet=True, **wrong)
    assert (run.path / "config.json").read_bytes() == before


def test_a_longer_run_bends_its_schedule_only_when_asked_to(tmp_path: Path) -> None:
    run = begin(tmp_path / "run", steps=2, schedule="cosine")
    said: list[str] = []
    assert mz.resume(run.path, steps=3, tell=said.append).recipe.train.schedule_steps == 2
    assert "0 from step 2 on" in said[0]
    assert "schedule_steps=3" in said[0]
    said.clear()
    assert mz.resume(run.path, steps=4, schedule_steps=5, tell=said.append).recipe.train.schedule_steps == 5
    assert not any("schedule ends" in each for each in said)


def test_a_new_place_of_the_pictures_is_remembered(tmp_path: Path) -> None:
    run = begin(tmp_path / "run", photos(tmp_path / "old"), steps=2)
    (tmp_path / "old").rename(tmp_path / "new")
    with pytest.raises(DataError, match="--source"):
        mz.resume(run.path, steps=3, quiet=True)
    mz.resume(run.path, source=tmp_path / "new", steps=3, quiet=True)
    assert mz.resume(run.path, steps=4, quiet=True).step == 4


def test_minutes_that_are_up_play_no_round(tmp_path: Path) -> None:
    run = begin(tmp_path / "run", minutes=0.001)
    assert mz.resume(run.path, minutes=0.001, quiet=True).step == run.step


def test_a_run_is_not_mixed_with_other_files(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    with pytest.raises(ConfigError, match="other files"):
        begin(folder, folder, steps=1)
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{n}.png" for n in range(12))


def test_the_callers_random_numbers_are_left_alone(tmp_path: Path) -> None:
    import torch

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    begin(tmp_path / "run", steps=2)
    assert torch.equal(torch.rand(3), expected)


def test_what_a_model_takes_is_said(tmp_path: Path) -> None:
    import torch

    model = begin(tmp_path / "run", steps=1).model
    for wrong in (torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 8, dtype=torch.uint8), torch.zeros(8, 8)):
        with pytest.raises(ConfigError, match="takes pictures"):
            model.encode(wrong)
    with pytest.raises(ConfigError, match="latents have the shape"):
        model.decode(torch.zeros(1, 7))
    with pytest.raises(ConfigError, match="class numbers"):
        model.sample(2, labels="cat")
    start, end = model.latent(2)
    way = model.interpolate(start, end, 5)
    assert torch.allclose(way[0], model.decode(start[None])[0], atol=1e-5)
    assert torch.allclose(way[-1], model.decode(end[None])[0], atol=1e-5)


def test_discriminate_tells_real_from_generated(tmp_path: Path) -> None:
    from mezzotint.data.open import open_pictures
    from mezzotint.engine.feed import to_tensor

    settings = {"model": {"width": 16, "discriminator_width": 16, "latent": 16}}
    run = mz.train("dcgan", "digits", out=tmp_path / "run", steps=150, seed=1, settings=settings, **TINY)
    digits = open_pictures("digits")
    real = to_tensor(digits.pictures[digits.splits["validation"]])
    on_real, on_fake = run.model.discriminate(real), run.model.discriminate(run.model.sample(len(real), seed=5))
    right = ((on_real > 0.5).float().mean() + (on_fake <= 0.5).float().mean()) / 2
    assert right > 0.6
    both = np.concatenate([on_real.numpy(), on_fake.numpy()])
    assert abs(both.mean() - 0.5) < 0.1, "half of them are real, so the mean probability is a half"


def test_a_run_that_fails_has_a_card_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begin(tmp_path / "run", steps=2)
    for name in ("README.md", "samples.png"):
        (run.path / name).unlink()

    def no_turn(*args: Any) -> None:
        raise TrainingError("the disk is full.")

    monkeypatch.setattr("mezzotint.engine.loop.Trainer.round", no_turn)
    with pytest.raises(TrainingError, match="the disk is full"):
        mz.resume(run.path, steps=4, quiet=True)
    assert "2 steps of 8 pictures" in (run.path / "README.md").read_text()
    assert (run.path / "samples.png").exists()


@pytest.mark.parametrize(
    ("losses", "options", "said"),
    [
        ([3, 2, 1, 1.1, 1.2, 1.3], {}, "The last 3 validations brought nothing better than step 3;"),
        ([3, 2, 1, 1.1], {"patience": 1}, "The last validation brought nothing better than step 3, so training"),
        ([3, 2, 1, 1.1, 1.2, 0.9], {}, None),
        ([6, 5, 4, 3, 2, 1, 2], {}, None),
        ([float(9 - k) for k in range(9)] + [2, 2, 2], {}, "step 9;"),
        ([float(10 - k) for k in range(10)] + [2, 2, 2], {}, None),  # the last quarter is not long ago
        ([3, 4, 4, 4], {"validate_every": 0}, None),
    ],
)
def test_a_best_validation_long_ago_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, losses: list[float], options: dict[str, Any], said: str | None
) -> None:
    coming = iter(losses)
    monkeypatch.setattr("mezzotint.engine.validation.Validation.measure", lambda self, trainer: next(coming))
    told: list[str] = []
    run = begin(tmp_path / "run", steps=len(losses), tell=told.append, **{"validate_every": 1, **options})
    found = [sentence for sentence in told if "brought nothing better" in sentence]
    assert len(found) == (said is not None)
    assert said is None or said in found[0]
    assert said is None or mz.load(run.path, "best").step == int(found[0].split("step ")[1].split(";")[0].split(",")[0])


def test_curves_for_tensorboard_are_those_of_the_log(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = begin(tmp_path / "run", steps=6, log_every=2, validate_every=2, tensorboard=True)
    logged = [json.loads(line) for line in (run.path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in logged] == [2, 4, 6]
    curves = EventAccumulator(str(run.path / "tensorboard"))
    curves.Reload()
    names = curves.Tags()["scalars"]
    assert set(names) == set(logged[-1]) - {"step", "seconds", "rate"}
    assert "validation/loss" in names
    for name in names:
        points = curves.Scalars(name)
        assert [point.step for point in points] == [2, 4, 6]
        assert [point.value for point in points] == pytest.approx([line[name] for line in logged], rel=1e-5)


def test_curves_without_their_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtra, match="curves"):
        begin(tmp_path / "run", steps=2, tensorboard=True)


def test_a_run_whose_checkpoints_are_all_cut_short_is_said_to_be_damaged(tmp_path: Path) -> None:
    """It was said to have none yet, and to need more training."""
    run = begin(tmp_path / "run", steps=2)
    for file in (run.path / "checkpoints").glob("*/tensors.safetensors"):
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="damaged"):
        mz.load(run.path)


def test_several_processes_on_a_device_that_cannot_be_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(ConfigError, match="cannot share mps"):
        begin(tmp_path / "run", steps=2, processes=2, device="mps")
    assert not (tmp_path / "run").exists()


def test_what_a_model_chooses_is_said_and_kept(tmp_path: Path) -> None:
    """Beneath what the person gives; a second training with the run's settings chooses nothing."""
    settings = {"model": {**MODELS.get("gan").tiny, "r1": 2.0}}
    said: list[str] = []
    options = {"precision": "fp32", "steps": 1, "batch_size": 8}
    run = mz.train("gan", "digits", out=tmp_path / "a", settings=settings, tell=said.append, **options)
    saved = json.loads((run.path / "config.json").read_text())
    assert (saved["model"]["r1"], saved["train"]["batch_size"]) == (2.0, 8)
    r2 = saved["model"]["r2"]
    assert r2 == 0.00469  # 0.3 (64 / 1024)^1.5
    assert any(sentence.startswith(f"model.r2={r2}: ") for sentence in said)
    assert not any(sentence.startswith(("model.r1=", "train.batch_size=")) for sentence in said)


def test_the_settings_of_a_run_leave_nothing_to_choose(tmp_path: Path) -> None:
    settings = {"model": dict(MODELS.get("gan").tiny)}
    first = prepare("gan", "digits", settings=settings)
    path = tmp_path / "config.json"
    whole = first.recipe.to_json()
    path.write_text(json.dumps(whole))
    again = prepare("gan", "digits", config=path)
    assert first.chosen
    assert not again.chosen
    assert again.recipe == first.recipe
    del whole["model"]["r2"]  # an option newer than the run is as it was by default
    path.write_text(json.dumps(whole))
    assert not prepare("gan", "digits", config=path).chosen
    assert not prepare("gan", "digits", settings=settings, auto=False).chosen


def test_a_fit_is_done_and_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    run = mz.train("pca", "digits", out=tmp_path / "a", quiet=True, settings={"model": {"components": 5}})
    assert run.fit_over
    assert "fit is done" in (tmp_path / "a" / "report.html").read_text()
    assert "--resume" not in (tmp_path / "a" / "README.md").read_text()
    assert f"{5 * 64 + 64 + 5 + 1:,} parameters" in (tmp_path / "a" / "README.md").read_text()
    again = mz.resume(tmp_path / "a", steps=1000, quiet=True, tell=said.append)
    assert any("no more to fit" in sentence for sentence in said)
    assert again.step == run.step


def test_a_fit_that_was_cut_short_goes_on(tmp_path: Path) -> None:
    whole = mz.train("gmm", "digits", out=tmp_path / "a", quiet=True, batch_size=200)
    short = mz.train("gmm", "digits", out=tmp_path / "b", quiet=True, batch_size=200, steps=7)
    assert not short.fit_over
    rest = mz.resume(tmp_path / "b", steps=100_000, quiet=True)
    assert rest.fit_over
    assert rest.step == whole.step
    assert torch.equal(whole.model.means, rest.model.means)
