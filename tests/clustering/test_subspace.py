"""The estimators as scikit-learn wants them, on subspaces that can be told, and their mistakes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import kneighbors_graph
from sklearn.preprocessing import normalize
from sklearn.utils.estimator_checks import parametrize_with_checks

from mezzotint.clustering import SSCOMP, ElasticNetSubspaceClustering, SparseSubspaceClustering
from mezzotint.clustering.graph import affinity, cut, neighbours, spectral_labels, strays

KINDS = [SparseSubspaceClustering, SSCOMP, ElasticNetSubspaceClustering]


@parametrize_with_checks([kind() for kind in KINDS])
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("kind", KINDS)
def test_subspaces_are_found(kind: Any) -> None:
    """Five subspaces of 4 dimensions that share 30, with a little noise."""
    rng = np.random.default_rng(1)
    points = np.concatenate([rng.normal(size=(40, 4)) @ rng.normal(size=(4, 30)) for _ in range(5)])
    truth = np.repeat(np.arange(5), 40)
    order = rng.permutation(200)
    x = (points + 0.05 * rng.normal(size=points.shape))[order]
    found = kind(5, random_state=0).fit(x)
    assert adjusted_rand_score(truth[order], found.labels_) == 1
    graph = found.affinity_matrix_
    graph = graph.toarray() if hasattr(graph, "toarray") else graph
    np.testing.assert_allclose(graph, graph.T)


def test_shadows_are_taken_for_outliers() -> None:
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.normal(size=(25, 3)) @ rng.normal(size=(3, 40)) for _ in range(3)])
    truth = np.repeat(np.arange(3), 25)
    wrong = rng.random(x.shape) < 0.05
    x[wrong] = rng.normal(size=wrong.sum()) * 6
    with_outliers = SparseSubspaceClustering(3, outliers=True, random_state=0).fit_predict(x)
    without = SparseSubspaceClustering(3, random_state=0).fit_predict(x)
    assert adjusted_rand_score(truth, with_outliers) > 0.9
    assert adjusted_rand_score(truth, with_outliers) > adjusted_rand_score(truth, without)


def test_affine_planes_are_told_where_linear_ones_are_not() -> None:
    """Two parallel lines beside each other span the same plane with the origin."""
    rng = np.random.default_rng(3)
    direction, across = rng.normal(size=6), rng.normal(size=6)
    t = rng.uniform(-1, 1, (2, 30, 1))
    x = np.concatenate((t[0] * direction + across, t[1] * direction - 2 * across))
    truth = np.repeat([0, 1], 30)
    labels = SparseSubspaceClustering(2, affine=True, random_state=0).fit_predict(x)
    assert adjusted_rand_score(truth, labels) == 1


def test_an_affinity_weighs_all_points_alike() -> None:
    c = np.array([[0, 4.0, -2.0], [0.1, 0, 0], [0, 0, 0]])
    expected = np.array([[0, 2, 0.5], [2, 0, 0], [0.5, 0, 0]])
    np.testing.assert_allclose(affinity(c), expected)
    np.testing.assert_allclose(affinity(csr_matrix(c)).toarray(), expected)


def test_an_affinity_of_coefficients_as_they_are() -> None:
    c = np.array([[0, 4.0, -2.0], [0.1, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(affinity(c, norm=None), np.array([[0, 4.1, 2], [4.1, 0, 0], [2, 0, 0]]))
    np.testing.assert_allclose(affinity(csr_matrix(c), norm=None).toarray(), affinity(c, norm=None))


def test_an_affinity_of_rows_of_length_1() -> None:
    c = np.array([[0, 4.0, -3.0], [0.1, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(affinity(c, norm="l2"), np.array([[0, 1.8, 0.6], [1.8, 0, 0], [0.6, 0, 0]]))


def test_neighbours_are_scikit_learns() -> None:
    rng = np.random.default_rng(4)
    c = rng.normal(size=(700, 40)) * (rng.random((700, 40)) < 0.3)
    square = csr_matrix(np.concatenate((c, np.zeros((700, 660))), 1))
    theirs = kneighbors_graph(normalize(square), 3, mode="connectivity", include_self=False)
    expected = (0.5 * (theirs + theirs.T)).toarray()
    np.testing.assert_array_equal(neighbours(square).toarray(), expected)


def test_a_point_that_shares_nothing_has_no_neighbours() -> None:
    c = csr_matrix(np.array([[0, 1.0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]))
    expected = np.zeros((4, 4))
    expected[0, 1] = expected[1, 0] = 1
    np.testing.assert_array_equal(neighbours(c, 2).toarray(), expected)


def test_a_handful_apart_takes_no_cluster() -> None:
    """Four points of the first plane that are joined with each other only."""
    rng = np.random.default_rng(5)
    planes = [rng.normal(size=(450, 2)) @ rng.normal(size=(2, 9)) for _ in range(2)]
    x = np.concatenate((planes[0], planes[1], planes[0][:4] + 1e-3 * rng.normal(size=(4, 9))))
    graph = np.kron(np.eye(2), np.ones((450, 450)) - np.eye(450)) + 1e-3
    graph = np.block([[graph, np.zeros((900, 4))], [np.zeros((4, 900)), np.ones((4, 4)) - np.eye(4)]])
    truth = np.repeat([0, 1, 0], (450, 450, 4))
    np.testing.assert_array_equal(strays(graph, 2), np.arange(904) >= 900)
    labels = cut(x, csr_matrix(graph), 2, 10, 0)
    assert adjusted_rand_score(truth, labels) == 1
    assert adjusted_rand_score(truth, spectral_labels(graph, 2, 10, 0)) < 0.1


def test_spectral_labels_of_separate_graphs() -> None:
    graph = np.kron(np.eye(3), np.ones((5, 5)) - np.eye(5))
    labels = spectral_labels(graph + 1e-9, 3, 10, 0)
    assert adjusted_rand_score(np.repeat(np.arange(3), 5), labels) == 1


def test_where_all_are_handfuls_none_is_a_stray() -> None:
    graph = csr_matrix(np.kron(np.eye(300), np.ones((2, 2)) - np.eye(2)))
    assert not strays(graph, 2).any()
    assert not strays(graph, 100).any()


def test_a_gap_says_how_many_eigenvectors_tell_clusters_apart() -> None:
    """The first of three clusters falls in two more easily than the others fall apart, which takes four."""
    part = np.repeat([0, 1, 2, 3], (40, 40, 100, 100))
    between = np.full((4, 4), 0.005)
    between[0, 1] = between[1, 0] = 0.03
    between[2, 3] = between[3, 2] = 0.05
    graph = np.where(part[:, None] == part, 1, between[part[:, None], part]) - np.eye(280)
    truth = np.maximum(part, 1)
    assert adjusted_rand_score(truth, spectral_labels(graph, 3, 10, 0, "gap")) == 1
    assert adjusted_rand_score(truth, spectral_labels(graph, 3, 10, 0, 4)) == 1
    assert adjusted_rand_score(truth, spectral_labels(graph, 3, 10, 0)) < 0.9


@pytest.mark.parametrize(
    ("estimator", "said"),
    [
        (SparseSubspaceClustering(2, alpha=0.5), "alpha=0.5 must be above 1"),
        (SSCOMP(2, n_nonzero=0), "n_nonzero=0 must be at least 1"),
        (ElasticNetSubspaceClustering(2, tau=1.5), "tau=1.5"),
        (SSCOMP(2, affinity="near"), "affinity='near' must be one of symmetric, normalised, neighbours"),
        (SSCOMP(2, n_components=11), "n_components=11 must be .* from 1 to the number of points, 10"),
        (
            SSCOMP(2, n_components="all"),  # type: ignore[arg-type]
            "n_components='all'",
        ),
        (SSCOMP(50), "n_clusters=50 must be from 1 to the number of points, 10"),
    ],
)
def test_what_cannot_be_used_is_told(estimator: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        estimator.fit(np.random.default_rng(0).normal(size=(10, 3)))
