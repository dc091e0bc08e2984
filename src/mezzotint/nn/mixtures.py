"""The covariances of a mixture of normal distributions: of each component, of all, or without correlations.

K components of D values. Each kind says how it is summed up over batches, what the sums give, and how a density and
a place follow from it. `root` is L with L L^T = S; of variances, the standard deviations.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from mezzotint.nn._eager import plain_eager

_NOTHING = 1e-30
"""A share of a point that is below the rounding of any sum."""


class Full:
    """A matrix for each component: covariances [K, D, D]."""

    name: ClassVar[str] = "full"

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        """Of the covariances."""
        return k, d, d

    def sums(self, k: int, d: int) -> tuple[int, ...]:
        """Of the sums of second moments."""
        return self.shape(k, d)

    def unit(self, shape: tuple[int, ...]) -> Tensor:
        """Covariances of 1."""
        return torch.eye(shape[-1], dtype=torch.float64).expand(shape).clone()

    def add(self, sums: Tensor, x: Tensor, shares: Tensor) -> None:
        """Add the second moments of x [N, D], of which components have the shares [N, K]."""
        for k, share in enumerate(shares.unbind(1)):
            rows = share > _NOTHING
            mine = x[rows]  # of hundreds of values each is of few components
            sums[k] += (mine * share[rows, None]).mT @ mine

    def of_sums(self, sums: Tensor, counts: Tensor, means: Tensor, least: float) -> Tensor:
        """Covariances of second moments, counts [K] and means [K, D]."""
        found = sums / counts[:, None, None] - means[:, :, None] * means[:, None, :]
        return found + least * torch.eye(means.shape[1], dtype=found.dtype, device=found.device)

    def root(self, covariances: Tensor) -> Tensor:
        """Lower triangular roots."""
        return torch.linalg.cholesky(covariances)

    def log_density(self, x: Tensor, means: Tensor, roots: Tensor) -> Tensor:
        """log N(x; m_k, S_k) [N, K] of x [N, D]."""
        found = []
        for mean, root in zip(means, roots, strict=True):
            z = torch.linalg.solve_triangular(root, (x - mean).mT, upper=False)
            found.append(-0.5 * z.square().sum(0) - root.diagonal().log().sum())
        return torch.stack(found, 1) - 0.5 * means.shape[1] * math.log(2 * math.pi)

    def standard(self, x: Tensor, roots: Tensor, component: Tensor) -> Tensor:
        """z [N, D] of differences x [N, D] from the means of components [N]: x = L z."""
        if not plain_eager():
            return torch.linalg.solve_triangular(roots[component], x[:, :, None], upper=False).squeeze(2)
        out = torch.empty_like(x)
        for k in component.unique().tolist():  # not a matrix for each row, which would be gigabytes
            rows = component == k
            out[rows] = torch.linalg.solve_triangular(roots[k], x[rows].mT, upper=False).mT
        return out

    def placed(self, z: Tensor, roots: Tensor, component: Tensor) -> Tensor:
        """L z [N, D] of z [N, D] and components [N]."""
        if not plain_eager():
            return (roots[component] @ z[:, :, None]).squeeze(2)
        out = torch.empty_like(z)
        for k in component.unique().tolist():
            rows = component == k
            out[rows] = z[rows] @ roots[k].mT
        return out


class Tied(Full):
    """One matrix for all components: covariances [D, D]."""

    name: ClassVar[str] = "tied"

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        return d, d

    def add(self, sums: Tensor, x: Tensor, shares: Tensor) -> None:
        sums += x.mT @ x  # the shares of a picture add up to 1

    def of_sums(self, sums: Tensor, counts: Tensor, means: Tensor, least: float) -> Tensor:
        found = (sums - (counts * means.mT) @ means) / counts.sum()
        return found + least * torch.eye(len(found), dtype=found.dtype, device=found.device)

    def placed(self, z: Tensor, roots: Tensor, component: Tensor) -> Tensor:
        return z @ roots.mT

    def standard(self, x: Tensor, roots: Tensor, component: Tensor) -> Tensor:
        return torch.linalg.solve_triangular(roots, x.mT, upper=False).mT

    def log_density(self, x: Tensor, means: Tensor, root: Tensor) -> Tensor:
        """log N(x; m_k, S) [N, K] of x [N, D]: values are made independent once, and not for each component."""
        middle = means.mean(0)
        z, centres = (torch.linalg.solve_triangular(root, (v - middle).mT, upper=False).mT for v in (x, means))
        squares = torch.stack([(z - centre).square().sum(1) for centre in centres], 1)
        return -0.5 * (squares + means.shape[1] * math.log(2 * math.pi)) - root.diagonal().log().sum()


class Diagonal:
    """A variance for each value of each component: covariances [K, D]."""

    name: ClassVar[str] = "diag"

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        """Of the covariances."""
        return k, d

    def sums(self, k: int, d: int) -> tuple[int, ...]:
        """Of the sums of second moments."""
        return k, d

    def unit(self, shape: tuple[int, ...]) -> Tensor:
        """Covariances of 1."""
        return torch.ones(shape, dtype=torch.float64)

    def add(self, sums: Tensor, x: Tensor, shares: Tensor) -> None:
        """Add the second moments of x [N, D], of which components have the shares [N, K]."""
        sums += shares.mT @ x.square()

    def of_sums(self, sums: Tensor, counts: Tensor, means: Tensor, least: float) -> Tensor:
        """Covariances of second moments, counts [K] and means [K, D]."""
        return (sums / counts[:, None] - means.square()).clamp(min=0) + least

    def root(self, covariances: Tensor) -> Tensor:
        """Standard deviations."""
        return covariances.sqrt()

    def log_density(self, x: Tensor, means: Tensor, roots: Tensor) -> Tensor:
        """log N(x; m_k, S_k) [N, K] of x [N, D]."""
        roots = self._each(roots, means.shape[1])
        precision = roots.square().reciprocal()
        square = x.square() @ precision.mT - 2 * x @ (means * precision).mT + (means.square() * precision).sum(1)
        return -0.5 * (square + means.shape[1] * math.log(2 * math.pi)) - roots.log().sum(1)

    def standard(self, x: Tensor, roots: Tensor, component: Tensor) -> Tensor:
        """z [N, D] of differences x [N, D] from the means of components [N]: x = L z."""
        return x / self._each(roots, x.shape[1])[component]

    def placed(self, z: Tensor, roots: Tensor, component: Tensor) -> Tensor:
        """L z [N, D] of z [N, D] and components [N]."""
        return z * self._each(roots, z.shape[1])[component]

    def _each(self, roots: Tensor, size: int) -> Tensor:
        return roots


class Spherical(Diagonal):
    """One variance for each component: covariances [K]."""

    name: ClassVar[str] = "spherical"

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        return (k,)

    def of_sums(self, sums: Tensor, counts: Tensor, means: Tensor, least: float) -> Tensor:
        return super().of_sums(sums, counts, means, least).mean(1)

    def _each(self, roots: Tensor, size: int) -> Tensor:
        return roots[:, None].expand(-1, size)


Kind = Full | Diagonal
KINDS: dict[str, Kind] = {kind.name: kind for kind in (Full(), Tied(), Diagonal(), Spherical())}
