"""Reconstruction of whatever a person has, over every model that reconstructs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mezzotint.core.errors import CapabilityError, ConfigError, DataError
from mezzotint.data.output import to_uint8
from mezzotint.data.types import DataConfig
from mezzotint.engine.model import PictureSpec
from mezzotint.metrics.pixel import psnr
from mezzotint.tasks.reconstruct import fit_channels, reconstruct, unique_stems
from mezzotint.tasks.run import Run
from mezzotint.tasks.sample import models_that

Open = Callable[..., Run]
RECONSTRUCTORS = models_that("reconstructs")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEZZOTINT_CACHE", str(tmp_path / "cache"))


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def folder_of(path: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(20 + number, 30, 3)).save(path / name)
    return path


@pytest.fixture
def run(opened: Open, tmp_path: Path) -> Run:
    return opened(RECONSTRUCTORS[0], tmp_path / "run")


@pytest.mark.parametrize("name", RECONSTRUCTORS)
def test_files_and_scores_are_those_of_the_model(opened: Open, name: str, tmp_path: Path) -> None:
    run = opened(name, tmp_path / "run")
    pictures = noise(5, 8, 8, 1)
    seen: list[tuple[int, int]] = []
    found = reconstruct(run, pictures, tmp_path / "out", progress=lambda *at: seen.append(at))
    original = torch.from_numpy(pictures.transpose(0, 3, 1, 2)).float() * (2 / 255) - 1
    with torch.no_grad():
        wanted = run.model.reconstruct(original)
    for file, picture in zip(found.files, to_uint8(wanted.numpy()), strict=True):
        got = np.asarray(Image.open(found.out / file))
        assert np.abs(got.astype(int) - picture[..., 0]).max() <= 1
    assert found.psnr == pytest.approx(psnr(original, wanted.clamp(-1, 1)).tolist(), abs=1e-4)
    exact = np.isinf(found.psnr).all()  # a mixture gives its pictures back as they are, which JSON has no number for
    written = json.loads((found.out / "scores.json").read_text())
    assert written["count"] == 5
    assert written["model"] == name
    assert [p["psnr"] for p in written["pictures"]] == ([None] * 5 if exact else list(found.psnr))
    assert written["psnr"]["mean"] == (None if exact else pytest.approx(np.mean(found.psnr)))
    assert seen[-1] == (5, 5)
    assert Image.open(found.out / "grid.png").size[0] > 8


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_pictures_of_other_sizes_and_modes_are_brought_to_the_models(
    opened: Open, channels: int, mode: str, tmp_path: Path
) -> None:
    alpha = "keep" if channels in (2, 4) else "white"
    run = opened(RECONSTRUCTORS[0], tmp_path / "run", PictureSpec(channels, 10, 12), DataConfig(alpha=alpha))
    source = tmp_path / "in"
    source.mkdir()
    for number, kind in enumerate(("L", "RGB", "RGBA", "LA", "1", "P")):
        Image.fromarray(noise(15 + number, 31, 4), "RGBA").convert(kind).save(source / f"{kind}.png")
    found = reconstruct(run, source, tmp_path / "out")
    assert sorted(found.files) == ["1.png", "L.png", "LA.png", "P.png", "RGB.png", "RGBA.png"]
    for file in found.files:
        image = Image.open(found.out / file)
        assert (image.mode, image.size) == (mode, (12, 10))


def test_grey_with_alpha_keeps_grey_and_alpha() -> None:
    grey = noise(3, 4, 4, 2)
    rgba = np.concatenate([grey[..., :1]] * 3 + [grey[..., 1:]], axis=3)
    np.testing.assert_array_equal(fit_channels(rgba, PictureSpec(2, 4, 4)), grey)


def test_a_run_that_was_told_to_keep_alpha_and_found_none(opened: Open, tmp_path: Path) -> None:
    run = opened(RECONSTRUCTORS[0], tmp_path / "run", data=DataConfig(alpha="keep", validation=0.5, group="who"))
    source = folder_of(tmp_path / "in", "a.png")
    assert reconstruct(run, source, tmp_path / "out").files == ("a.png",)


def test_one_picture_as_the_source(run: Run, tmp_path: Path) -> None:
    folder_of(tmp_path / "in", "me.jpg", "you.jpg")
    found = reconstruct(run, tmp_path / "in" / "me.jpg", tmp_path / "out")
    assert found.files == ("me.png",)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["grid.png", "me.png", "scores.json"]


def test_without_the_sheet_and_with_broken_files(run: Run, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", "b/x.png", "a/x.png", "y.png")
    (source / "broken.png").write_bytes(b"no picture")
    found = reconstruct(run, source, tmp_path / "out", beside=False)
    assert sorted(found.files) == ["a-x.png", "b-x.png", "y.png"]
    assert not (found.out / "grid.png").exists()
    assert [bad.path for bad in found.left_out] == ["broken.png"]
    assert json.loads((found.out / "scores.json").read_text())["left_out"][0]["path"] == "broken.png"


def test_more_pictures_than_one_batch_and_one_sheet(run: Run, tmp_path: Path) -> None:
    found = reconstruct(run, noise(70, 8, 8, 1), tmp_path / "out")
    assert len(found.psnr) == len(set(found.files)) == 70
    assert all(map(math.isfinite, found.psnr))


def test_a_perfect_reconstruction_is_null_in_json(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(run.model), "reconstruct", lambda self, pictures: pictures)
    found = reconstruct(run, noise(2, 8, 8, 1), tmp_path / "out")
    assert found.psnr == (math.inf, math.inf)
    assert json.loads((found.out / "scores.json").read_text())["psnr"]["mean"] is None


def test_mistakes(run: Run, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", "a.png")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="is a file"):
        reconstruct(run, source, tmp_path / "file")
    with pytest.raises(DataError):
        reconstruct(run, tmp_path / "nowhere", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    reconstruct(run, source, tmp_path / "out")
    with pytest.raises(ConfigError, match=r"a\.png is there already"):
        reconstruct(run, source, tmp_path / "out")
    reconstruct(run, source, tmp_path / "out", overwrite=True)


def test_a_model_that_does_not_reconstruct_is_refused(opened: Open, tmp_path: Path) -> None:
    others = sorted(set(models_that("samples")) - set(RECONSTRUCTORS))
    if not others:
        pytest.skip("every model reconstructs")
    with pytest.raises(CapabilityError, match=RECONSTRUCTORS[0]):
        reconstruct(opened(others[0], tmp_path / "run"), noise(1, 8, 8, 1), tmp_path / "out")


@given(st.lists(st.text(st.sampled_from("aA.b/# 0\0é:\udc80-"), min_size=1, max_size=8), max_size=12))
def test_stems_are_unique_and_safe(names: list[str]) -> None:
    stems = unique_stems(names)
    assert len({stem.lower() for stem in stems}) == len(names)
    for stem in stems:
        assert stem
        assert not set(stem) & set("/\\:\0#\udc80")
        assert not stem.startswith(".")
        stem.encode()


def test_stems_keep_what_file_systems_take() -> None:
    assert unique_stems(["👩🎨.png", "漢字.png", "-dash.png", "a\nb.png"]) == ["👩🎨", "漢字", "-dash", "a_b"]
    assert unique_stems(["é.png", "e\u0301.png"]) == ["é", "é-2"]  # which some file systems take for one
    deep = unique_stems([f"{'漢' * 60}/{'字' * 80}.png", f"{'漢' * 60}/x/{'字' * 80}.png"])
    assert all(len(f"{stem}.png".encode()) <= 255 for stem in deep)
    assert len(set(deep)) == 2


def test_stems_never_take_the_name_of_the_sheet() -> None:
    assert unique_stems(["grid.png", "Grid.jpg"]) == ["grid-2", "Grid-3"]
    assert unique_stems(["../../x.png", "..", "x/.."])[0] == "x"
