"""A score survives JSON, and is compared only with what was measured in the same way."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import bootstrap, ttest_1samp

from mezzotint.core.errors import DataError
from mezzotint.metrics.score import Contract, Estimate, Score, ScoreError, compare, mean_estimate, versions

CONTRACT = Contract(
    "frechet", "pixels", "a" * 64, "bilinear", 100, 90, "test", 3, (8, 8, 1), "b" * 64, versions() | {"torch": "2.13.0"}
)


def score(value: float = 1.0, half: float = 0.1, better: Any = "lower", **contract: Any) -> Score:
    found = Estimate(value, value - half, value + half, "analytic", ("few",), {"sd": 0.5})
    return Score.of("Fréchet distance", found, replace(CONTRACT, **contract), better)


@pytest.mark.parametrize("value", [1.5, 0.1 + 0.2, float("inf"), -1e-300])
def test_json_gives_back_the_same_score(value: float) -> None:
    made = replace(score(), value=value, low=None)
    text = json.dumps(made.to_json(), allow_nan=False)
    assert Score.from_json(json.loads(text)) == made


def test_json_refuses_what_it_does_not_know() -> None:
    made = score().to_json()
    for broken, words in (
        (made | {"colour": 1}, "does not know colour"),
        ({k: v for k, v in made.items() if k != "unit"}, "lacks unit"),
        (made | {"schema": 99}, "schema 99"),
        (made | {"contract": made["contract"] | {"x": 1}}, "the contract of .* does not know x"),
        (made | {"contract": 3}, "not a JSON object"),
        (made | {"better": "higher still"}, "better="),
        (made | {"value": "much"}, "wrong type"),
        (made | {"details": [1]}, "wrong type"),
        ([], "not a JSON object"),
    ):
        with pytest.raises(ScoreError, match=words):
            Score.from_json(broken, "scores.json")  # type: ignore[arg-type]


OTHER = {
    "metric": "kid", "extractor": "random", "extractor_digest": "c" * 64, "resizer": "none", "n_real": 1, "n_fake": 1,
    "split": "train", "seed": 4, "size": (8, 8, 3), "real": "d" * 64,
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER)
def test_any_difference_of_the_contract_is_refused_by_name(name: str) -> None:
    with pytest.raises(ScoreError, match=rf"cannot be compared: {name} is"):
        compare(score(), score(**{name: OTHER[name]}))


def test_every_field_of_the_contract_is_tried_above() -> None:
    assert set(OTHER) == {each.name for each in fields(Contract)} - {"versions"}


def test_of_the_versions_those_that_change_numbers_count() -> None:
    base = dict(CONTRACT.versions)
    compare(score(), score(versions=base | {"torch": "2.13.7", "numpy": "9", "mezzotint": "9", "python": "9"}))
    for name, value in (("torch", "2.14.0"), ("schema", "0")):
        with pytest.raises(ScoreError, match=f"versions.{name} is"):
            compare(score(), score(versions=base | {name: value}))


def test_all_differences_are_named_at_once() -> None:
    with pytest.raises(ScoreError, match=r"n_fake is 90 and 1; seed is 3 and 4"):
        compare(score(), score(n_fake=1, seed=4))


def test_which_is_better_depends_on_the_direction() -> None:
    small, large = score(1.0), score(2.0)
    assert compare(small, large).better == "a"
    assert compare(large, small).better == "b"
    up = compare(score(1.0, better="higher"), score(2.0, better="higher"), ("dcgan", "vae"))
    assert up.better == "b"
    assert "vae is better" in up.sentence
    assert up.difference == 1.0


def test_nothing_is_claimed_where_chance_may_have_done_it() -> None:
    assert "overlap" in compare(score(1.0), score(1.15)).sentence
    assert compare(score(1.0), score(1.15)).better is None
    bare = replace(score(9.0), low=None, high=None)
    assert "no interval" in compare(score(), bare).sentence
    assert compare(score(1.0, better="none"), score(5.0, better="none")).better is None


def test_the_mean_has_the_interval_of_the_t_test() -> None:
    values = np.random.default_rng(0).exponential(size=60)
    found = mean_estimate(values)
    expected = ttest_1samp(values, 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9)
    rough = bootstrap((values,), np.mean, rng=np.random.default_rng(1)).confidence_interval
    assert (found.low, found.high) == pytest.approx((rough.low, rough.high), abs=0.08)


def test_the_mean_of_one_or_none() -> None:
    assert mean_estimate([2.0]).low is None
    assert mean_estimate([2.0]).warnings
    with pytest.raises(DataError, match="no pictures were scored"):
        mean_estimate([])
