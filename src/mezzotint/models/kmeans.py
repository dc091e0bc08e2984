"""k-means: pictures in clusters, each with its mean and how its pictures spread about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from mezzotint.core.config import option
from mezzotint.engine.fitting import Pass
from mezzotint.engine.model import Paper, PictureSpec, register
from mezzotint.engine.phase import Turn
from mezzotint.models._mixture import Mixture, MixtureConfig


class KMeansConfig(MixtureConfig):
    """Settings of `kmeans`."""

    components: int = option(10, "Clusters; in a conditional model, of each class.", ge=1, le=10_000)
    mini_batch: bool = option(
        False, "Move the means after every batch instead of after every look, and look at all once more in the end."
    )
    passes: int = option(100, "Looks at all pictures, at most.", ge=1)
    tolerance: float = option(
        1e-4, "The last look moves the means together by less than this share of the values' variance.", ge=0
    )


@register
class KMeans(Mixture):
    """k-means, as a generative model: draw a cluster by its size, and a picture from the normal distribution of it.

    Each pass gives every picture to the nearest mean, and every mean becomes that of its pictures (Lloyd's algorithm):

        minimise  sum_n min_k |x_n - m_k|^2                                                       (eq. 1 of the paper)

    A cluster that no picture is nearest to keeps its mean. The first means are those that scikit-learn's `KMeans`
    (k-means++) finds among 10,000 pictures; from the same first means the result is scikit-learn's. A last look gives
    sizes and covariances. Only sums are kept between batches, so a set may be larger than memory.

    With `mini_batch` every batch moves the means, each the less the more pictures it has seen (Sculley 2010, algorithm
    1; scikit-learn's `MiniBatchKMeans` from the same means), so one or two looks are enough; the last look then moves
    them once more, to where the pictures of a cluster are.

    A latent is [cluster, one-hot | z], with x = m_k + L_k z, and L_k L_k^T the covariance within the cluster; the
    cluster is the code "component". `encode` gives the cluster of the nearest mean.

    Args:
        config: the settings.
        spec: the shape of the pictures.

    Raises:
        ConfigError: full covariances would not fit into memory, or `conditional` without classes.

    Example:
        >>> model = KMeans(KMeansConfig(components=3), PictureSpec(1, 4, 4)).eval()
        >>> tuple(model.sample(2).shape), model.codes()[0].said
        ((2, 1, 4, 4), '0 to 2')
    """

    name = "kmeans"
    summary = "k-means: clusters of pictures, and new ones drawn from each cluster's normal distribution."
    paper = Paper("Lloyd", 1982, "Least Squares Quantization in PCM")  # IEEE Transactions on Information Theory 28(2)
    Config = KMeansConfig
    tiny = {"components": 2, "passes": 3, "least": 1e-3}
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"covariance": "diag", "conditional": True},
        {"covariance": "diag", "mini_batch": True},
    )
    config: KMeansConfig
    spread: Tensor
    held: Tensor
    began: Tensor

    def __init__(self, config: KMeansConfig, spec: PictureSpec) -> None:
        super().__init__(config, spec)
        self.register_buffer("spread", torch.zeros(2, spec.values, dtype=torch.float64))
        moving = self.count if config.mini_batch else 0
        self.register_buffer("held", torch.zeros(moving, dtype=torch.float64))
        self.register_buffer("began", torch.zeros(moving, spec.values, dtype=torch.float64))

    def passes(self) -> tuple[Pass, ...]:
        """Lloyd's steps, or batches that move the means, until the means hardly move."""
        if self.config.mini_batch:
            return (Pass("batches", self.follow, self.rest, self.config.passes), Pass("sizes", self.see, self.gather))
        return (Pass("lloyd", self.near, self.move, self.config.passes), Pass("sizes", self.see, self.spread_out))

    def distances(self, x: Tensor) -> Tensor:
        """Squared distances [N, K] of values [N, D] from the means."""
        return (x.square().sum(1, keepdim=True) - 2 * x @ self.means.mT + self.means.square().sum(1)).clamp(min=0)

    def assign(self, x: Tensor) -> Tensor:
        """One-hot clusters [N, K] of values [N, D]."""
        return F.one_hot(self.distances(x).argmin(1), self.count).to(x)

    def near(self, turn: Turn) -> Mapping[str, Tensor]:
        """Each picture of a batch to the nearest mean; `square` is the mean squared distance from it."""
        x, mine, square = self._nearest(turn)
        self.counts += mine.sum(0)
        self.firsts += mine.mT @ x
        self.spread += torch.stack((x.sum(0), x.square().sum(0)))
        return {"square": square}

    def move(self) -> bool:
        """The means of what is nearest to each; whether they have hardly moved, by scikit-learn's rule."""
        before, some = self.means.clone(), self.counts > 0
        self.means[some] = self.firsts[some] / self.counts[some, None]
        moved, variance = (self.means - before).square().sum(), self._variance()
        for sums in (self.counts, self.firsts, self.spread):
            sums.zero_()
        return bool(moved <= self.config.tolerance * variance)

    def see(self, turn: Turn) -> Mapping[str, Tensor]:
        """As `near`, with what sizes and covariances follow from; that costs many times as much."""
        x, mine, square = self._nearest(turn)
        self.add(x, mine)
        return {"square": square}

    def gather(self) -> bool:
        """Sizes, covariances, and means where the pictures of each cluster are."""
        before, empty = self.means.clone(), self.counts == 0
        self.settle()
        self.means[empty] = before[empty]
        return True

    def spread_out(self) -> bool:
        """Sizes and covariances; means stay where Lloyd's steps have left them."""
        before = self.means.clone()
        self.settle()
        self.means.copy_(before)
        return True

    def follow(self, turn: Turn) -> Mapping[str, Tensor]:
        """Each mean a little towards those pictures of a batch that are nearest to it."""
        if not self.counts.any():
            self.began.copy_(self.means)
        x, mine, square = self._nearest(turn)
        self.held += mine.sum(0)
        self.means += (mine.mT @ x - mine.sum(0)[:, None] * self.means) / self.held.clamp(min=1)[:, None]
        self.counts += mine.sum(0)
        self.spread += torch.stack((x.sum(0), x.square().sum(0)))
        return {"square": square}

    def rest(self) -> bool:
        """Whether a look at all pictures has hardly moved the means."""
        moved = (self.means - self.began).square().sum()
        variance = self._variance()
        self.counts.zero_()
        self.spread.zero_()
        return bool(moved <= self.config.tolerance * variance)

    def _nearest(self, turn: Turn) -> tuple[Tensor, Tensor, Tensor]:
        """Values [N, D] of a batch, their clusters one-hot [N, K], and the mean squared distance from those."""
        x = self.values(turn.pictures)
        near = self.within(-self.distances(x), turn.labels)
        return x, F.one_hot(near.argmax(1), self.count).to(x), -near.amax(1).mean()

    def _variance(self) -> Tensor:
        """The mean variance of the values of all pictures that were seen in this look."""
        n = self.counts.sum()
        return (self.spread[1] / n - (self.spread[0] / n).square()).mean()
