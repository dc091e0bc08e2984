"""Pictures, folders and films in a style: size, depth and transparency kept, mistakes in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import mezzotint as mz
from mezzotint.app.cli._app import app
from mezzotint.core.errors import CapabilityError, ConfigError, DataError
from mezzotint.data.film import Film, write_film
from mezzotint.data.singles import Single, Singles
from mezzotint.engine.model import PictureSpec, build
from mezzotint.tasks.stylize import Look, own_model, split_weight, stylize

RANDOM = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, shape in (("photo.png", (33, 50, 3)), ("clear.png", (24, 20, 4)), ("style.png", (64, 48, 3))):
        Image.fromarray(RANDOM.integers(0, 256, shape, dtype=np.uint8)).save(tmp_path / name)
    return tmp_path


def read(path: Path) -> Single:
    (picture,) = Singles(path)
    assert isinstance(picture, Single)
    return picture


def test_one_picture_to_one_file(folder: Path) -> None:
    look = Look([str(folder / "style.png")])
    made = stylize(folder / "photo.png", folder / "new" / "out.jpg", look)
    assert made.files == ("out.jpg",)
    with Image.open(folder / "new" / "out.jpg") as picture:
        assert picture.size == (50, 33)
        assert not picture.getexif()
    with pytest.raises(ConfigError, match="is there already"):
        stylize(folder / "photo.png", folder / "new" / "out.jpg", look)
    stylize(folder / "photo.png", folder / "new" / "out.jpg", look, overwrite=True)


def test_transparency_and_depth_are_kept(folder: Path) -> None:
    look = Look([str(folder / "style.png")])
    stylize(folder / "clear.png", folder / "a.png", look)
    given, made = read(folder / "clear.png"), read(folder / "a.png")
    assert given.alpha is not None
    assert made.alpha is not None
    np.testing.assert_array_equal(made.alpha, given.alpha)
    deep = RANDOM.integers(0, 65536, (20, 30), dtype=np.uint16)
    Image.fromarray(deep).save(folder / "deep.png")
    stylize(folder / "deep.png", folder / "b.png", look)
    made = read(folder / "b.png")
    assert made.pixels.dtype == np.uint16
    assert (made.pixels % 257 != 0).any(), "more than 8 bits"
    assert stylize(folder / "deep.png", folder / "b.jpg", look).notes == (
        ".jpg holds 8 bits; give a name that ends in .png for 16.",
    )


def test_a_folder_becomes_a_folder(folder: Path) -> None:
    inside = folder / "in"
    inside.mkdir()
    for name in ("photo.png", "clear.png"):
        (folder / name).rename(inside / name)
    (inside / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    seen: list[tuple[int, int]] = []
    look = Look([str(folder / "style.png")])
    made = stylize(inside, folder / "out", look, progress=lambda done, all_: seen.append((done, all_)))
    assert made.files == ("clear.png", "photo.png")
    assert [bad.path for bad in made.left_out] == ["bad.png"]
    assert seen[-1] == (3, 3)


def test_the_pictures_own_colours_can_be_kept(folder: Path) -> None:
    """The mean colour is nearer the photograph's than without."""
    Image.new("RGB", (40, 40), (20, 160, 60)).save(folder / "green.png")
    style = Image.fromarray((RANDOM.random((64, 64, 3)) * [255, 90, 60]).astype(np.uint8))
    style.save(folder / "red.png")
    away = []
    for keep in (False, True):
        look = Look([str(folder / "red.png")], keep_colour=keep)
        stylize(folder / "green.png", folder / f"{keep}.png", look)
        away.append(np.abs(read(folder / f"{keep}.png").pixels.mean((0, 1)) - (20, 160, 60)).sum())
    assert away[1] < 0.6 * away[0]


def test_a_film_becomes_a_film(folder: Path) -> None:
    pytest.importorskip("av")
    frames = [np.full((40, 64, 3), 20 * k, np.uint8) for k in range(6)]
    write_film(folder / "in.mp4", frames, 12)
    look = Look([str(folder / "style.png")], style_size=64)
    made = stylize(folder / "in.mp4", folder / "out.mp4", look)
    assert made.files == ("out.mp4",)
    film = Film(folder / "out.mp4")
    assert (film.fps, [frame.shape for frame in film]) == (12, [(40, 64, 3)] * 6)
    with pytest.raises(ConfigError, match=r"written as \.mp4 or \.webm"):
        stylize(folder / "in.mp4", folder / "out.png", look)
    (folder / "bad.mp4").write_bytes(b"no film at all")
    with pytest.raises(DataError, match="not a film"):
        stylize(folder / "bad.mp4", folder / "x.mp4", look)
    assert not (folder / "x.mp4").exists()


def test_the_own_model_is_the_one_in_the_package() -> None:
    model = own_model("cpu")
    assert (model.name, model.spec.channels, model.training) == ("adain", 3, False)


@pytest.mark.parametrize(
    ("look", "said"),
    [
        (Look([]), "with --style"),
        (Look(["a"], masks=["m", "n"]), "2 masks for 1 styles"),
        (Look(["a"], alpha=1.5), "alpha goes from 0"),
        (Look(["a"], style_size=8), "32 pixels at least"),
        (Look(["a:0"]), "weight of a style is above 0"),
        (Look(["a:-1"]), "weight of a style is above 0"),
    ],
)
def test_mistakes_in_a_look(folder: Path, look: Look, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        stylize(folder / "photo.png", folder / "out.png", look)


def test_other_mistakes(folder: Path) -> None:
    look = Look([str(folder / "style.png")])
    with pytest.raises(DataError, match="no file or folder"):
        stylize(folder / "photo.png", folder / "out.png", Look([str(folder / "none.png")]))
    with pytest.raises(DataError, match="A style is that of one picture"):
        stylize(folder / "photo.png", folder / "out.png", Look([str(folder)]))
    with pytest.raises(ConfigError, match="steadiness"):
        stylize(folder / "photo.png", folder / "out.png", look, steadiness=1.0)
    other: Any = build("pca", {}, PictureSpec(3, 8, 8))
    with pytest.raises(CapabilityError, match="adain"):
        stylize(folder / "photo.png", folder / "out.png", look, run=other)


def test_the_command(folder: Path) -> None:
    options = ["--style", f"{folder / 'style.png'}:2", "--mask", str(folder / "clear.png"), "--alpha", "0.5", "--json"]
    given = [str(folder / "photo.png"), "-o", str(folder / "out.png")]
    found = CliRunner().invoke(app, ["stylize", *given, *options])
    assert json.loads(found.stdout)["files"] == ["out.png"], found.output
    assert (folder / "out.png").exists()


def test_a_path_may_hold_a_colon(tmp_path: Path) -> None:
    file = tmp_path / "a:0.5"
    file.write_bytes(b"")
    assert split_weight(str(file)) == (str(file), 1.0)
    assert split_weight(f"{file}:2") == (str(file), 2.0)
    assert split_weight("C:/a.jpg") == ("C:/a.jpg", 1.0)


def test_a_training_of_ones_own(folder: Path) -> None:
    run = mz.train(
        "adain", "digits", out=folder / "run", steps=3, batch_size=4, quiet=True,
        settings={"model": {"width": 4, "levels": 3}, "train": {"precision": "fp32"}},
    )  # fmt: skip
    made = stylize(folder / "photo.png", folder / "out.png", Look([str(folder / "style.png")]), run=run)
    assert read(folder / "out.png").pixels.shape[:2] == (33, 50)
    assert made.files == ("out.png",)
    assert read(folder / "run" / "samples.png").pixels.shape[2] == 1
