"""Translated pictures: their own size, depth and transparency, whatever the model; mistakes in one sentence."""

from __future__ import annotations

import json
import tarfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

import mezzotint as mz
from mezzotint.app.cli._app import app
from mezzotint.core.errors import CapabilityError, ConfigError, DataError
from mezzotint.data.output import grid
from mezzotint.data.singles import Single, Singles
from mezzotint.data.types import BadFile
from mezzotint.engine.model import PictureSpec, build
from mezzotint.tasks._tiles import by_tiles
from mezzotint.tasks.report._images import ungrid
from mezzotint.tasks.translate import translate
from mezzotint.tasks.translation_sheet import translation_sheet

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


def test_halves_of_pairs_side_by_side(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for k in range(6):
        Image.fromarray(rng.integers(0, 256, (16, 32, 4), dtype=np.uint8)).save(tmp_path / "in" / f"{k}.png")
    settings = {"model": {"width": 4, "critic_width": 4}, "data": {"halves": True, "alpha": "white"}}
    run = mz.train("pix2pix", tmp_path / "in", out=tmp_path / "r", steps=2, settings=settings, quiet=True)
    run.model.translator.forward = lambda x: -x

    whole = mz.translate(run, tmp_path / "in", tmp_path / "whole", to="right")
    assert len(whole.notes) == 1
    assert "0.png looks like a whole pair" in whole.notes[0]
    assert translation_sheet(run, tmp_path / "in", tmp_path / "a.png").notes == whole.notes
    halved = mz.translate(run, tmp_path / "in", tmp_path / "half", to="right", half="right")
    assert halved.notes == ()
    assert len(halved.files) == 6
    for file in halved.files:
        expected = pixels(tmp_path / "in" / file)[:, 16:].copy()
        expected[..., :3] = 255 - expected[..., :3]
        np.testing.assert_array_equal(pixels(tmp_path / "half" / file), expected)
    assert mz.translate(run, tmp_path / "half", tmp_path / "again", to="right").notes == (), "these are no pairs"

    Image.new("RGB", (31, 16)).save(tmp_path / "in" / "odd.png")
    left_out = mz.translate(run, tmp_path / "in", tmp_path / "odd", to="right", half="left").left_out
    assert [(bad.path, bad.reason) for bad in left_out] == [("odd.png", "is 31 pixels wide, which has no two halves")]
    with pytest.raises(ConfigError, match='"left" and "right"; got "top"'):
        mz.translate(run, tmp_path / "in", tmp_path / "top", to="right", half="top")  # type: ignore[arg-type]


# Styles and sheets ------------------------------------------------------------------------------------------------

STYLED = {**TINY, "styles": 4, "style_noise": 3, "mapping_width": 16}
DAYS = PictureSpec(3, 16, 16, classes=("day", "night"))


def styled() -> Any:
    return build("stargan", STYLED, DAYS, seed=0).eval()


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_a_style_is_drawn_by_its_seed_and_is_that_of_all_pictures(tmp_path: Path) -> None:
    sources(tmp_path / "in")
    made = {}
    for name, options in (("usual", {}), ("0", {"style_seed": 0}), ("3", {"style_seed": 3}), ("3b", {"style_seed": 3})):
        found = translate(styled(), tmp_path / "in", tmp_path / name, to="night", **options)
        made[name] = [pixels(tmp_path / name / file) for file in found.files]
    for usual, zero, three, again in zip(*made.values(), strict=True):
        np.testing.assert_array_equal(usual, zero)
        np.testing.assert_array_equal(three, again)
        assert (usual.astype(int) - three)[..., :3].any()
    x = Single("a", sources_of("colour.png")).to_values(3)
    model = styled()
    own = model.restyle(torch.from_numpy(x)[None], model.draw_styles(torch.tensor([[0.0, 1.0]]), 3))
    wanted = Single("a", sources_of("colour.png")).with_values(own[0].numpy())
    np.testing.assert_array_equal(pixels(tmp_path / "3" / "colour.png"), wanted)


def sources_of(name: str) -> np.ndarray:
    """The same picture as `sources` writes, [H, W, C]."""
    rng = np.random.default_rng(0)
    rng.integers(0, 256, (20, 30), dtype=np.uint8)
    return {"colour.png": rng.integers(0, 256, (33, 17, 3), dtype=np.uint8)}[name]


def test_the_style_of_a_picture(tmp_path: Path) -> None:
    sources(tmp_path / "in")
    for k, colour in enumerate(((250, 10, 10), (10, 250, 10))):
        Image.new("RGB", (40, 30), colour).save(tmp_path / f"{k}.png")
        translate(styled(), tmp_path / "in", tmp_path / f"out{k}", to="night", like=tmp_path / f"{k}.png")
    one, other = (pixels(tmp_path / f"out{k}" / "colour.png").astype(int) for k in (0, 1))
    assert (one - other).any()
    model = styled()
    model.styles_of = lambda x, domains: model.draw_styles(domains, 3)
    translate(model, tmp_path / "in", tmp_path / "as", to="night", like=tmp_path / "0.png")
    translate(model, tmp_path / "in", tmp_path / "drawn", to="night", style_seed=3)
    np.testing.assert_array_equal(pixels(tmp_path / "as" / "colour.png"), pixels(tmp_path / "drawn" / "colour.png"))


def test_every_domain_in_a_folder_of_its_own(tmp_path: Path) -> None:
    given = sources(tmp_path / "in")
    seen: list[tuple[int, int]] = []
    found = translate(model(), tmp_path / "in", tmp_path / "out", progress=lambda *at: seen.append(at))
    assert found.files[:2] == ("day/clear.png", "day/colour.png")
    assert found.files[4:6] == ("night/clear.png", "night/colour.png")
    assert len(found.names) == 8
    np.testing.assert_array_equal(pixels(tmp_path / "out" / "day" / "colour.png"), given["colour.png"])
    np.testing.assert_array_equal(pixels(tmp_path / "out" / "night" / "colour.png"), 255 - given["colour.png"])
    assert seen == [(k, 8) for k in range(1, 9)]


def test_a_sheet_has_a_row_for_each_picture_and_a_column_for_each_domain(tmp_path: Path) -> None:
    for k in range(4):
        Image.new("RGB", (32 + 10 * k, 32), (60 * k, 10, 20)).save(tmp_path / f"{k}.png")
    (tmp_path / "00.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    found = translation_sheet(model(), tmp_path, tmp_path / "new" / "sheet.webp", rows=3)
    assert found.columns == ("source", "day", "night")
    assert found.names == ("0.png", "1.png", "2.png")
    assert [bad.path for bad in found.left_out] == ["00.png"]
    found = translation_sheet(model(), tmp_path, tmp_path / "sheet.png", rows=3)
    sheet = pixels(found.file)
    shape = grid(np.zeros((9, 32, 32, 3), np.uint8), 3).shape
    shown = ungrid(sheet[sheet.shape[0] - shape[0] :], (32, 32), 9, 3)
    assert shown is not None
    colours = np.array([[60 * k, 10, 20] for k in range(3)])
    np.testing.assert_array_equal(shown[0::3, 16, 16], colours)
    np.testing.assert_array_equal(shown[1::3, 16, 16], colours)
    np.testing.assert_array_equal(shown[2::3, 16, 16], 255 - colours)
    assert (sheet[: sheet.shape[0] - shape[0]] < 128).any(), "the names"
    assert translation_sheet(model(), tmp_path, tmp_path / "b.png", to="night").columns == ("source", "night")


def test_a_sheet_of_styles(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20), (60, 10, 20)).save(tmp_path / "a.png")
    draw = partial(translation_sheet, styled(), tmp_path / "a.png", tmp_path / "sheet.png")
    assert draw(styles=2).columns == ("source", "day 0", "day 1", "night 0", "night 1")
    assert draw(to="night", styles=2, style_seed=7).columns == ("source", "style 7", "style 8")
    assert draw(style_seed=7).columns == ("source", "day", "night")
    assert draw(to="night", like=tmp_path / "a.png").columns == ("source", "night")


def test_mistakes_with_styles_and_sheets_are_said(tmp_path: Path) -> None:
    sources(tmp_path / "in")
    picture = tmp_path / "in" / "colour.png"
    needs = r"restyles, and cyclegan does not; these do: stargan trained with --set model.styles=64\."
    run, out, sheet = styled(), tmp_path / "out", tmp_path / "sheet.png"
    with pytest.raises(CapabilityError, match=rf'"translate --style-seed" needs a model that {needs}'):
        translate(model(), picture, out, to="night", style_seed=3)
    with pytest.raises(CapabilityError, match=rf'"translate --like" needs a model that {needs}'):
        translate(model(), picture, out, to="night", like=picture)
    with pytest.raises(CapabilityError, match=rf'"translate --styles" needs a model that {needs}'):
        translation_sheet(model(), picture, sheet, styles=2)
    with pytest.raises(CapabilityError, match="restyles, and stargan does not"):
        translate(build("stargan", TINY, DAYS).eval(), picture, out, to="night", style_seed=3)
    with pytest.raises(ConfigError, match="not both"):
        translate(run, picture, out, to="night", style_seed=3, like=picture)
    with pytest.raises(ConfigError, match="name that of the picture with --to"):
        translate(run, picture, out, like=picture)
    with pytest.raises(ConfigError, match="name that of the picture with --to"):
        translation_sheet(run, picture, sheet, like=picture)
    with pytest.raises(ConfigError, match="A picture has one style"):
        translation_sheet(run, picture, sheet, to="night", like=picture, styles=2)
    with pytest.raises(DataError, match="holds 4; name one of them"):
        translate(run, picture, out, to="night", like=tmp_path / "in")
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    with pytest.raises(DataError, match="cannot be used: it"):
        translate(run, picture, out, to="night", like=tmp_path / "bad.png")
    with pytest.raises(DataError, match="None of the 1 pictures can be used"):
        translation_sheet(run, tmp_path / "bad.png", sheet)
    with pytest.raises(ConfigError, match="rows is at least 1; got 0"):
        translation_sheet(run, picture, sheet, rows=0)
    with pytest.raises(ConfigError, match="ends in none of them"):
        translation_sheet(run, picture, tmp_path / "sheet.pdf")
    with pytest.raises(ConfigError, match="such as smile=1"):
        translate(build("stargan", TINY, PictureSpec(3, 16, 16, attributes=("smile",))).eval(), picture, out)
    assert not out.exists()
    assert not sheet.exists()


def test_the_command_draws_and_translates(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for kind in ("day", "night"):
        (tmp_path / "in" / kind).mkdir(parents=True)
        for k in range(6):
            Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(tmp_path / "in" / kind / f"{k}.png")
    folder, day = str(tmp_path / "run"), str(tmp_path / "in" / "day")
    run = mz.train("stargan", tmp_path / "in", out=folder, steps=2, settings={"model": STYLED}, quiet=True)
    assert "restyles" in (tmp_path / "run" / "README.md").read_text()
    assert run.model.config.turns == 1

    def ask(*words: str) -> Any:
        return CliRunner().invoke(app, ["translate", folder, day, *words], prog_name="mezzotint")

    sheet = tmp_path / "sheet.png"
    done = ask("--grid", str(sheet), "-o", str(tmp_path / "all"), "--rows", "2", "--json")
    found = json.loads(done.stdout)
    assert (found["columns"], found["rows"]) == (["source", "day", "night"], ["0.png", "1.png"])
    assert found["files"][::6] == ["day/0.png", "night/0.png"]
    assert sheet.exists()
    done = ask("--to", "night", "--style-seed", "3", "--grid", str(sheet))
    assert "its columns: source, night." in done.stdout
    done = ask("--to", "night", "--like", f"{day}/0.png", "-o", str(tmp_path / "like"))
    assert "6 pictures are in" in done.stdout
    for words, says in (((), "Say where to"), (("-o", "x", "--rows", "3"), "--rows is of a sheet")):
        done = ask(*words)
        assert done.exit_code == 2
        assert says in done.stderr
