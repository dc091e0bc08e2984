"""Information of a normal latent against the Gaussian channel, and against codes that must tell all or nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from mezzotint.core.errors import DataError
from mezzotint.metrics.latent import active_units, gaussian_kl_of, latent_information


@pytest.mark.parametrize(("spread", "units"), [(0.5, 1), (1.0, 2), (2.0, 1)])
def test_a_gaussian_channel_has_the_information_of_the_textbook(spread: float, units: int) -> None:
    """Means of variance s^2 and noise of variance 1: I = 1/2 log(1 + s^2) for each unit."""
    mean = spread * np.random.default_rng(0).standard_normal((4000, units))
    found = latent_information(mean, np.zeros_like(mean), seed=3)
    expected = 0.5 * units * math.log(1 + spread**2)
    assert found.value == pytest.approx(expected, abs=0.05)
    assert found.low < expected < found.high


def test_useless_latents_tell_nothing_and_distinct_ones_all() -> None:
    same = np.zeros((300, 4))
    assert latent_information(same, same).value == pytest.approx(0, abs=1e-9)
    apart = np.arange(300.0)[:, None]
    found = latent_information(apart, np.full((300, 1), -8.0))
    assert found.value == pytest.approx(math.log(300), abs=1e-6)
    assert found.details["most"] == pytest.approx(math.log(300))


def test_each_picture_counts_with_its_own_variance() -> None:
    """Two normals of one mean: what is told is their Jensen-Shannon divergence, by numerical integration."""
    n = 3000
    log_variance = np.tile([0.0, 3.0], n // 2)[:, None]
    x = np.linspace(-40, 40, 200_001)
    p, q = norm.pdf(x), norm.pdf(x, scale=math.exp(1.5))
    middle = (p + q) / 2
    expected = 0.5 * sum(np.trapezoid(each * np.log(np.maximum(each, 1e-300) / middle), x) for each in (p, q))
    assert latent_information(np.zeros((n, 1)), log_variance).value == pytest.approx(expected, abs=0.03)


def test_kl_and_active_units() -> None:
    assert gaussian_kl_of([[0.0]], [[1.0]])[0] == pytest.approx(0.5 * (math.e - 2))
    rng = np.random.default_rng(0)
    mean = rng.standard_normal((2000, 3)) * np.sqrt([1.0, 0.0101, 0.0001])
    found = active_units(mean)
    assert (found.low, found.high) == (1, 2)  # the second one is at the border


def test_what_is_no_latent_is_told() -> None:
    for mean, log_variance in (([[0.0]], [[0.0]]), ([[0.0], [1.0]], [[0.0]]), ([[0.0], [math.nan]], [[0.0], [0.0]])):
        with pytest.raises(DataError):
            latent_information(mean, log_variance)
