"""Every command copes with points of the plane: drawn as a scatter plot, kept whole, and their modes counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mezzotint as mz
from mezzotint.core.errors import DataError
from mezzotint.data.open import open_pictures
from mezzotint.data.points import MIXTURES
from mezzotint.data.types import DataConfig
from mezzotint.engine.model import PictureSpec
from mezzotint.tasks.evaluate import evaluate
from mezzotint.tasks.reconstruct import reconstruct
from mezzotint.tasks.sample import interpolate, sample_files, sample_grid, walk

MODEL = {"network": "mlp", "latent": 2, "hidden": (8,)}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A VAE of points, hardly trained, that has left two previews."""
    settings = {"model": MODEL, "train": {"steps": 2, "preview_every": 1, "batch_size": 16}}
    return mz.train("vae", "ring", out=tmp_path_factory.mktemp("runs") / "ring", settings=settings, quiet=True)


def test_previews_are_plots_over_the_real_points(run: Any) -> None:
    files = sorted((run.path / "pictures").glob("step-*.png"))
    assert len(files) == 2
    picture = np.asarray(Image.open(files[-1]))
    assert picture.shape == (512, 512, 3)
    # The mode at (2, 0) of -3 to 3: the held-out points are pale there.
    assert picture[256, 256 + round(2 / 6 * 512)].tolist() == [205, 205, 205]


def test_the_run_knows_its_points_again(run: Any) -> None:
    again = mz.load(run.path)
    assert again.model.spec.meaning == MIXTURES["ring"].points
    assert PictureSpec.from_json(again.model.spec.to_json()) == again.model.spec
    assert "points" not in PictureSpec(1, 8, 8).to_json()
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "points of vae after step 2" in page


def test_sheets_and_films_are_plots(run: Any, tmp_path: Path) -> None:
    path = sample_grid(run, 20, out=tmp_path / "points.png")
    assert Image.open(path).size == (512, 512)
    assert interpolate(run, steps=3, rows=2).shape == (512, 512, 3)
    assert walk(run, seconds=0.2, fps=10).shape == (2, 512, 512, 3)


def test_single_points_keep_16_bits(run: Any, tmp_path: Path) -> None:
    files = sample_files(run, 5, 7, out=tmp_path / "single")
    points = MIXTURES["ring"].points
    kept = np.stack([np.array(Image.open(file)) for file in files]).astype(np.uint16)
    made = run.model.sample(5, seed=7).numpy().reshape(5, 2) * 3
    assert np.abs(points.numbers(kept) - made).max() < points.sigma / 200
    found = evaluate(tmp_path / "single", "ring", metrics="modes", extractor="pixels")
    same = evaluate(run, metrics="modes", n=5, seed=7, extractor="pixels")
    assert found["modes found"].unit == "of 8"
    assert found["modes found"].contract.n_fake == same["modes found"].contract.n_fake == 5
    done = reconstruct(run, tmp_path / "single", tmp_path / "again")
    assert np.array(Image.open(tmp_path / "again" / done.files[0])).dtype == np.uint16
    assert Image.open(tmp_path / "again" / "grid.png").size == (512, 512)


def test_true_points_have_all_modes() -> None:
    """A quarter of the set against the set itself: every mode, and the share that the closed form says."""
    made = open_pictures("grid", DataConfig(validation=0.2)).split("validation")
    found = evaluate(made, "grid", metrics="modes", extractor="pixels")
    assert found["modes found"].value == 25
    good = found["good samples"]
    assert good.low is not None
    assert good.high is not None
    assert good.low < 1 - np.exp(-4.5) < good.high
    assert found["KL divergence of modes"].value < 0.01


def test_scores_of_pictures_are_left_out_and_modes_need_points(run: Any) -> None:
    found = evaluate(run, n=50, extractor="pixels")
    assert {score.name for score in found} >= {"modes found", "good samples"}
    assert found.skipped["kid"] == "these are points of the plane, and it is a score of pictures"
    with pytest.raises(DataError, match="such as ring or grid, and digits is none"):
        evaluate("digits", "digits", metrics="modes", extractor="pixels")
    with pytest.raises(DataError, match='"kid" cannot be had: these are points'):
        evaluate(run, metrics="kid", n=50, extractor="pixels")
