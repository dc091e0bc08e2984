"""Disentanglement scores on codes whose answer is known, and their parts beside scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from mezzotint.core.errors import DataError
from mezzotint.core.rng import stream
from mezzotint.metrics.disentangle import BINS, Factors, dci, factor_vae_score, mig, mutual_information, sap

NAMES = ("shape", "x", "colour")
COUNTS = (3, 16, 8)


def factors(n: int = 2000, seed: int = 0) -> Factors:
    values = stream(seed, "test").integers(0, COUNTS, (n, 3))
    return Factors(NAMES, values, (False, True, False))


def noise(n: int, d: int) -> np.ndarray:
    return stream(1, "test noise").standard_normal((n, d))


def scores(codes: np.ndarray, known: Factors) -> dict[str, float]:
    found = {"mig": mig(codes, known), "sap": sap(codes, known), "factor": factor_vae_score(codes, known)}
    for name, each in {**found, **dci(codes, known)}.items():
        assert each.low is not None, name
        assert each.low <= each.value <= each.high, name
        found[name] = each
    return {name: each.value for name, each in found.items()}


def test_a_unit_for_each_factor_is_perfect() -> None:
    """In any order, at any scale, with a unit left over that says nothing."""
    known = factors()
    codes = np.concatenate([-3.0 * known.values[:, ::-1], 0.5 * noise(2000, 1)], 1)
    found = scores(codes, known)
    assert found["mig"] > 0.97
    assert (
        found["sap"] > 0.6
    )  # where one unit tells all, another may still be right by chance: 1/3 and 1/8 of the times
    assert found["factor"] > 0.99
    assert found["disentanglement"] > 0.95
    assert found["completeness"] > 0.95
    assert found["informativeness"] > 0.99


def test_noise_is_useless() -> None:
    found = scores(noise(2000, 4), factors())
    assert found["mig"] < 0.01
    assert found["sap"] < 0.02
    assert found["factor"] < 0.55  # three factors, of which x has groups small enough to vary by chance
    assert found["disentanglement"] < 0.05
    assert abs(found["informativeness"]) < 0.1


def test_turned_codes_say_as_much_and_are_tangled() -> None:
    """A rotation of the code keeps what it tells; no unit has a factor of its own any more."""
    known = factors()
    straight = (known.values - known.values.mean(0)) / known.values.std(0)
    turn, _ = np.linalg.qr(stream(5, "turn").standard_normal((3, 3)))
    turned, clean = scores(straight @ turn, known), scores(straight, known)
    for name in ("mig", "sap", "disentanglement", "completeness"):
        assert turned[name] < 0.5 * clean[name], name
    assert turned["informativeness"] > 0.6


def test_two_units_that_say_the_same_have_no_gap() -> None:
    known = factors()
    codes = np.concatenate([known.values, known.values], 1).astype(float)
    assert mig(codes, known).value == pytest.approx(0, abs=1e-12)
    assert sap(codes, known).value == pytest.approx(0, abs=1e-12)
    assert dci(codes, known)["completeness"].value < 0.8
    assert dci(codes, known)["disentanglement"].value > 0.9


def test_mutual_information_is_scikit_learns() -> None:
    known, z = factors(500), noise(500, 2)
    z[:, 0] += known.values[:, 1]
    found = mutual_information(z, known.values)
    for d in range(2):
        edges = np.histogram_bin_edges(z[:, d], BINS)
        bins = np.clip(np.digitize(z[:, d], edges) - 1, 0, BINS - 1)
        for k in range(3):
            assert found[d, k] == pytest.approx(mutual_info_score(bins, known.values[:, k]), abs=1e-9)


def test_intervals_hold_the_value_of_more_pictures() -> None:
    """Of twenty sets of 400, the 95 % interval of the gap holds what 20,000 pictures say in most."""

    def codes(known: Factors, seed: int) -> np.ndarray:
        return known.values[:, [0, 0, 1]] + stream(seed, "blur").standard_normal((len(known.values), 3)) * (1, 6, 1)

    def ordered(n: int, seed: int) -> Factors:
        known = factors(n, seed)
        return Factors(NAMES[1:], known.values[:, 1:], (True, True))

    large = ordered(20_000, 99)
    truth = sap(codes(large, 99), large).value
    held = 0
    for seed in range(20):
        small = ordered(400, seed)
        found = sap(codes(small, seed), small)
        held += found.low <= truth <= found.high
    assert held >= 15


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        (np.zeros((30, 1)), "two units at least"),
        (np.zeros((29, 3)), "do not fit"),
        (np.full((30, 3), np.nan), "diverged"),
    ],
)
def test_what_cannot_be_scored_is_said(codes: np.ndarray, said: str) -> None:
    with pytest.raises(DataError, match=said):
        mig(codes, factors(30))


def test_a_factor_that_never_changes_is_named() -> None:
    known = factors(30)
    known.values[:, 2] = 4
    with pytest.raises(DataError, match='"colour" has one value only'):
        dci(noise(30, 3), known)
