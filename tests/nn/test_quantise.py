"""Codebooks, residual codes and finite scalars against scikit-learn, hand-made cases, and their own inverse."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances_argmin

from mezzotint.nn.quantise import Codebook, FiniteScalars, nearest, perplexity, residual, straight_through


def draws(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_the_nearest_is_scikit_learns() -> None:
    x, vectors = draws(500, 7), draws(33, 7, 1)
    assert np.array_equal(nearest(x, vectors).numpy(), pairwise_distances_argmin(x.numpy(), vectors.numpy()))


def test_a_codebook_comes_to_what_k_means_finds_and_no_vector_stays_dead() -> None:
    centres = torch.tensor(list(itertools.product((-4.0, 0.0, 4.0), repeat=2)))
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    book = Codebook(24, 2, decay=0.9)
    with torch.no_grad():
        book.vectors.add_(100)  # all dead at first
    for _ in range(300):
        x = centres[torch.randint(9, (256,), generator=generator)] + 0.3 * torch.randn(256, 2, generator=generator)
        book.follow(x, book(x), torch.rand(24, generator=generator))
    x = centres.repeat(50, 1) + 0.3 * torch.randn(450, 2, generator=generator)
    ours = (x - book.lookup(book(x))).square().sum(1).mean().item()
    best = KMeans(24, n_init=10, random_state=0).fit(x.numpy()).inertia_ / len(x)
    assert ours < 1.8 * best
    assert (book.counts > book.alive).all()


def test_a_vector_is_the_mean_of_its_inputs() -> None:
    torch.manual_seed(0)
    book = Codebook(2, 1, decay=0.0)
    with torch.no_grad():
        book.vectors.copy_(torch.tensor([[-1.0], [1.0]]))
    x = torch.tensor([[-2.0], [-1.0], [0.5], [3.0]])
    book.follow(x, book(x), torch.zeros(2))
    assert book.vectors.flatten().tolist() == pytest.approx([-1.5, 1.75], abs=1e-3)


def test_each_book_codes_what_is_left() -> None:
    torch.manual_seed(0)
    books = [Codebook(16, 3) for _ in range(4)]
    x = draws(400, 3)
    errors = []
    for count in (1, 2, 4):
        for step in range(100):
            rest = x
            for book in books[:count]:
                indices = book(rest)
                book.follow(rest, indices, torch.rand(16, generator=torch.Generator().manual_seed(step)))
                rest = rest - book.lookup(indices)
        indices, quantised = residual(books[:count], x)
        assert indices.shape == (400, count)
        torch.testing.assert_close(quantised, sum(b.lookup(i) for b, i in zip(books, indices.t(), strict=False)))
        errors.append((x - quantised).square().mean().item())
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


@pytest.mark.parametrize("levels", [(2,), (3, 5), (8, 5, 5, 4)])
def test_finite_scalars_have_all_their_codes_and_no_other(levels: tuple[int, ...]) -> None:
    grid = FiniteScalars(levels)
    even = torch.rand(20_000, len(levels), generator=torch.Generator().manual_seed(0)) * 1.998 - 0.999
    values = grid(torch.atanh(even))
    assert values.abs().max() <= 1
    found = grid.indices(values)
    assert set(found.tolist()) == set(range(grid.count))
    torch.testing.assert_close(grid.lookup(found), values.detach())
    for axis, each in enumerate(levels):
        assert len(values[:, axis].unique()) == each


def test_gradients_pass_straight_through() -> None:
    x = draws(5, 2).requires_grad_()
    straight_through(x, x.round()).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.ones(5, 2))


def test_perplexity_counts_codes_in_use() -> None:
    assert perplexity(torch.zeros(9, dtype=torch.int64), 4).item() == pytest.approx(1)
    assert perplexity(torch.arange(64) % 16, 32).item() == pytest.approx(16, rel=1e-4)
