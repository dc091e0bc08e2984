"""Models of tables: rows in, rows out, by the columns of the training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mezzotint as mz
from mezzotint.core.errors import ConfigError, DataError
from mezzotint.tasks.reconstruct import reconstruct
from mezzotint.tasks.sample import sample_to

SMALL: dict[str, dict[str, Any]] = {
    "vae": {"network": "mlp", "hidden": [16], "latent": 2},
    "maf": {"layers": 2, "hidden": [16]},
    "gan": {"network": "mlp", "hidden": [16, 16], "latent": 2},
}


def table(path: Path, n: int = 200, shift: float = 0.0) -> Path:
    """Two columns that go together, and a third."""
    random = np.random.default_rng(0)
    x = random.normal(170, 10, n) + shift
    rows = np.stack([x, 0.5 * x + random.normal(0, 2, n), random.random(n)], 1)
    np.savetxt(path, rows, delimiter=",", header="height,weight,luck", comments="")
    return path


@pytest.mark.parametrize("name", list(SMALL))
def test_rows_are_drawn_as_a_table(name: str, tmp_path: Path) -> None:
    source = table(tmp_path / "people.csv")
    run = mz.train(
        name, source, steps=3, batch_size=32, out=tmp_path / "run", settings={"model": SMALL[name]}, quiet=True
    )
    assert run.recipe.train.precision == "fp32"
    assert mz.load(tmp_path / "run").recipe.spec == run.recipe.spec
    (made,) = sample_to(run, 50, seed=1, out=tmp_path / "new.csv")
    lines = made.read_text().splitlines()
    assert (lines[0], len(lines)) == ("height,weight,luck", 51)
    values = np.loadtxt(made, delimiter=",", skiprows=1)
    given = np.loadtxt(source, delimiter=",", skiprows=1)
    room = 0.06 * np.ptp(given, axis=0)
    assert (values >= given.min(0) - room).all()
    assert (values <= given.max(0) + room).all()
    assert sample_to(run, 50, seed=1, out=tmp_path / "again.csv")[0].read_text() == made.read_text()


def test_other_rows_are_read_by_the_columns_of_the_training(tmp_path: Path) -> None:
    source = table(tmp_path / "a.csv")
    settings = {"model": SMALL["maf"]}
    run = mz.train("maf", source, steps=3, batch_size=64, out=tmp_path / "run", settings=settings, quiet=True)
    other = table(tmp_path / "b.csv", n=30, shift=-3.0)
    made = reconstruct(run, other, tmp_path / "out")
    assert set(made.files) == {"rows.csv"}
    back, given = (np.loadtxt(path, delimiter=",", skiprows=1) for path in (tmp_path / "out" / "rows.csv", other))
    held = run.recipe.spec.meaning
    np.testing.assert_allclose(back, given.clip(held.low, held.high), atol=0.01)  # a flow gives back what it was given
    (tmp_path / "c.csv").write_text("height,luck\n1,2\n3,4\n")
    with pytest.raises(DataError, match="holds the columns height, luck; this run takes the columns height, weight"):
        reconstruct(run, tmp_path / "c.csv", tmp_path / "no")
    scores = mz.evaluate(run)
    assert {each.contract.metric for each in scores} == {"likelihood"}


@pytest.mark.parametrize("name", ["vae", "dcgan", "autoencoder"])
def test_convolutions_are_not_for_rows(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"rows of numbers.*model\.network=mlp"):
        mz.train(name, table(tmp_path / "a.csv"), steps=1, out=tmp_path / "run", quiet=True)


def test_pictures_are_no_table(tmp_path: Path) -> None:
    settings = {"model": {"width": 4}}
    run = mz.train("vae", "digits", steps=1, out=tmp_path / "run", settings=settings, quiet=True)
    with pytest.raises(ConfigError, match=r"a\.csv would be a table, and this model makes pictures"):
        sample_to(run, 3, out=tmp_path / "a.csv")
