"""Codes that are set, traversed and read, over every model that has them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from mezzotint.app.cli._app import app
from mezzotint.core.errors import CapabilityError, ConfigError
from mezzotint.data.output import to_uint8
from mezzotint.engine.model import Model, PictureSpec
from mezzotint.tasks._codes import parse_codes
from mezzotint.tasks.encode import encode
from mezzotint.tasks.run import Run
from mezzotint.tasks.sample import draw, interpolate, models_that, sample_grid, walk
from mezzotint.tasks.traverse import labelled, traversal, traverse

CODED = models_that("codes")
Open = Callable[..., Run]


class Stone(Model):
    """A model that can do nothing."""

    name = "stone"


class Sampler(Stone):
    """A model that samples and has no codes."""

    def latent(self, n: int, seed: int = 0, truncation: float = 1.0) -> torch.Tensor:
        return torch.zeros(n, 2)

    def generate(self, latents: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        return torch.zeros(len(latents), 1, 8, 8)

    def sample(self, n: int, seed: int = 0) -> torch.Tensor:
        return torch.zeros(n, 1, 8, 8)


@pytest.mark.parametrize("name", CODED)
def test_each_picture_of_a_traversal_is_what_the_model_makes_of_the_code(
    opened: Open, name: str, tmp_path: Path
) -> None:
    model = opened(name, tmp_path / "run").model
    start = model.latent(2, seed=3)
    found = traversal(model, steps=4, rows=3, samples=2, seed=3)
    assert [row.first for row in found[:2]] == [True, False]
    for place, row in enumerate(found):
        assert len(row.values) == (4 if row.code.continuous else row.code.values)
        for value, picture in zip(row.values, row.pictures, strict=True):
            latent = model.set_codes(start[place % 2 : place % 2 + 1], {row.code.name: value})
            assert model.get_codes(latent)[row.code.name].item() == pytest.approx(value)
            wanted = to_uint8(model.generate(latent).numpy())[0]
            assert np.abs(picture.astype(int) - wanted).max() <= 1  # another batch may round another way


def test_infogan_shows_its_codes_in_order_and_a_wide_latent_its_strongest_units(opened: Open, tmp_path: Path) -> None:
    infogan = opened("infogan", tmp_path / "a")
    assert [row.code.name for row in traversal(infogan)] == ["c0", "c1", "c2"]
    vae = opened("vae", tmp_path / "b", network="mlp")
    weight = vae.model.decoder.body[0].weight
    weight[:, [0, 1, 3]] *= torch.tensor([0.0, 50.0, 0.1])  # unit 0 does nothing now, unit 1 nearly all
    strong = [row.code.name for row in traversal(vae, rows=3)]
    assert strong[0] == "z1"
    assert "z0" not in strong


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_the_sheet_has_names_at_the_left_of_its_rows(opened: Open, channels: int, tmp_path: Path) -> None:
    run = opened("infogan", tmp_path / "run", PictureSpec(channels, 16, 16))
    rows = traversal(run, steps=4)
    sheet = labelled(rows)
    file = traverse(run, tmp_path / "new" / "codes.png", steps=4)
    np.testing.assert_array_equal(np.atleast_3d(np.asarray(Image.open(file))).reshape(sheet.shape), sheet)
    margin = sheet.shape[1] - (2 + 10 * ((sheet.shape[0] - 2) // 3))  # ten columns of squares, the gap among them
    assert margin > 20
    for third in np.split(sheet[1:-1, :margin, 0], 3):
        assert third.min() < 100, "a row has no label"
    continuous = sheet[-10, margin + 2 :, 0]
    assert (continuous[-20:] == 255).all(), "places without a picture are empty"


def test_codes_that_are_set_hold_in_everything_that_is_drawn(opened: Open, tmp_path: Path) -> None:
    model = opened("infogan", tmp_path / "run").model
    latents = model.set_codes(model.latent(4, seed=2), {"c0": 3, "c1": -1.5})
    got = np.concatenate(list(draw(model, 4, 2, codes={"c0": 3, "c1": -1.5})))
    np.testing.assert_array_equal(got, to_uint8(model.generate(latents).numpy()))
    seen = []
    generate = model.generate
    model.generate = lambda z, labels=None: (seen.append(z), generate(z, labels))[1]
    interpolate(model, steps=3, rows=2, codes={"c0": 3, "c2": 0.5})
    walk(model, seconds=0.5, fps=10, stops=3, codes={"c0": 3, "c2": 0.5})
    for codes in map(model.get_codes, seen):
        assert bool((codes["c0"] == 3).all())
        assert bool((codes["c2"] == 0.5).all())


def test_a_walk_stays_where_one_hots_can_be(opened: Open, tmp_path: Path) -> None:
    model = opened("infogan", tmp_path / "run").model
    seen = []
    generate = model.generate
    model.generate = lambda z, labels=None: (seen.append(z), generate(z, labels))[1]
    walk(model, seconds=2, fps=20, stops=4)
    for code in model.codes():
        part = seen[0][:, code.columns]
        if code.continuous:
            assert part.abs().max() <= 1
        else:
            assert part.min() >= 0
            torch.testing.assert_close(part.sum(1), torch.ones(40))


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        ({"c9": 1}, 'There is no code "c9"'),
        ({"c0": 10}, "c0 has the whole values 0 to 9; got 10"),
        ({"c0": 1.5}, "c0 has the whole values"),
        ({"c0": float("nan")}, "got nan"),
        ({"c1": 2.5}, "c1 goes from -2 to 2; got 2.5"),
        ({"c1": float("inf")}, "got inf"),
    ],
)
def test_codes_that_cannot_be(opened: Open, codes: dict[str, float], said: str, tmp_path: Path) -> None:
    run = opened("infogan", tmp_path / "run")
    with pytest.raises(ConfigError, match=said):
        sample_grid(run, 2, out=tmp_path / "a.png", codes=codes)
    assert not (tmp_path / "a.png").exists()


def test_mistakes_of_traversals(opened: Open, tmp_path: Path) -> None:
    run = opened("infogan", tmp_path / "run")
    for options, said in (
        ({"codes": ["c3"]}, "did you mean|known"),
        ({"range": 3}, "c1 goes from -2 to 2; got -3"),
        ({"range": 0}, "above 0"),
        ({"steps": 1}, "steps is at least 2"),
        ({"rows": 0}, "rows is at least 1"),
        ({"samples": 0}, "samples is at least 1"),
    ):
        with pytest.raises(ConfigError, match=said):
            traverse(run, tmp_path / "a.png", **options)
    with pytest.raises(ConfigError, match="they are called z0 to z8"):
        traverse(opened("dcgan", tmp_path / "b", latent=9), tmp_path / "a.png", codes=["q"])
    assert not (tmp_path / "a.png").exists()


def test_a_model_without_codes_is_refused(tmp_path: Path) -> None:
    spec = PictureSpec(1, 8, 8)
    for call in (
        lambda: traverse(Sampler(None, spec), tmp_path / "a.png"),
        lambda: sample_grid(Sampler(None, spec), 2, out=tmp_path / "a.png", codes={"c0": 1}),
    ):
        with pytest.raises(CapabilityError, match=r"named codes, and stone has none; these have: .*infogan"):
            call()
    with pytest.raises(CapabilityError, match="does not"):
        traverse(Stone(None, spec), tmp_path / "a.png")


@pytest.mark.parametrize("texts", [["c0"], ["c0=x"], ["c0="], [""], ["c0=1", "c0=2"]])
def test_parse_codes_refuses_in_a_sentence(texts: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"--code takes|given twice"):
        parse_codes(texts)


def test_encode_writes_the_codes_that_the_model_reads(opened: Open, tmp_path: Path) -> None:
    run = opened("infogan", tmp_path / "run")
    pictures = np.random.default_rng(0).integers(0, 256, (70, 8, 8), dtype=np.uint8)
    found = encode(run, pictures, tmp_path / "codes.csv")
    wanted = run.model.get_codes(run.model.encode(torch.from_numpy(pictures)[:, None] / 127.5 - 1))
    assert found.codes["c0"] == wanted["c0"].tolist()
    np.testing.assert_allclose(found.codes["c2"], wanted["c2"], atol=1e-5)
    table = list(csv.DictReader((tmp_path / "codes.csv").open()))
    assert [int(row["c0"]) for row in table] == found.codes["c0"]
    encode(run, pictures, tmp_path / "codes.json")
    assert len(json.loads((tmp_path / "codes.json").read_text())) == 70
    with pytest.raises(ConfigError, match=r"\.csv or \.json"):
        encode(run, pictures, tmp_path / "codes.txt")
    with pytest.raises(CapabilityError, match="encodes"):
        encode(opened("dcgan", tmp_path / "b"), pictures)


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def said(code: int, *args: str) -> str:
        result = CliRunner().invoke(app, list(args), prog_name="mezzotint")
        assert result.exit_code == code, result.output
        return result.stdout if code == 0 else result.stderr

    tiny = [f"model.{key}" for key in ("width=4", "discriminator_width=4", "latent=4")]
    said(0, "train", "infogan", "digits", "--steps", "1", "--batch-size", "8", "--device", "cpu", "--out", "a", "-q",
         *(part for setting in tiny for part in ("--set", setting)))  # fmt: skip
    assert said(0, "traverse", "a", "--range", "1").strip() == str(Path("a/codes.png"))
    assert said(0, "sample", "a", "-n", "2", "--code", "c0=3", "--code", "c1=-1.5", "-o", "b.png").strip() == "b.png"
    assert json.loads(said(0, "encode", "a", "b.png", "--json"))["pictures"][0]["picture"] == "b.png"
    for args, sentence in (
        (("sample", "a", "--code", "c7=1"), "There is no code"),
        (("sample", "a", "--code", "c0=10"), "0 to 9; got 10"),
        (("sample", "a", "--code", "c1"), "--code takes name=number"),
        (("traverse", "a", "--code", "z1"), "There is no code"),
    ):
        error = said(2, *args)
        assert sentence in error
        assert len(error.splitlines()) == 1
