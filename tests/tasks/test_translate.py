"""Translated pictures: their own size, depth and transparency, whatever the model; mistakes in one sentence."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import mezzotint as mz
from mezzotint.core.errors import CapabilityError, ConfigError, DataError
from mezzotint.data.singles import Single, Singles
from mezzotint.data.types import BadFile
from mezzotint.engine.model import PictureSpec, build
from mezzotint.tasks._tiles import by_tiles
from mezzotint.tasks.translate import translate

TINY = {"width": 4, "critic_width": 4, "blocks": 1}


def model(channels: int = 3) -> Any:
    """A cyclegan that turns pictures into their negatives on the way to "night"."""
    made: Any = build("cyclegan", TINY, PictureSpec(channels, 32, 32, classes=("day", "night")), seed=0).eval()
    made.to_b.forward = lambda x: -x
    made.to_a.forward = lambda x: x
    return made


def sources(folder: Path) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    made = {
        "grey.png": rng.integers(0, 256, (20, 30), dtype=np.uint8),
        "colour.png": rng.integers(0, 256, (33, 17, 3), dtype=np.uint8),
        "clear.png": rng.integers(0, 256, (12, 9, 4), dtype=np.uint8),
        "deep.png": rng.integers(0, 65536, (8, 9), dtype=np.uint16),
    }
    folder.mkdir()
    for name, pixels in made.items():
        Image.fromarray(pixels).save(folder / name)
    return made


def test_pictures_keep_size_depth_and_transparency(tmp_path: Path) -> None:
    given = sources(tmp_path / "in")
    found = translate(model(1), tmp_path / "in" / "deep.png", tmp_path / "deep", to="night")
    with Image.open(tmp_path / "deep" / found.files[0]) as picture:
        np.testing.assert_array_equal(np.asarray(picture), 65535 - given["deep.png"])
    found = translate(model(), tmp_path / "in", tmp_path / "out", to="night")
    assert found.names == ("clear.png", "colour.png", "deep.png", "grey.png")
    with Image.open(tmp_path / "out" / "colour.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), 255 - given["colour.png"])
    with Image.open(tmp_path / "out" / "clear.png") as picture:
        wanted = np.concatenate((255 - given["clear.png"][..., :3], given["clear.png"][..., 3:]), 2)
        np.testing.assert_array_equal(np.asarray(picture), wanted)
    with Image.open(tmp_path / "out" / "grey.png") as picture:
        assert picture.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(picture)[..., 1], 255 - given["grey.png"])
    assert (tmp_path / "out" / "deep.png").read_bytes()[24:26] == b"\x10\2", "16 bits a channel, RGB"
    assert not found.notes


def test_metadata_is_left_out_and_exif_turns_are_made(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    exif[0x010E] = "a secret"
    Image.new("RGB", (30, 20), (250, 10, 10)).save(tmp_path / "a.jpg", exif=exif)
    translate(model(), tmp_path / "a.jpg", tmp_path / "out", to="day")
    assert b"secret" not in (tmp_path / "out" / "a.png").read_bytes()
    with Image.open(tmp_path / "out" / "a.png") as picture:
        assert picture.size == (20, 30)
        assert not picture.getexif()


def test_broken_files_are_left_out_and_said(tmp_path: Path) -> None:
    sources(tmp_path / "in")
    (tmp_path / "in" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    seen: list[tuple[int, int]] = []
    found = translate(model(), tmp_path / "in", tmp_path / "out", to="day", progress=lambda *at: seen.append(at))
    assert [bad.path for bad in found.left_out] == ["bad.png"]
    assert len(found.files) == 4
    assert seen[-1] == (5, 5)
    for path in (tmp_path / "in").glob("*.png"):
        path.write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    with pytest.raises(DataError, match="None of the 5 pictures can be used"):
        translate(model(), tmp_path / "in", tmp_path / "other", to="day")


def test_mistakes_are_said(tmp_path: Path) -> None:
    sources(tmp_path / "in")
    with pytest.raises(ConfigError, match='no domain "nihgt"; did you mean "night"'):
        translate(model(), tmp_path / "in", tmp_path / "out", to="nihgt")
    with pytest.raises(CapabilityError, match="cyclegan"):
        translate(build("vae", {"width": 4}, PictureSpec(3, 16, 16)), tmp_path / "in", tmp_path / "out", to="b")
    with pytest.raises(DataError, match="There is no file or folder"):
        translate(model(), tmp_path / "none", tmp_path / "out", to="day")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no picture"):
        translate(model(), tmp_path / "empty", tmp_path / "out", to="day")
    with pytest.raises(ConfigError, match="need a folder"):
        translate(model(), tmp_path / "in", tmp_path / "out.png", to="day")
    translate(model(), tmp_path / "in", tmp_path / "out", to="day")
    with pytest.raises(ConfigError, match="is there already"):
        translate(model(), tmp_path / "in", tmp_path / "out", to="day")
    translate(model(), tmp_path / "in", tmp_path / "out", to="day", overwrite=True)


@pytest.mark.parametrize("size", [(40, 300), (301, 257), (64, 64), (20, 20)])
def test_tiles_of_what_looks_near_only_leave_no_seams(size: tuple[int, int]) -> None:
    """A blur of 5 pixels: away from the edge of its part a tile says what the whole says."""
    x = torch.rand(1, 2, *size, generator=torch.Generator().manual_seed(0))
    kernel = torch.ones(2, 1, 5, 5) / 25

    def blur(part: Tensor) -> Tensor:
        return torch.nn.functional.conv2d(torch.nn.functional.pad(part, (2,) * 4, mode="replicate"), kernel, groups=2)

    tiled, whole = by_tiles(blur, x, tile=64, overlap=32, whole=0), blur(x)
    assert tiled.shape == whole.shape
    assert float((tiled - whole).abs().mean()) < 0.003
    assert float((tiled - whole).abs().max()) < 0.1


def test_the_whole_way_from_two_folders(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for kind, low in (("day", 150), ("night", 0)):
        (tmp_path / "in" / kind).mkdir(parents=True)
        for k in range(6):
            pixels = rng.integers(low, low + 100, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "in" / kind / f"{k}.png")
    settings = {"model": {**TINY, "critic_layers": 1}}
    timed = mz.train("cyclegan", tmp_path / "in", out=tmp_path / "t", minutes=0.01, settings=settings, quiet=True)
    assert timed.recipe.train.schedule == "constant", "minutes have no last step to fall towards"
    run = mz.train("cyclegan", tmp_path / "in", out=tmp_path / "run", steps=3, settings=settings, quiet=True)
    assert run.recipe.train.batch_size == 2
    assert run.recipe.train.schedule == "late"
    assert list((tmp_path / "run" / "pictures").glob("*.png"))
    page = (tmp_path / "run" / "report.html").read_text()
    assert "each followed by what it becomes: day, night" in page
    assert "does not sample" not in page
    assert "--to night -o out/" in (tmp_path / "run" / "README.md").read_text()
    found = mz.translate(run, tmp_path / "in" / "day", tmp_path / "out", to="night")
    assert len(found.files) == 6
    with Image.open(tmp_path / "out" / "0.png") as picture:
        assert picture.size == (16, 16)


def test_singles_come_one_by_one(tmp_path: Path) -> None:
    given = sources(tmp_path / "in")
    found = {each.name: each for each in Singles(tmp_path / "in") if isinstance(each, Single)}
    assert not any(isinstance(each, BadFile) for each in Singles(tmp_path / "in"))
    for name, each in found.items():
        np.testing.assert_array_equal(each.with_values(each.to_values(each.pixels.shape[2])).squeeze(), given[name])


def test_pictures_of_an_archive_keep_their_names_whatever_their_order(tmp_path: Path) -> None:
    for k in (0, 1, 2):
        Image.new("RGB", (9, 9), (60 * k, 0, 0)).save(tmp_path / f"{k}.png")
    with tarfile.open(tmp_path / "all.tar", "w") as archive:
        for k in (2, 0, 1):
            archive.add(tmp_path / f"{k}.png", f"in/{k}.png")
    found = translate(model(), tmp_path / "all.tar", tmp_path / "out", to="night")
    assert found.files == ("0.png", "1.png", "2.png")
    for k in (0, 1, 2):
        with Image.open(tmp_path / "out" / f"{k}.png") as picture:
            assert picture.getpixel((4, 4)) == (255 - 60 * k, 255, 255)


def test_pairs_from_two_folders(tmp_path: Path) -> None:
    for kind, low in (("labels", 0), ("photos", 150)):
        (tmp_path / "in" / kind).mkdir(parents=True)
        for k in range(8 if kind == "labels" else 7):
            Image.new("L", (16, 16), low + 5 * k).save(tmp_path / "in" / kind / f"{k}.png")
    told: list[str] = []
    settings = {"model": {"width": 4, "critic_width": 4}}
    run = mz.train("pix2pix", tmp_path / "in", out=tmp_path / "r", steps=2, settings=settings, tell=told.append)
    assert run.recipe.data.pairs
    assert any("no other one: 1" in text for text in told)
    assert mz.translate(run, tmp_path / "in" / "labels", tmp_path / "out", to="photos").files[0] == "0.png"
