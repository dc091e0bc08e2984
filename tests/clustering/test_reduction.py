"""Fewer numbers for each point, beside scikit-learn's decomposition without a mean."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD

from mezzotint.clustering.reduction import principal_coordinates


@pytest.mark.parametrize("shape", [(40, 12), (12, 40)])
def test_coordinates_are_those_of_the_singular_vectors(shape: tuple[int, int]) -> None:
    x = np.random.default_rng(0).normal(size=shape) + 2
    wanted = TruncatedSVD(5, algorithm="arpack", random_state=0).fit_transform(x)
    found = principal_coordinates(x, 5)
    np.testing.assert_allclose(np.abs(found), np.abs(wanted), atol=1e-8)
    np.testing.assert_allclose(np.linalg.norm(found, axis=0)[::-1], np.sort(np.linalg.norm(found, axis=0)))


def test_what_is_small_already_stays() -> None:
    x = np.eye(4, dtype=np.float32)
    assert principal_coordinates(x, 4) is x
    assert principal_coordinates(x, 2).dtype == np.float32
