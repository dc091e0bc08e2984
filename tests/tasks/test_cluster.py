"""Clusters of pictures: what is written, how it is scored, and mistakes in one sentence."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score

import mezzotint as mz
from mezzotint.core.errors import CapabilityError, ConfigError, DataError
from mezzotint.data.types import DataConfig
from mezzotint.metrics.clusters import agreement, cluster_accuracy
from mezzotint.tasks.cluster import METHODS, cluster


def test_clusters_of_values_are_scikit_learns(tmp_path: Path) -> None:
    found = cluster("digits", tmp_path / "out", clusters=10)
    digits = load_digits()
    x = np.round(digits.data / 16 * 255).astype(np.float32) / 255
    expected = KMeans(10, n_init=10, random_state=0).fit_predict(x)
    assert adjusted_rand_score(expected, found.labels) > 0.99
    assert list(found.sizes) == sorted(found.sizes, reverse=True)
    assert found.sizes == tuple(np.bincount(found.labels))
    assert found.scores == agreement(digits.target, found.labels)


def test_what_is_written(tmp_path: Path) -> None:
    found = cluster("digits", tmp_path, clusters=12, most=200, seed=3)
    with (tmp_path / "clusters.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["cluster"]) for row in rows] == found.labels.tolist()
    assert [row["picture"] for row in rows] == list(found.names)
    assert {row["class"] for row in rows} == set("0123456789")
    document = json.loads((tmp_path / "clusters.json").read_text())
    assert document["method"] == "kmeans"
    assert document["sizes"] == list(found.sizes)
    sheets = sorted(path.name for path in tmp_path.glob("cluster-*.png"))
    assert sheets == [f"cluster-{k:02d}.png" for k in range(12)]
    with Image.open(tmp_path / "overview.png") as overview:
        assert overview.width > overview.height * 0.8
    text = (tmp_path / "report.html").read_text()
    assert text.count("<img") == 12
    assert "12 clusters of digits" in text
    cluster("digits", tmp_path, clusters=3, most=50)
    assert len(list(tmp_path.glob("cluster-*.png"))) == 3, "the sheets of before are gone"


@pytest.mark.parametrize("method", METHODS)
def test_every_method_divides_pictures_of_two_kinds(tmp_path: Path, method: str) -> None:
    rng = np.random.default_rng(0)
    kinds = [rng.uniform(0.5, 1, (30, 3)) @ rng.random((3, 25)) for _ in range(2)]
    x = np.concatenate(kinds)
    pictures = (x / x.max() * 255).astype(np.uint8).reshape(60, 5, 5)
    found = cluster(pictures, tmp_path, method=method, clusters=2)
    assert len(found.labels) == 60
    assert len(found.sizes) == 2
    assert found.scores == {}


def test_settings_are_those_of_the_estimator(tmp_path: Path) -> None:
    told = {"n_init": 1, "init": "random", "max_iter": 1}
    found = cluster("digits", tmp_path / "out", clusters=10, settings=told)
    x = np.round(load_digits().data / 16 * 255).astype(np.float32) / 255
    expected = KMeans(10, random_state=0, n_init=1, init="random", max_iter=1).fit_predict(x)
    assert adjusted_rand_score(expected, found.labels) > 0.99
    assert json.loads((tmp_path / "out" / "clusters.json").read_text())["settings"] == told


@pytest.mark.parametrize(
    ("method", "settings", "said"),
    [
        ("kmeans", {"n_int": 2}, 'KMeans has no setting "n_int" that could be changed; did you mean "n_init"'),
        ("kmeans", {"n_clusters": 2}, 'no setting "n_clusters"'),
        ("kmeans", {"random_state": 2}, 'no setting "random_state"'),
        ("gmm", {"n_components": 2}, 'no setting "n_components"'),
        ("kmeans", {"n_init": "many"}, "kmeans cannot cluster these pictures so: The 'n_init' parameter"),
        ("ssc-omp", {"n_components": "all"}, "ssc-omp cannot cluster these pictures so: n_components='all'"),
        ("ssc-omp", {"n_nonzero": "five"}, "ssc-omp cannot cluster these pictures so"),
    ],
)
def test_settings_that_cannot_be_used(tmp_path: Path, method: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        cluster("digits", tmp_path, method=method, settings=settings, most=40)
    assert not list(tmp_path.iterdir())


def test_by_the_codes_of_a_run_and_by_an_extractor(tmp_path: Path) -> None:
    run = mz.train("pca", "digits", out=tmp_path / "run", quiet=True, settings={"model": {"components": 20}})
    by_codes = cluster("digits", tmp_path / "a", features=run, clusters=10)
    by_path = cluster("digits", tmp_path / "b", features=str(tmp_path / "run"), clusters=10)
    assert np.array_equal(by_codes.labels, by_path.labels)
    seen = cluster("digits", tmp_path / "c", features="mezzotint-1", clusters=10, most=400)
    assert seen.scores["accuracy"] > 0.8


def test_accuracy_is_of_the_best_match() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 200)
    renamed = np.array([2, 3, 0, 1])[truth]
    assert cluster_accuracy(truth, renamed) == 1
    wrong = renamed.copy()
    wrong[:20] = (wrong[:20] + 1) % 4
    assert cluster_accuracy(truth, wrong) == pytest.approx(0.9)
    assert cluster_accuracy(truth, np.zeros(200, int)) == pytest.approx(np.bincount(truth).max() / 200)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"method": "means"}, ConfigError, 'no method "means"'),
        ({"clusters": 1}, ConfigError, "2 clusters at least"),
        ({"features": "nothing"}, ConfigError, '"nothing" is neither features nor a run'),
        ({"clusters": 60, "most": 50}, DataError, "60 clusters need as many pictures"),
    ],
)
def test_mistakes(tmp_path: Path, options: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        cluster("digits", tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_too_many_pictures_for_a_method(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="ssc takes up to 6,000 pictures, by memory, and these are 6,001; use --most 6000"
    ):
        cluster(np.zeros((6001, 2, 2), np.uint8), tmp_path, method="ssc")


def test_a_model_that_does_not_encode_has_no_codes(tmp_path: Path) -> None:
    run = mz.train("dcgan", "digits", out=tmp_path / "run", steps=1, quiet=True, size=16)
    with pytest.raises(CapabilityError, match="encodes"):
        cluster("digits", tmp_path / "out", features=run)


def test_nothing_of_somebody_elses_is_replaced(tmp_path: Path) -> None:
    own = tmp_path / "cluster-1.png"
    own.write_bytes(b"mine")
    with pytest.raises(ConfigError, match="holds other files, which clusters could replace; name a new folder"):
        cluster("digits", tmp_path, most=50)
    assert own.read_bytes() == b"mine"


def test_pictures_are_read_as_the_run_was_trained_on_them(tmp_path: Path) -> None:
    run = mz.train("pca", "digits", out=tmp_path / "run", quiet=True, settings={"model": {"components": 5}})
    with pytest.raises(ConfigError, match="leave size and fit out"):
        cluster("digits", tmp_path / "out", features=run, config=DataConfig(size=16))


def test_what_could_not_be_read_is_told(tmp_path: Path) -> None:
    pictures = tmp_path / "in"
    pictures.mkdir()
    for i in range(6):
        Image.new("L", (8, 8), 40 * i).save(pictures / f"{i}.png")
    (pictures / "bad.png").write_bytes(b"no picture")
    found = cluster(pictures, tmp_path / "out", clusters=2)
    assert [Path(bad.path).name for bad in found.left_out] == ["bad.png"]
    assert len(found.labels) == 6
