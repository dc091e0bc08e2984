"""Sparse expressions against scikit-learn's solvers point by point, against linear programs, and against theory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import linprog
from sklearn.linear_model import ElasticNet, Lasso, orthogonal_mp

from mezzotint.clustering.elastic import elastic_expression
from mezzotint.clustering.expression import omp_expression, unit
from mezzotint.clustering.lasso import lasso_expression

Array = NDArray[Any]


def subspaces(count: int = 3, dims: int = 2, ambient: int = 12, each: int = 15, noise: float = 0.0) -> Array:
    """Points of length 1 of independent subspaces, one after the other."""
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(each, dims)) @ rng.normal(size=(dims, ambient)) for _ in range(count)]
    return unit(np.concatenate(parts) + noise * rng.normal(size=(count * each, ambient)))


def own(count: int = 3, each: int = 15) -> NDArray[np.bool_]:
    """Which pairs are of one subspace."""
    labels = np.repeat(np.arange(count), each)
    return labels[:, None] == labels


@pytest.mark.parametrize("few", [0, 6000], ids=["by values", "by products"])
@pytest.mark.parametrize("alpha", [5.0, 30.0])
def test_the_lasso_is_scikit_learns_for_every_point(alpha: float, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mezzotint.clustering.active_set._FEW", few)
    x = subspaces(noise=0.1)
    found, steps = lasso_expression(x, alpha)
    assert steps < 20
    products = np.abs(x @ x.T - np.diag(np.square(x).sum(1)))
    weight = alpha / products.max(1).min()
    for i in range(0, len(x), 7):
        others = np.arange(len(x)) != i
        lasso = Lasso(1 / (weight * x.shape[1]), fit_intercept=False, tol=1e-12, max_iter=100_000)
        expected = lasso.fit(x[others].T, x[i]).coef_
        np.testing.assert_allclose(found[i, others], expected, atol=1e-6)
        assert found[i, i] == 0


@pytest.mark.parametrize("how", [{}, {"affine": True}, {"outliers": True}], ids=str)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_black_picture_changes_nothing_for_the_others(how: dict[str, bool], kind: Any) -> None:
    x = subspaces(noise=0.1).astype(kind)
    with_black = np.concatenate((x, np.zeros((1, x.shape[1]), kind)))
    found, _ = lasso_expression(with_black, **how)
    assert np.isfinite(found).all()
    if not how:
        assert (found[-1] == 0).all()
        np.testing.assert_allclose(found[:-1, :-1], lasso_expression(x)[0], atol=1e-5)


@pytest.mark.parametrize("affine", [False, True])
def test_with_outliers_it_solves_the_linear_program(affine: bool) -> None:
    """min |c|_1 + |e|_1 with c X + e / gamma = x, by SciPy's own solver; e is where values are wrong."""
    x = subspaces(count=2, ambient=8, each=8)
    x[3, 2] += 1.0
    alpha = 20.0
    found, _ = lasso_expression(x, alpha, affine=affine, outliers=True, tolerance=1e-8, max_iter=50_000)
    gamma = alpha / np.abs(x).sum(1).max()
    for i in (0, 3, 12):
        others = np.arange(len(x)) != i
        columns = np.concatenate((x[others].T, np.eye(8) / gamma), 1)
        target = x[i]
        if affine:
            columns = np.concatenate((columns, np.r_[np.ones(len(x) - 1), np.zeros(8)][None]))
            target = np.r_[target, 1.0]
            assert found[i].sum() == pytest.approx(1, abs=1e-5)
        least = linprog(np.ones(2 * columns.shape[1]), A_eq=np.concatenate((columns, -columns), 1), b_eq=target)
        ours = np.abs(found[i]).sum() + gamma * np.abs(x[i] - found[i] @ x).sum()
        assert ours == pytest.approx(least.fun, rel=1e-4)


def test_affine_expressions_add_up_to_one() -> None:
    """As the lasso with one more, very heavy value that is 1 in every point."""
    x = subspaces(noise=0.05) + 0.4
    found, _ = lasso_expression(x, 10.0, affine=True, tolerance=1e-9, max_iter=50_000)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)
    products = np.abs(x @ x.T - np.diag(np.square(x).sum(1)))
    weight, heavy = 10.0 / products.max(1).min(), 300.0
    wide = np.concatenate((x, np.full((len(x), 1), heavy)), 1)
    for i in (0, 20, 44):
        others = np.arange(len(x)) != i
        lasso = Lasso(1 / (weight * wide.shape[1]), fit_intercept=False, tol=1e-14, max_iter=1_000_000)
        expected = lasso.fit(wide[others].T, wide[i]).coef_

        def cost(c: Array, i: int = i, others: Array = others) -> float:
            return float(np.abs(c).sum() + weight / 2 * np.square(x[i] - c @ x[others]).sum())

        assert cost(found[i, others]) <= cost(expected) + 1e-3


@pytest.mark.parametrize("express", [lambda x: lasso_expression(x)[0], omp_expression, elastic_expression])
def test_points_of_independent_subspaces_are_made_of_their_own_kind(express: Any) -> None:
    """Elhamifar and Vidal 2013, theorem 1; You et al. 2016, theorem 1."""
    found = express(subspaces())
    dense = np.asarray(found.todense()) if hasattr(found, "todense") else found
    assert np.abs(dense[~own()]).max() < 1e-3
    assert (np.abs(dense) > 1e-3).any(1).all()


def test_pursuit_is_scikit_learns_for_every_point() -> None:
    x = subspaces(noise=0.2)
    found = omp_expression(x, 4, block=10).toarray()
    for i in range(len(x)):
        others = np.arange(len(x)) != i
        expected = orthogonal_mp(x[others].T, x[i], n_nonzero_coefs=4)
        np.testing.assert_allclose(found[i, others], expected, atol=1e-7)


def test_a_pursuit_that_is_done_begins_once_more() -> None:
    """On lines, one point is enough; each of three finds the others of its line in turn."""
    rng = np.random.default_rng(0)
    lines = unit(np.concatenate([np.outer(rng.uniform(1, 2, 6), rng.normal(size=5)) for _ in range(2)]))
    found = omp_expression(lines, 3).toarray()
    assert (np.count_nonzero(found, 1) == 3).all()
    np.testing.assert_allclose(np.abs(found[found != 0]), 1, atol=1e-6)
    assert (found[~own(2, 6)] == 0).all()


@pytest.mark.parametrize("few", [0, 6000], ids=["by values", "by products"])
@pytest.mark.parametrize("tau", [1.0, 0.8])
def test_the_elastic_net_is_best_among_all_points(tau: float, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the conditions of the optimum: products with what is left are tau where a point is used, else less."""
    monkeypatch.setattr("mezzotint.clustering.active_set._FEW", few)
    x = subspaces(noise=0.1, each=30)
    found = elastic_expression(x, 50.0, tau, first=5).toarray()
    for i in range(len(x)):
        others = np.arange(len(x)) != i
        c, atoms = found[i, others], x[others]
        weight = 50.0 * tau / np.abs(atoms @ x[i]).max()
        slope = weight * atoms @ (x[i] - c @ atoms) - (1 - tau) * c
        np.testing.assert_allclose(slope[c != 0], tau * np.sign(c[c != 0]), atol=1e-5)
        assert np.abs(slope).max() < tau + 1e-5
    net = ElasticNet(1 / (weight * 12), l1_ratio=tau, fit_intercept=False, tol=1e-10, max_iter=1_000_000)
    np.testing.assert_allclose(c, net.fit(atoms.T, x[i]).coef_, atol=1e-3)
