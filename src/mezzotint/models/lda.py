"""LDA: linear discriminant analysis, as the generative model that it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mezzotint.core.config import option
from mezzotint.core.errors import ConfigError
from mezzotint.engine.fitting import Pass
from mezzotint.engine.model import Paper, PictureSpec, register
from mezzotint.engine.phase import Turn
from mezzotint.models._mixture import Mixture, MixtureConfig


class LDAConfig(MixtureConfig):
    """Settings of `lda`."""

    components: Literal[1] = option(1, "Each class is one normal distribution.")
    covariance: Literal["tied"] = option("tied", "All classes have the same covariance.")
    conditional: Literal[True] = option(True, "It is a model of classes.")
    shrinkage: float = option(
        0.1, "How far the covariance is drawn to the sphere of the same mean variance, from 0 to 1.", ge=0, le=1
    )


@register
class LDA(Mixture):
    """Linear discriminant analysis: each class y is normal about a mean of its own, with the same covariance for all.

        p(x | y) = N(x; m_y, S),      S = (1 - shrinkage) S_within + shrinkage tr(S_within) / D I

    so classes are divided by planes, p(y | x) = softmax(log p(y) + log p(x | y)), and a picture of a class is drawn
    from p(x | y). One pass fits all of it, and what is fitted equals scikit-learn's `LinearDiscriminantAnalysis` with
    the solver "lsqr" and the same shrinkage. Without shrinkage fewer pictures than values have no inverse covariance.

    A latent is [class, one-hot | z]. `encode` gives p(y | x), and z under the likeliest class; `project` gives the
    coordinates in which classes are farthest apart (Fisher's discriminants).

    Args:
        config: the settings.
        spec: the shape of the pictures.

    Raises:
        ConfigError: the pictures have no classes, or the covariance would not fit into memory.

    Example:
        >>> model = LDA(LDAConfig(), PictureSpec(1, 4, 4, classes=("cat", "dog"))).eval()
        >>> tuple(model.sample(2).shape), tuple(model.classify(model.sample(2)).shape)
        ((2, 1, 4, 4), (2, 2))
    """

    name = "lda"
    summary = "Linear discriminant analysis: draws pictures of a class, tells classes, and projects to tell them apart."
    paper = Paper("Fisher", 1936, "The Use of Multiple Measurements in Taxonomic Problems")  # Annals of Eugenics 7(2)
    Config = LDAConfig
    tiny = {"shrinkage": 0.2}
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    config: LDAConfig

    def __init__(self, config: LDAConfig, spec: PictureSpec) -> None:
        if not spec.classes:
            raise ConfigError("lda is a model of classes, and these pictures have none; sort them in folders.")
        super().__init__(config, spec)

    def passes(self) -> tuple[Pass, ...]:
        """One look at all pictures."""
        return (Pass("moments", self.see, self.close),)

    def assign(self, x: Tensor) -> Tensor:
        """p(y | x) [N, classes] of values [N, D]."""
        return self.joint(x).softmax(1)

    def see(self, turn: Turn) -> Mapping[str, Tensor]:
        """A batch's sums, of each class. `nats` is the mean -log p(x | y)."""
        assert turn.labels is not None
        x, y = self.values(turn.pictures), turn.labels.to(self.device)
        self.add(x, F.one_hot(y, self.classes).to(x))
        return {"nats": -self.kind.log_density(x, self.means, self.roots).gather(1, y[:, None]).mean()}

    def close(self) -> bool:
        """Means and covariance of the sums."""
        self.settle()
        return True

    def regular(self, covariances: Tensor) -> Tensor:
        """The covariance, shrunk."""
        size, share = len(covariances), self.config.shrinkage
        sphere = covariances.trace() / size * torch.eye(size, dtype=covariances.dtype, device=covariances.device)
        return (1 - share) * covariances + share * sphere

    # What it can do -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def classify(self, pictures: Tensor) -> Tensor:
        """p(y | x) [N, classes] of pictures [N, C, H, W] in [-1, 1]."""
        return self.assign(self.values(self.check_pictures(pictures))).float()

    @torch.no_grad()
    def project(self, pictures: Tensor) -> Tensor:
        """Discriminant coordinates [N, classes - 1] of pictures [N, C, H, W] in [-1, 1], the most telling one first.

        In them the covariance within classes is the unit matrix, and that of the classes' means is diagonal.
        """
        x = self.values(self.check_pictures(pictures))
        middle = self.weights @ self.means
        white = torch.linalg.solve_triangular(self.roots, (self.means - middle).mT, upper=False).mT
        _, _, axes = torch.linalg.svd(white * self.weights.sqrt()[:, None], full_matrices=False)
        inside = torch.linalg.solve_triangular(self.roots, (x - middle).mT, upper=False).mT
        return (inside @ axes[: self.classes - 1].mT).float()
