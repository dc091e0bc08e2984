"""SSC: pictures as a union of subspaces, found by sparse subspace clustering, each of which generates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mezzotint.clustering import SSCOMP, ElasticNetSubspaceClustering, SparseSubspaceClustering
from mezzotint.core.config import option
from mezzotint.core.errors import DataError
from mezzotint.engine.fitting import Pass
from mezzotint.engine.model import Paper, PictureSpec, register
from mezzotint.engine.phase import Turn
from mezzotint.models._mixture import Mixture, MixtureConfig


class SSCConfig(MixtureConfig):
    """Settings of `ssc`."""

    components: int = option(10, "Subspaces.", ge=1, le=10_000)
    dimensions: int = option(9, "Dimensions of a subspace.", ge=1, le=4096)
    method: Literal["lasso", "omp", "elastic"] = option(
        "lasso", "How a picture is made of others: by the lasso; or for more than some thousands, greedily or by a net."
    )
    points: int = option(2000, "Pictures that are clustered, drawn at random; the others join the nearest.", ge=2)
    alpha: float = option(20.0, "Of the lasso: lambda over its least value.", gt=1)
    affine: bool = option(False, "Of the lasso: subspaces need not hold the origin, which is black.")
    outliers: bool = option(False, "Of the lasso: some values are grossly wrong, as shadows are.")
    nonzeros: int = option(5, "Of omp: pictures that one is made of.", ge=1)
    gamma: float = option(200.0, "Of the net: the weight of what is left over its least value.", gt=1)
    tau: float = option(0.9, "Of the net: 1 is the lasso, less joins more pictures.", gt=0, le=1)
    covariance: Literal["full"] = option("full", "That of a subspace and of the noise about it.")
    conditional: Literal[False] = option(False, "It finds classes by itself.")


METHODS: dict[str, Callable[[SSCConfig], Any]] = {
    "lasso": lambda c: SparseSubspaceClustering(
        c.components, alpha=c.alpha, affine=c.affine, outliers=c.outliers, random_state=0
    ),
    "omp": lambda c: SSCOMP(c.components, n_nonzero=c.nonzeros, random_state=0),
    "elastic": lambda c: ElasticNetSubspaceClustering(c.components, gamma=c.gamma, tau=c.tau, random_state=0),
}
"""How points are clustered; see `mezzotint.clustering`."""


@register
class SSC(Mixture):
    """Sparse subspace clustering, as a generative model: a mixture of probabilistic principal components.

    Each of some thousands of pictures, as values from 0 (black) to 1, is made of few of the others; who is made of whom
    is a graph, whose clusters are the subspaces (see `mezzotint.clustering`). In a second look every picture joins the
    subspace under which it is likeliest, and each subspace becomes a normal distribution (Tipping and Bishop 1999):

        N(m_k, U_k diag(l_1 ... l_d) U_k^T + s^2 (I - U_k U_k^T))

    with the first d principal axes of its pictures and, across them, the mean of the other variances. A latent is
    [subspace, one-hot | z]; the subspace is the code "component". Samples are drawn in the subspace, and reconstructed
    is the nearest picture in it, without the noise s across: densities have it, pictures look worse with it.

    Args:
        config: the settings.
        spec: the shape of the pictures.

    Raises:
        ConfigError: the covariances would not fit into memory.

    Example:
        >>> model = SSC(SSCConfig(components=3, dimensions=2), PictureSpec(1, 4, 4)).eval()
        >>> tuple(model.sample(2).shape)
        (2, 1, 4, 4)
    """

    name = "ssc"
    summary = "Sparse subspace clustering: finds the subspaces that pictures lie in, and draws from each."
    paper = Paper(
        "Elhamifar, Vidal", 2013, "Sparse Subspace Clustering: Algorithm, Theory, and Applications", "1203.1005"
    )
    Config = SSCConfig
    tiny = {"components": 2, "dimensions": 2, "points": 16, "least": 1e-3}
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({"method": "omp"}, {"method": "elastic", "points": 10})
    config: SSCConfig
    chosen: Tensor
    filled: Tensor
    axes: Tensor

    def __init__(self, config: SSCConfig, spec: PictureSpec) -> None:
        super().__init__(config, spec)
        self.register_buffer("chosen", torch.zeros(config.points, spec.values))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))
        first = torch.eye(spec.values, min(config.dimensions, spec.values), dtype=torch.float64)
        self.register_buffer("axes", first.repeat(self.count, 1, 1))

    def passes(self) -> tuple[Pass, ...]:
        """A look for the pictures that are clustered, and one in which all join a subspace."""
        return (Pass("choice", self.choose, self.cluster), Pass("subspaces", self.see, self.close))

    def choose(self, turn: Turn) -> Mapping[str, Tensor]:
        """Keep the first pictures, which come in random order."""
        first = int(self.filled)
        more = turn.pictures.flatten(1)[: len(self.chosen) - first].to(self.chosen)
        self.chosen[first : first + len(more)] = more
        self.filled += len(more)
        return {"chosen": self.filled.float()}

    def cluster(self) -> bool:
        """The subspaces of the chosen pictures."""
        x = self.chosen[: int(self.filled)]
        if len(x) < self.config.components:
            raise DataError(f"{self.config.components} subspaces need as many pictures, and there are {len(x)}.")
        labels = torch.from_numpy(METHODS[self.config.method](self.config).fit_predict(((x + 1) / 2).cpu().numpy()))
        self.add(x.double(), F.one_hot(labels.long().to(x.device), self.count).double())
        self.settle()
        self.chosen.zero_()
        self.filled.zero_()
        return True

    def see(self, turn: Turn) -> Mapping[str, Tensor]:
        """Each picture of a batch to its subspace. `nats` is the mean -log p(x)."""
        x = self.values(turn.pictures)
        joint = self.joint(x)
        self.add(x, F.one_hot(joint.argmax(1), self.count).to(x))
        return {"nats": -joint.logsumexp(1).mean()}

    def close(self) -> bool:
        """Principal components of what each subspace holds."""
        self.settle()
        return True

    def assign(self, x: Tensor) -> Tensor:
        """p(subspace | x) [N, K] of values [N, D]."""
        return self.joint(x).softmax(1)

    def regular(self, covariances: Tensor) -> Tensor:
        """Across the first axes of each, the mean of the variances there."""
        variances, axes = torch.linalg.eigh(covariances)  # ascending
        across = variances.shape[1] - self.axes.shape[2]
        self.axes.copy_(axes[:, :, across:])
        if across:
            variances = variances.clone()
            variances[:, :across] = variances[:, :across].mean(1, keepdim=True)
        return (axes * variances.clamp(min=self.config.least)[:, None]) @ axes.mT

    def placed(self, z: Tensor, component: Tensor) -> Tensor:
        """U U^T L z [N, D]: within the subspace, with the covariance U diag(l) U^T."""
        axes = self.axes[component]
        return (axes @ (axes.mT @ super().placed(z, component)[:, :, None]))[:, :, 0]
