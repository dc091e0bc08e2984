"""Mutual information of two guesses, against scikit-learn's of hard ones and against what it must be."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import mutual_info_score

from mezzotint.nn.information import shared_information


def test_hard_guesses_have_the_information_of_their_table() -> None:
    generator = torch.Generator().manual_seed(0)
    one = torch.randint(4, (500,), generator=generator)
    other = torch.where(torch.rand(500, generator=generator) < 0.7, one, torch.randint(4, (500,), generator=generator))
    # made symmetric: as if each pair were seen both ways round
    expected = mutual_info_score(torch.cat((one, other)).tolist(), torch.cat((other, one)).tolist())
    found = shared_information(F.one_hot(one, 4).float(), F.one_hot(other, 4).float())
    assert found.item() == pytest.approx(expected, abs=1e-5)


def test_its_gradient_is_finite_where_a_kind_is_never_guessed_and_leads_to_certain_and_fairly_even_ones() -> None:
    torch.manual_seed(0)
    logits = torch.randn(60, 3).requires_grad_()
    adam = torch.optim.Adam([logits], 0.1)
    for _ in range(200):
        p = logits.softmax(1)
        loss = -shared_information(p, p)
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert p.max(1).values.min() > 0.99
    assert math.log(3) - 0.05 < -loss.item() <= math.log(3)
    certain = torch.eye(3)[torch.zeros(8, dtype=torch.long)].requires_grad_()
    (gradient,) = torch.autograd.grad(shared_information(certain, certain), certain)
    assert bool(torch.isfinite(gradient).all())
