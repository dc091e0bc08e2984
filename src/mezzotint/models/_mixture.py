"""What mixtures of normal distributions share: sums over batches, latents, densities, and components of classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mezzotint.core import rng
from mezzotint.core.config import Config, option
from mezzotint.core.errors import ConfigError
from mezzotint.engine.codes import Code
from mezzotint.engine.explaining import Curve, Explanation, Parts
from mezzotint.engine.model import PictureSpec
from mezzotint.models._fitted import Fitted
from mezzotint.nn.mixtures import KINDS

_SEEN = 10_000
"""Pictures that the first components are found among."""
_CHUNK = 256
_MOST = 2**26
"""Numbers that covariances may have together: 512 MiB, of which their roots and the sums take as much again."""


class MixtureConfig(Config):
    """Settings of every mixture; a model may have other defaults."""

    components: int = option(10, "Normal distributions; in a conditional model, of each class.", ge=1, le=10_000)
    covariance: Literal["full", "tied", "diag", "spherical"] = option(
        "full", "Of each component, of all together, or without what values have to do with each other."
    )
    least: float = option(
        1e-5, "What is added to every variance, on the scale of [-1, 1]; half a grey level squared is 1.5e-5.", gt=0
    )
    conditional: bool = option(False, "Fit a mixture to each class.")


class Mixture(Fitted):
    """p(x) = sum_k w_k N(x; m_k, S_k) of the values x of pictures; in double precision.

    A subclass says in `assign` how much of a picture each component has, and in `passes` when sums become components.
    A latent is [component, one-hot | z], with x = m_k + L_k z and L_k L_k^T = S_k.
    """

    estimates = ("weights", "means", "covariances")
    unexported: ClassVar[Mapping[str, str]] = {"encode": "it solves triangular systems"}
    config: Any
    weights: Tensor
    means: Tensor
    covariances: Tensor
    roots: Tensor
    counts: Tensor
    firsts: Tensor
    seconds: Tensor

    def __init__(self, config: Any, spec: PictureSpec) -> None:
        super().__init__(config, spec)
        self.condition(config.conditional)
        self.classes = len(spec.classes) if config.conditional else 0
        if self.classes and config.components == 1:
            self.class_code = "component"
        self.kind = KINDS[config.covariance]
        self.count, size = config.components * max(1, self.classes), spec.values
        shape = self.kind.shape(self.count, size)
        if math.prod(shape) > _MOST:
            open_to = get_args(type(config).model_fields["covariance"].annotation)
            other = "--set model.covariance=diag, " if "diag" in open_to else ""
            raise ConfigError(
                f"Covariances of {self.count:,} components of {size:,} values do not fit into memory; use --size, "
                f"{other}or fit the codes of another model: mezzotint train {self.name} runs/pca."
            )
        self.latent_size = self.count + size

        def keep(name: str, value: Tensor) -> None:
            self.register_buffer(name, value)

        keep("weights", torch.full((self.count,), 1 / self.count, dtype=torch.float64))
        keep("means", torch.zeros(self.count, size, dtype=torch.float64))
        keep("covariances", self.kind.unit(shape))
        keep("roots", self.kind.root(self.covariances))
        # sums of the pass that is under way
        keep("counts", torch.zeros(self.count, dtype=torch.float64))
        keep("firsts", torch.zeros(self.count, size, dtype=torch.float64))
        keep("seconds", torch.zeros(self.kind.sums(self.count, size), dtype=torch.float64))

    # Fitting --------------------------------------------------------------------------------------------------------

    def begin(self, training: Callable[[int], tuple[Tensor, Tensor | None]]) -> None:
        """The first components: the clusters of k-means, of each class in a conditional model."""
        from sklearn.cluster import KMeans

        pictures, labels = training(_SEEN)
        x = self.values(pictures)
        everything = torch.ones(len(x), dtype=torch.bool, device=x.device)
        groups = [_known(labels) == label for label in range(self.classes)] if self.classes else [everything]
        shares = torch.zeros(len(x), self.count, dtype=torch.float64, device=x.device)
        for k, rows in enumerate(groups):
            mine = x[rows].cpu().numpy()
            if len(mine) < self.config.components:
                of = f' of class "{self.spec.classes[k]}"' if self.classes else ""
                raise ConfigError(
                    f"{self.config.components} components need as many training pictures{of}, and there are "
                    f"{len(mine)}; set model.components lower."
                )
            found = KMeans(self.suitable(mine, k), n_init=1, random_state=0).fit_predict(mine)
            first = k * self.config.components
            shares[rows, first : first + self.config.components] = _one_hot(found, self.config.components).to(x)
        self.add(x, shares)
        self.settle()

    def suitable(self, x: NDArray[np.float64], label: int) -> int:
        """How many of the components these first pictures [N, D], of a class, are given; the others stay empty."""
        found: int = self.config.components
        return found

    def assign(self, x: Tensor) -> Tensor:
        """Each component's share [N, K] of values [N, D]; those of a picture add up to 1."""
        raise NotImplementedError

    def within(self, joint: Tensor, labels: Tensor | None) -> Tensor:
        """`joint` [N, K], or -inf at the components of other classes than `labels` [N], in a conditional model."""
        if not self.classes:
            return joint
        mine = F.one_hot(_known(labels), self.classes).repeat_interleave(self.config.components, 1).bool()
        return joint.masked_fill(~mine.to(joint.device), -math.inf)

    def add(self, x: Tensor, shares: Tensor) -> None:
        """What a batch [N, D] with responsibilities [N, K] adds to the sums."""
        self.counts += shares.sum(0)
        self.firsts += shares.mT @ x
        self.kind.add(self.seconds, x, shares)

    def settle(self) -> None:
        """Weights, means and covariances of the sums, which begin anew."""
        counts = self.counts + 10 * torch.finfo(torch.float64).eps  # as in scikit-learn: none is divided by zero
        self.weights.copy_(counts / counts.sum())
        self.weights[self.counts == 0] = 0  # or a component of no pictures would be there in some
        self.means.copy_(self.firsts / counts[:, None])
        covariances = self.kind.of_sums(self.seconds, counts, self.means, self.config.least)
        self.covariances.copy_(self.regular(covariances))
        self.roots.copy_(self.kind.root(self.covariances))
        for sums in (self.counts, self.firsts, self.seconds):
            sums.zero_()

    def regular(self, covariances: Tensor) -> Tensor:
        """The covariances that are kept, of those that were found."""
        return covariances

    @property
    def like(self) -> Tensor:
        """A tensor of the device and the precision in which it computes."""
        return self.means

    def joint(self, x: Tensor) -> Tensor:
        """log w_k N(x; m_k, S_k) [N, K] of values [N, D]."""
        return self.weights.log() + self.kind.log_density(x, self.means, self.roots)

    def log_p(self, x: Tensor) -> Tensor:
        """log p(x) in nats [N] of values [N, D]."""
        return self.joint(x).logsumexp(1)

    # What it can do -------------------------------------------------------------------------------------------------

    def codes(self) -> tuple[Code, ...]:
        """The component, and the numbers z0, z1 ... that place a picture within it."""
        units = (Code(f"z{k}", "normal", self.count + k) for k in range(self.spec.values))
        kinds = (Code("component", "categorical", 0, self.count),) if self.count > 1 else ()
        return (*kinds, *units)

    def latent(self, n: int, seed: int = 0, truncation: float = 1.0) -> Tensor:
        """Latents [n, latent] = [one-hot component, drawn by its weight | standard normal]; row k does not depend on n.

        Args:
            n: how many.
            seed: the same seed gives the same latents.
            truncation: t < 1 cuts the normal off at 2t.

        Raises:
            ConfigError: truncation is not in (0, 1].
        """
        latents = super().latent(n, seed, truncation)
        latents[:, : self.count] = self._drawn(n, seed, None).to(latents)
        return latents

    def explain(self) -> Explanation:
        """The means of the components, of the likeliest first; of a conditional model in the order of its classes."""
        order = torch.arange(self.count) if self.classes else self.weights.cpu().argsort(descending=True, stable=True)
        shown = order[self.weights.cpu()[order] > 0].to(self.device)
        pictures = self.means[shown].float().clamp(-1, 1).unflatten(1, self.spec.shape)
        says = "The means, class by class." if self.classes else "The means; the component with most pictures first."
        return Explanation((Parts("Components", pictures, says),), self.criteria())

    def criteria(self) -> tuple[Curve, ...]:
        """What the number of components was chosen by."""
        return ()

    def _drawn(self, n: int, seed: int, labels: Tensor | None) -> Tensor:
        """One-hot components [n, K], drawn by their weights, or by those within the classes [n]."""
        shares = self.weights.expand(n, -1)
        if labels is not None:
            mine = F.one_hot(labels.to(self.device), self.classes).repeat_interleave(self.config.components, 1)
            shares = shares * mine
        up_to = shares.cumsum(1) / shares.sum(1, keepdim=True)
        u = torch.from_numpy(rng.stream(seed, "components").random(n)).to(self.device)
        return F.one_hot((up_to < u[:, None]).sum(1).clamp(max=self.count - 1), self.count)

    @torch.no_grad()
    def sample(self, n: int, seed: int = 0, labels: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """`n` new pictures [n, C, H, W] in [-1, 1]; the first k of them do not depend on n.

        Args:
            n: how many.
            seed: the same seed gives the same pictures.
            labels: class indices [n] for a conditional model; left out, classes come as often as they were seen.
            truncation: see `latent`.
        """
        if n < 0:
            raise ConfigError(f"Cannot draw {n} pictures; give a number from 0.")
        labels = self.check_labels(n, labels) if self.conditional else None
        latents = self.latent(n, seed, truncation)
        if labels is not None:
            latents[:, : self.count] = self._drawn(n, seed, labels).to(latents)
        if not n:
            return torch.empty(0, *self.spec.shape, device=self.device)
        return torch.cat([self.generate(part) for part in latents.split(_CHUNK)])

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """Latents [N, latent] of pictures [N, C, H, W] in [-1, 1]: the shares of `assign`, and z under the largest."""
        x = self.values(self.check_pictures(pictures))
        shares = self.assign(x)
        best = shares.argmax(1)
        z = self.kind.standard(x - self.means[best], self.roots, best)
        return torch.cat((shares, z), 1).float()

    def generate(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] of latents [N, latent], with gradients by z.

        Labels [N] of a conditional model move a component to the same place among those of the class.
        """
        latents = latents.to(self.device)
        component = latents[:, : self.count].argmax(1)
        if labels is not None and self.classes:
            component = labels.to(self.device) * self.config.components + component % self.config.components
        z = latents[:, self.count :].to(self.means)
        values = self.means[component] + self.placed(z, component)
        return values.float().clamp(-1, 1).unflatten(1, self.spec.shape)

    def placed(self, z: Tensor, component: Tensor) -> Tensor:
        """What z [N, D] moves pictures [N, D] by from the means of their components [N]."""
        return self.kind.placed(z, self.roots, component)


def _known(labels: Tensor | None) -> Tensor:
    assert labels is not None
    return labels


def _one_hot(values: Any, count: int) -> Tensor:
    return F.one_hot(torch.from_numpy(values.astype(np.int64)), count)
