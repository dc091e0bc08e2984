"""Mean and covariance of features that go by in batches, in float64 and constant memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from mezzotint.core.errors import DataError


class Moments:
    """Running mean and covariance.

    Batches are joined by the formulas of Chan, Golub and LeVeque (1983), "Algorithms for computing the sample
    variance", so that nothing is lost where the mean is large beside the spread, and the order of batches does not
    matter beyond rounding.

    Attributes:
        count: rows seen.
        mean: [D] float64.
        scatter: [D, D] float64, the sum of (x - mean)(x - mean)^T.

    Args:
        dims: D, the number of features.

    Example:
        >>> moments = Moments(2)
        >>> moments.update(np.array([[0.0, 0.0], [2.0, 0.0]]))
        >>> moments.covariance.tolist()
        [[2.0, 0.0], [0.0, 0.0]]
    """

    def __init__(self, dims: int) -> None:
        self.count = 0
        self.mean: NDArray[np.float64] = np.zeros(dims)
        self.scatter: NDArray[np.float64] = np.zeros((dims, dims))

    @classmethod
    def of(cls, features: Any) -> Moments:
        """Those of all rows of `features` [N, D]."""
        rows = as_features(features)
        made = cls(rows.shape[1])
        for start in range(0, len(rows), 4096):
            made.update(rows[start : start + 4096])
        return made

    @property
    def dims(self) -> int:
        """How many features."""
        return len(self.mean)

    @property
    def covariance(self) -> NDArray[np.float64]:
        """[D, D], divided by N - 1.

        Raises:
            DataError: fewer than two rows were seen.
        """
        if self.count < 2:
            raise DataError(f"A covariance needs at least 2 pictures; got {self.count}. Give more pictures.")
        return self.scatter / (self.count - 1)

    def update(self, features: Any) -> None:
        """See another batch [N, D].

        Raises:
            DataError: it has another number of features, or holds a number that is not finite.
        """
        batch = as_features(features)
        if batch.shape[1] != self.dims:
            raise DataError(f"These moments are of {self.dims} features; got {batch.shape[1]}.")
        if not len(batch):
            return
        mean = batch.mean(0)
        centred = batch - mean
        self._join(len(batch), mean, centred.T @ centred)

    def merge(self, other: Moments) -> Moments:
        """The moments of both together; neither is changed."""
        if other.dims != self.dims:
            raise DataError(f"Moments of {self.dims} and of {other.dims} features cannot be joined.")
        made = Moments(self.dims)
        for part in (self, other):
            made._join(part.count, part.mean, part.scatter)
        return made

    def _join(self, count: int, mean: NDArray[np.float64], scatter: NDArray[np.float64]) -> None:
        if not count:
            return
        total = self.count + count
        shift = mean - self.mean
        self.scatter = self.scatter + scatter + np.outer(shift, shift * (self.count * count / total))
        self.mean = self.mean + shift * (count / total)
        self.count = total

    def to_bytes(self) -> bytes:
        """As a safetensors file."""
        return save({"count": np.array(self.count, np.int64), "mean": self.mean, "scatter": self.scatter})

    @classmethod
    def from_bytes(cls, data: bytes) -> Moments:
        """The inverse of `to_bytes`.

        Raises:
            DataError: it is not such a file.
        """
        try:
            parts = load(data)
            made = cls(len(parts["mean"]))
            made.count, made.mean, made.scatter = int(parts["count"]), parts["mean"], parts["scatter"]
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"These are not saved moments ({error}); compute them again.") from error
        if made.mean.ndim != 1 or made.scatter.shape != (made.dims, made.dims) or made.scatter.dtype != np.float64:
            raise DataError("These are not saved moments (a shape or type is wrong); compute them again.")
        return made


def as_features(features: Any) -> NDArray[np.float64]:
    """Features [N, D] of any array or tensor, as float64.

    Raises:
        DataError: they have another shape, or a number is not finite.
    """
    rows: NDArray[np.float64] = np.asarray(getattr(features, "numpy", lambda: features)(), np.float64)
    if rows.ndim != 2:
        raise DataError(f"Features are an array [N, D]; got {list(rows.shape)}.")
    if not np.isfinite(rows).all():
        bad = int((~np.isfinite(rows)).any(1).sum())
        raise DataError(f"The features of {bad:,} of {len(rows):,} pictures hold a number that is not finite.")
    return rows
