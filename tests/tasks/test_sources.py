"""Runs as sources: their codes are trained on, and what is trained on them draws them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mezzotint as mz
from mezzotint.core.errors import CapabilityError, ConfigError, DataError
from mezzotint.data.open import open_pictures
from mezzotint.data.types import DataConfig
from mezzotint.engine.feed import to_tensor
from mezzotint.tasks._sources import REACH, open_source
from mezzotint.tasks.sample import draw

VAE = {"model": {"width": 4, "latent": 5}}
FLOW = {"model": {"layers": 2, "hidden": [16]}}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("runs") / "vae"
    return mz.train("vae", "digits", steps=3, out=out, settings=VAE, quiet=True, precision="fp32")


def test_the_codes_are_those_of_the_encoder_in_the_same_parts(base: Any) -> None:
    digits = open_pictures("digits", base.recipe.data)
    found = open_source(base.path)
    assert found.pictures.shape == (len(digits), 1, 5, 1)
    assert (found.classes, found.names) == (digits.classes, digits.names)
    assert np.array_equal(found.labels, digits.labels)
    assert all(np.array_equal(found.splits[name], rows) for name, rows in digits.splits.items())
    codes = to_tensor(found.pictures[:20]).flatten(1) * REACH
    own = base.model.encode(to_tensor(digits.pictures[:20]))
    torch.testing.assert_close(codes, own, rtol=0, atol=REACH / 65535 * 1.1)
    assert any("5 numbers that vae makes" in note for note in found.notes)
    assert open_source(base).fingerprint == found.fingerprint, "an opened run is the same"


def test_a_sampler_draws_latents_for_the_run_it_was_trained_on(base: Any, tmp_path: Path) -> None:
    flow = mz.train("maf", str(base.path), steps=4, out=tmp_path / "maf", settings=FLOW, quiet=True, precision="fp32")
    assert flow.recipe.summary.source == str(base.path)
    sampled = mz.load(base.path, sampler=flow.path)
    expected = flow.model.sample(6, seed=3).flatten(1) * REACH
    torch.testing.assert_close(sampled.model.latent(6, seed=3), expected)
    torch.testing.assert_close(sampled.model.sample(6, seed=3), base.model.generate(expected))
    assert not np.array_equal(next(draw(sampled.model, 6, 3)), next(draw(base.model, 6, 3)))
    scores = mz.evaluate(flow)
    assert [each.contract.metric for each in scores] == ["likelihood"], "codes are no pictures"
    assert "single rows of numbers" in scores.skipped["frechet"]
    resumed = mz.resume(flow.path, steps=6, quiet=True)
    whole = mz.train("maf", str(base.path), steps=6, out=tmp_path / "b", settings=FLOW, quiet=True, precision="fp32")
    assert all(torch.equal(value, whole.model.state_dict()[key]) for key, value in resumed.model.state_dict().items())


def test_a_sampler_of_other_codes_is_refused(base: Any, tmp_path: Path) -> None:
    other = mz.train("vae", "digits", steps=4, out=tmp_path / "vae", settings=VAE, quiet=True)
    flow = mz.train("maf", str(other.path), steps=1, out=tmp_path / "maf", settings=FLOW, quiet=True)
    with pytest.raises(ConfigError, match=r"was not trained on the codes of .*; do that with mezzotint train maf"):
        mz.load(base.path, sampler=flow.path)
    mz.resume(other.path, steps=6, quiet=True)
    with pytest.raises(ConfigError, match="as it is now"):
        mz.load(other.path, sampler=flow.path)


def test_what_has_no_codes_and_what_codes_do_not_have(
    base: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gan = {"model": {"width": 4, "discriminator_width": 4}}
    run = mz.train("dcgan", "digits", steps=1, out=tmp_path / "gan", settings=gan, quiet=True)
    with pytest.raises(CapabilityError, match='"train on codes" needs a model that encodes, and dcgan does not'):
        open_source(run.path)
    with pytest.raises(DataError, match="gives codes, to which size, mode and flip do not apply"):
        open_source(base.path, DataConfig(size=8))
    monkeypatch.setattr(base.model, "encode", lambda pictures: torch.full((len(pictures), 5), 9.0))
    assert any("go beyond 8" in note for note in open_source(base).notes)
    monkeypatch.setattr(base.model, "encode", lambda pictures: torch.full((len(pictures), 5), float("nan")))
    with pytest.raises(DataError, match="diverged"):
        open_source(base)


def test_of_a_latent_only_what_an_encoder_can_know_is_trained_on(tmp_path: Path) -> None:
    """The noise of infogan stays that of its prior, and only its codes are drawn by the sampler."""
    small = {
        "model": {"width": 4, "discriminator_width": 4, "dense": 16, "latent": 7, "categorical": [3], "smallest": 4}
    }
    run = mz.train("infogan", "digits", steps=1, out=tmp_path / "a", settings=small, quiet=True)
    assert open_source(run.path).pictures.shape[1:] == (1, 5, 1), "three values of one code, and two codes"
    flow = mz.train("maf", str(run.path), steps=1, out=tmp_path / "b", settings=FLOW, quiet=True)
    latents = mz.load(run.path, sampler=flow.path).model.latent(4, seed=2)
    assert torch.equal(latents[:, :7], run.model.latent(4, seed=2)[:, :7])
    torch.testing.assert_close(latents[:, 7:], flow.model.sample(4, seed=2).flatten(1) * REACH)
