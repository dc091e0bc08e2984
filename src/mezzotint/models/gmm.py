"""GMM: a mixture of normal distributions, fitted by expectation and maximisation."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mezzotint.core.config import option
from mezzotint.engine.explaining import Curve
from mezzotint.engine.fitting import Pass
from mezzotint.engine.model import Paper, PictureSpec, register
from mezzotint.engine.phase import Turn
from mezzotint.models._mixture import Mixture, MixtureConfig

_UNKNOWN = -1e300
"""The mean log p(x) before the first pass: less than any, and finite, as all that a checkpoint holds."""


def numbers_tried(most: int) -> tuple[int, ...]:
    """Numbers of components that are compared, from 1 to `most`.

    Example:
        >>> numbers_tried(20)
        (1, 2, 3, 4, 5, 7, 9, 12, 16, 20)
    """
    found = [1]
    while found[-1] < most:
        found.append(min(most, max(found[-1] + 1, round(found[-1] * 4 / 3))))
    return tuple(found)


class GMMConfig(MixtureConfig):
    """Settings of `gmm`."""

    choose: Literal["all", "bic", "aic"] = option(
        "all", "Use all components, or as many of them as the Bayesian or Akaike's information criterion wants."
    )
    passes: int = option(100, "Looks at all pictures, at most.", ge=1)
    tolerance: float = option(1e-3, "A look that makes a picture likelier by fewer nats is the last.", ge=0)


@register
class GMM(Mixture):
    """Gaussian mixture model: p(x) = sum_k w_k N(x; m_k, S_k), of the values of pictures, or of another model's codes.

    Each pass is one step of expectation and maximisation. With the responsibilities r_nk = p(k | x_n) under the mixture
    as it is,

        w_k = sum_n r_nk / N,      m_k = sum_n r_nk x_n / sum_n r_nk,
        S_k = sum_n r_nk (x_n - m_k)(x_n - m_k)^T / sum_n r_nk + least I             (Bishop 2006, eqs. 9.24 to 9.26)

    Only sums are kept between batches, so a set may be larger than memory and the fit goes on exactly where it stopped.
    The first components are those of k-means (scikit-learn) among 10,000 pictures. Everything is in double precision,
    and from the same first components equals scikit-learn's `GaussianMixture`.

    `choose=bic` fits mixtures of 1, 2, 3, 4, 5, 7 ... up to `components` to 10,000 pictures (scikit-learn) and takes
    the number whose criterion is least, for each class in a conditional model; the other components stay empty:

        BIC = -2 log p(X) + P log N,      AIC = -2 log p(X) + 2 P,       P numbers to be estimated

    A latent is [component, one-hot | z], with x = m_k + L_k z and L_k L_k^T = S_k; the component is the code
    "component". `encode` gives the responsibilities, and z under the likeliest component, so `decode` gives the picture
    back. A conditional model has a mixture for each class, and classifies by Bayes' rule (`component // components`).

    Args:
        config: the settings.
        spec: the shape of the pictures.

    Raises:
        ConfigError: full covariances would not fit into memory, or `conditional` without classes.

    Example:
        >>> model = GMM(GMMConfig(components=3), PictureSpec(1, 4, 4)).eval()
        >>> pictures = model.sample(2)
        >>> bool(torch.allclose(model.decode(model.encode(pictures)), pictures, atol=1e-6))
        True
    """

    name = "gmm"
    summary = "Gaussian mixture: an exact density in seconds; of small pictures, or of another model's codes."
    paper = Paper(
        "Dempster, Laird, Rubin", 1977, "Maximum Likelihood from Incomplete Data via the EM Algorithm"
    )  # Journal of the Royal Statistical Society B 39(1)
    Config = GMMConfig
    tiny = {"components": 2, "passes": 3, "least": 1e-3}
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"covariance": "tied"},
        {"covariance": "diag", "conditional": True},
        {"covariance": "spherical", "components": 1},
        {"covariance": "diag", "components": 3, "choose": "bic"},
    )
    config: GMMConfig
    nats: Tensor
    bound: Tensor
    criterion: Tensor

    def __init__(self, config: GMMConfig, spec: PictureSpec) -> None:
        super().__init__(config, spec)
        self.register_buffer("nats", torch.zeros((), dtype=torch.float64))
        self.register_buffer("bound", torch.tensor(_UNKNOWN, dtype=torch.float64))
        tried = numbers_tried(config.components) if config.choose != "all" else ()
        unknown = torch.full((max(1, self.classes), len(tried)), -_UNKNOWN, dtype=torch.float64)
        self.register_buffer("criterion", unknown)

    def suitable(self, x: NDArray[np.float64], label: int) -> int:
        """The number of components whose criterion is least."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        config = self.config
        if config.choose == "all":
            return config.components
        for i, count in enumerate(numbers_tried(config.components)):
            mixture = GaussianMixture(
                count, covariance_type=config.covariance, reg_covar=config.least, max_iter=config.passes, random_state=0
            )
            with warnings.catch_warnings():  # one that has not settled is compared as it is
                warnings.simplefilter("ignore", ConvergenceWarning)
                mixture.fit(x)
            self.criterion[label, i] = float(mixture.bic(x) if config.choose == "bic" else mixture.aic(x))
        return numbers_tried(config.components)[int(self.criterion[label].argmin())]

    @property
    def used(self) -> int:
        """Components that pictures have."""
        return int((self.weights > 0).sum())

    def criteria(self) -> tuple[Curve, ...]:
        """The criterion by the number of components; of a conditional model summed over its classes."""
        if self.config.choose == "all" or float(self.criterion.max()) >= -_UNKNOWN:
            return ()
        name, at = self.config.choose.upper(), numbers_tried(self.config.components)
        says = f"{name} of mixtures of so many components; less is better. {self.used} are used."
        return (Curve(name, at, self.criterion.sum(0).tolist(), says),)

    def passes(self) -> tuple[Pass, ...]:
        """Steps of expectation and maximisation, until a picture gains no more."""
        return (Pass("em", self.expect, self.maximise, self.config.passes),)

    def assign(self, x: Tensor) -> Tensor:
        """Responsibilities p(k | x) [N, K] of values [N, D]."""
        return self.joint(x).softmax(1)

    def expect(self, turn: Turn) -> Mapping[str, Tensor]:
        """The E step of a batch: responsibilities, and the sums that they give. `nats` is the mean -log p(x)."""
        x = self.values(turn.pictures)
        joint = self.within(self.joint(x), turn.labels)
        log_p = joint.logsumexp(1)
        self.add(x, (joint - log_p[:, None]).exp())
        self.nats += log_p.sum()
        return {"nats": -log_p.mean()}

    def maximise(self) -> bool:
        """The M step; whether a picture became likelier by less than the tolerance."""
        bound = self.nats / self.counts.sum()
        settled = bool((bound - self.bound).abs() < self.config.tolerance)
        self.settle()
        self.bound.copy_(bound)
        self.nats.zero_()
        return settled
