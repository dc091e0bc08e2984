"""The inception score by hand and against torchmetrics."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mezzotint.core.errors import DataError
from mezzotint.metrics.inception import inception_score


def logits(n: int, k: int = 6, seed: int = 0) -> np.ndarray:
    return 2 * np.random.default_rng(seed).normal(size=(n, k))


def test_by_hand() -> None:
    """p = (3/4, 1/4) and (1/4, 3/4): KL against one half each is 3/4 log 3/2 + 1/4 log 1/2."""
    found = inception_score(np.log([[3.0, 1.0], [1.0, 3.0]]))
    assert found.value == pytest.approx(math.exp(0.75 * math.log(1.5) + 0.25 * math.log(0.5)), rel=1e-12)


def test_its_ends() -> None:
    assert inception_score(np.zeros((9, 5))).value == pytest.approx(1, rel=1e-12)
    assert inception_score(1000 * np.eye(5)).value == pytest.approx(5, rel=1e-12)


def test_against_torchmetrics() -> None:
    from torchmetrics.image.inception import InceptionScore

    class Given(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(values)

    values = logits(200)
    judge = InceptionScore(feature=Given(), splits=1, normalize=False)
    judge.update(torch.zeros(200, 3, 4, 4, dtype=torch.uint8))
    assert inception_score(values).value == pytest.approx(float(judge.compute()[0]), rel=1e-6)


def test_the_bias_of_few_pictures_is_taken_off() -> None:
    """The plug-in value of few is too low; the corrected one is nearer to that of many."""
    many = inception_score(logits(100_000)).value
    few = [inception_score(logits(60, seed=seed)) for seed in range(1, 60)]
    assert np.mean([each.value for each in few]) < many
    corrected = np.mean([each.details["corrected"] for each in few])
    assert abs(corrected - many) < 0.5 * abs(np.mean([each.value for each in few]) - many)


def test_few_are_warned_of_or_refused() -> None:
    assert "60 pictures are few for 6 classes" in inception_score(logits(60)).warnings[0]
    assert not inception_score(logits(300)).warnings
    assert inception_score(logits(1)).low is None
    for bad in (np.zeros((0, 4)), np.zeros((4, 1))):
        with pytest.raises(DataError, match="at least 2 classes"):
            inception_score(bad)
