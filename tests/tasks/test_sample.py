"""Pictures from models: sheets, files, interpolations, films and labels, over every model that samples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mezzotint.core.errors import CapabilityError, ConfigError, DataError
from mezzotint.data.output import grid, to_uint8
from mezzotint.engine.model import MODELS, Model, PictureSpec, build
from mezzotint.tasks._labels import can_be_conditional
from mezzotint.tasks.run import Run
from mezzotint.tasks.sample import (
    interpolate,
    loop_weights,
    models_that,
    parse_labels,
    sample_files,
    sample_grid,
    sample_to,
    slerp,
    walk,
    walk_film,
)

SAMPLERS = models_that("samples")
CONDITIONAL = [name for name in SAMPLERS if can_be_conditional(MODELS.get(name))]
CLASSES = ("cat", "dog", "owl")
Open = Callable[..., Run]


class Stone(Model):
    """A model that can do nothing."""

    name = "stone"


@pytest.mark.parametrize("name", SAMPLERS)
def test_grid_is_what_the_model_samples(opened: Open, name: str, tmp_path: Path) -> None:
    run = opened(name, tmp_path / "run")
    out = sample_grid(run, 6, 3, out=tmp_path / "new" / "grid.png", columns=3)
    image = Image.open(out)
    wanted = grid(to_uint8(run.model.sample(6, seed=3).numpy()), columns=3)
    np.testing.assert_array_equal(np.asarray(image), wanted[..., 0])
    assert not image.info


@pytest.mark.parametrize("name", SAMPLERS)
def test_files_are_the_pictures_of_the_grid_and_the_seed_decides(opened: Open, name: str, tmp_path: Path) -> None:
    run = opened(name, tmp_path / "run", PictureSpec(3, 9, 11, CLASSES))
    files = sample_files(run, 3, 5, out=tmp_path / "a")
    assert [file.name for file in files] == ["00000.png", "00001.png", "00002.png"]
    wanted = to_uint8(run.model.sample(3, seed=5).numpy())
    for file, picture in zip(files, wanted, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(file)), picture)
    again = sample_files(run.model, 2, 5, out=tmp_path / "b")  # a model, and fewer of them
    assert [f.read_bytes() for f in again] == [f.read_bytes() for f in files[:2]]
    other = sample_files(run, 2, 6, out=tmp_path / "c")
    assert [f.read_bytes() for f in other] != [f.read_bytes() for f in files[:2]]


def test_more_pictures_than_are_made_at_a_time(opened: Open, tmp_path: Path) -> None:
    run = opened(SAMPLERS[0], tmp_path / "run")
    files = sample_files(run, 259, out=tmp_path / "a")
    wanted = to_uint8(run.model.sample(259).numpy())
    assert len(files) == 259
    np.testing.assert_array_equal(np.asarray(Image.open(files[-1])), wanted[-1, ..., 0])


def test_files_are_not_overwritten_unless_asked(opened: Open, tmp_path: Path) -> None:
    run = opened(SAMPLERS[0], tmp_path / "run")
    (tmp_path / "00001.png").write_bytes(b"mine")
    with pytest.raises(ConfigError, match=r"00001\.png is there already"):
        sample_files(run, 3, out=tmp_path)
    assert not (tmp_path / "00000.png").exists()
    sample_files(run, 1, out=tmp_path)  # touches nothing that is there
    assert (tmp_path / "00001.png").read_bytes() == b"mine"
    sample_files(run, 3, out=tmp_path, overwrite=True)
    assert (tmp_path / "00001.png").read_bytes() != b"mine"


def test_sample_to_tells_files_from_sheets(opened: Open, tmp_path: Path) -> None:
    run = opened(SAMPLERS[0], tmp_path / "run")
    assert sample_to(run, 2, out=tmp_path / "x.png") == [tmp_path / "x.png"]
    assert len(sample_to(run, 2, out=tmp_path / "folder")) == 2
    with pytest.raises(ConfigError, match="the name of a file"):
        sample_to(run, 2, out=tmp_path / "odd.png", single=True)
    (tmp_path / "odd.png").mkdir()
    assert len(sample_to(run, 2, out=tmp_path / "odd.png")) == 2  # now it is a folder
    with pytest.raises(ConfigError, match="is a file"):
        sample_to(run, 2, out=tmp_path / "x.png", single=True)


def test_mistakes_have_a_sentence_and_leave_nothing(opened: Open, tmp_path: Path) -> None:
    run = opened(SAMPLERS[0], tmp_path / "run")
    for bad in ({"n": 0}, {"n": -1}, {"truncation": 0.0}, {"truncation": 1.5}):
        with pytest.raises(ConfigError):
            sample_files(run, **{"n": 2, "out": tmp_path / "none", **bad})
        with pytest.raises(ConfigError):
            sample_grid(run, **{"n": 2, "out": tmp_path / "none.png", **bad})
    with pytest.raises(ConfigError, match=r"\.png"):
        sample_grid(run, 2, out=tmp_path / "none.tiff")
    for bad in ({"steps": 1}, {"rows": 0}):
        with pytest.raises(ConfigError, match="at least"):
            interpolate(run, **bad)
    for bad in ({"stops": 1}, {"seconds": 0}, {"fps": 0}, {"fps": 200}, {"seconds": float("nan")}):
        with pytest.raises(ConfigError):
            walk(run, **bad)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]


def test_a_model_that_does_not_sample_is_refused(tmp_path: Path) -> None:
    stone = Stone(None, PictureSpec(1, 8, 8))
    for call in (
        lambda: sample_grid(stone, 1, out=tmp_path / "a.png"),
        lambda: interpolate(stone),
        lambda: walk(stone),
    ):
        with pytest.raises(CapabilityError, match=SAMPLERS[0]):
            call()


def test_a_model_that_diverged_is_refused_in_words(opened: Open, tmp_path: Path) -> None:
    run = opened(SAMPLERS[0], tmp_path / "run")
    for parameter in run.model.parameters():
        parameter.fill_(float("nan"))
    with pytest.raises(DataError, match="diverged"):
        sample_files(run, 2, out=tmp_path / "a")


@pytest.mark.parametrize("name", SAMPLERS)
def test_rows_of_an_interpolation_start_and_end_at_latents(opened: Open, name: str, tmp_path: Path) -> None:
    run = opened(name, tmp_path / "run")
    sheet = interpolate(run, seed=3, steps=4, rows=2)
    np.testing.assert_array_equal(sheet, interpolate(run, seed=3, steps=4, rows=2))
    ends = run.model.latent(4, seed=3)
    labels = torch.tensor([0, 0, 1, 1])
    with torch.no_grad():
        pictures = to_uint8(run.model.generate(ends, labels).numpy())
    scale = (sheet.shape[0] - 2 * 3) // 16
    for place, (row, column) in enumerate(((0, 0), (0, 3), (1, 0), (1, 3))):
        y, x = 2 + row * (8 * scale + 2), 2 + column * (8 * scale + 2)
        cell = sheet[y : y + 8 * scale : scale, x : x + 8 * scale : scale]
        assert np.abs(cell.astype(int) - pictures[place]).max() <= 1  # another batch may round another way


@pytest.mark.parametrize("name", SAMPLERS)
def test_walk_is_closed_smooth_and_decided_by_the_seed(opened: Open, name: str, tmp_path: Path) -> None:
    run = opened(name, tmp_path / "run")
    frames = walk(run, seed=1, seconds=2, fps=12, stops=3)
    assert frames.shape == (24, 8, 8, 1)
    np.testing.assert_array_equal(frames, walk(run, seed=1, seconds=2, fps=12, stops=3))
    with torch.no_grad():
        stop = to_uint8(run.model.generate(run.model.latent(3, seed=1), torch.zeros(3, dtype=torch.int64)).numpy())
    assert np.abs(frames[::8].astype(int) - stop).max() <= 1


@pytest.mark.parametrize("suffix", ["gif", "mp4"])
def test_film_is_written_and_magnified(opened: Open, suffix: str, tmp_path: Path) -> None:
    if suffix == "mp4":
        pytest.importorskip("av")
    run = opened(SAMPLERS[0], tmp_path / "run")
    out = walk_film(run, tmp_path / "films" / f"walk.{suffix}", fps=10, seconds=0.5, stops=3)
    assert out.stat().st_size > 0
    if suffix == "gif":
        image = Image.open(out)
        assert (image.size, image.n_frames) == ((256, 256), 5)


@pytest.mark.parametrize("name", CONDITIONAL)
def test_conditional_models_draw_the_class_asked_for(opened: Open, name: str, tmp_path: Path) -> None:
    run = opened(name, tmp_path / "run", conditional=True)
    for label in ("owl", "2", [2, 2], torch.tensor([2, 2])):
        sheet = sample_grid(run, 2, out=tmp_path / "grid.png", labels=label)
        wanted = grid(to_uint8(run.model.sample(2, labels=torch.tensor([2, 2])).numpy()))
        np.testing.assert_array_equal(np.asarray(Image.open(sheet)), wanted[..., 0])
    assert interpolate(run, steps=2, rows=3, labels="cat,owl").ndim == 3
    film = walk(run, seconds=0.2, fps=10, stops=2)
    np.testing.assert_array_equal(film, walk(run, seconds=0.2, fps=10, stops=2, labels="cat"))
    with pytest.raises(ConfigError, match="one class"):
        walk(run, labels="all")
    with pytest.raises(ConfigError, match="did you mean"):
        sample_grid(run, 2, out=tmp_path / "no.png", labels="owls")
    for wrong in ([0, 1, 2], [3, 0]):
        with pytest.raises(ConfigError):
            sample_grid(run, 2, out=tmp_path / "no.png", labels=wrong)


@pytest.mark.parametrize("name", [n for n in SAMPLERS if not getattr(MODELS.get(n).Config(), "conditional", False)])
def test_labels_for_a_model_without_classes_are_refused(opened: Open, name: str, tmp_path: Path) -> None:
    run = opened(name, tmp_path / "run")
    for call in (
        lambda: sample_grid(run, 2, out=tmp_path / "a.png", labels="cat"),
        lambda: sample_files(run, 2, out=tmp_path / "a", labels=[0, 1]),
        lambda: interpolate(run, labels="0"),
        lambda: walk(run, labels="all"),
    ):
        with pytest.raises(ConfigError, match="trained without classes"):
            call()


@pytest.mark.parametrize(
    ("text", "classes", "wanted"),
    [
        ("dog", ("cat", "dog"), [1, 1, 1]),
        ("0", ("cat", "dog"), [0, 0, 0]),
        ("dog, 0", ("cat", "dog"), [1, 0, 1]),
        ("all", ("cat", "dog"), [0, 1, 0]),
        ("1", ("7", "1", "0"), [1, 1, 1]),  # a name wins over a number
        ("0", ("7", "1", "0"), [2, 2, 2]),
        ("2", ("7", "1", "0"), [2, 2, 2]),
        ("all", ("one", "all"), [1, 1, 1]),
        ("a,b", ("a", "b", "a,b"), [2, 2, 2]),
    ],
)
def test_parse_labels(text: str, classes: tuple[str, ...], wanted: list[int]) -> None:
    got = parse_labels(text, classes, 3)
    assert got.dtype == torch.int64
    assert got.tolist() == wanted


@pytest.mark.parametrize("text", ["", "2", "-1", "cat,", "Cat", "1.0", "²", "99999999999999999999"])
def test_parse_labels_refuses_in_a_sentence(text: str) -> None:
    with pytest.raises(ConfigError, match="There is no class") as caught:
        parse_labels(text, ("cat", "dog"), 3)
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="knows no classes"):
        parse_labels(text, (), 3)


def test_slerp_keeps_the_length_and_the_ends() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 50, generator=generator)
    b *= a.norm() / b.norm()
    way = slerp(a, b, 9)
    torch.testing.assert_close(way.norm(dim=1), a.norm().expand(9))
    torch.testing.assert_close(way[[0, -1]], torch.stack([a, b]))
    steps = (way[1:] - way[:-1]).norm(dim=1)
    torch.testing.assert_close(steps, steps.mean().expand(8), rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    ("a", "b"), [([1.0, 0], [2.0, 0]), ([1.0, 0], [-1.0, 0]), ([0.0, 0], [1.0, 0]), ([1.0], [-3.0])]
)
def test_slerp_where_there_is_no_arc(a: list[float], b: list[float]) -> None:
    way = slerp(torch.tensor(a), torch.tensor(b), 5)
    assert way.isfinite().all()
    torch.testing.assert_close(way[[0, -1]], torch.tensor([a, b]))


@given(st.integers(2, 9), st.integers(20, 60))
def test_loop_weights(stops: int, times: int) -> None:
    frames = stops * times
    weights = loop_weights(frames, stops)
    np.testing.assert_allclose(np.linalg.norm(weights, axis=1), 1)
    np.testing.assert_allclose(weights[::times], np.eye(stops), atol=1e-9)
    steps = np.linalg.norm(np.roll(weights, -1, axis=0) - weights, axis=1)
    assert steps[-1] < 1.5 * max(steps[0], steps[-2])  # the step that closes the loop is like its neighbours
    turns = np.linalg.norm(np.roll(weights, -2, axis=0) - 2 * np.roll(weights, -1, axis=0) + weights, axis=1)
    assert turns.max() < steps.max() / 2  # no corners


def test_building_a_model_is_all_it_takes() -> None:
    model = build(SAMPLERS[0], {}, PictureSpec(1, 8, 8)).eval()
    assert walk(model, seconds=0.1, fps=10).shape[0] == 1
