"""How likely pictures are to a model with q(z|x) and p(x|z): the ELBO, and the likelihood by importance sampling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mezzotint.core import rng
from mezzotint.core.errors import ConfigError
from mezzotint.models._coded import Coded
from mezzotint.nn.bounds import gaussian_kl, importance_bound
from mezzotint.nn.importance import log_marginal
from mezzotint.nn.likelihoods import LEVELS, bernoulli, binarised, discretised_logistic, gaussian, least_scale

_ENCODED = 256
"""Pictures that are encoded at once, and latents that are decoded at once where a likelihood is estimated."""


class Likelihood(Coded):
    """A model whose latent z ~ N(0, I) of `units` numbers has a normal q(z|x), and pictures p(x|z).

    A subclass has `posterior` and `output`, and its config `likelihood` and `binarise`. Where it knows `classes`, both
    are asked with one-hot classes.
    """

    config: Any
    units: int
    classes: int
    scale: nn.ParameterList

    def posterior(self, pictures: Tensor, classes: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """q(z|x): its mean and log variance, [N, units] each; `classes` are one-hot [N, classes]."""
        raise NotImplementedError

    def output(self, z: Tensor, classes: Tensor | None = None) -> Tensor:
        """What the decoder says of z [N, units], and of one-hot classes [N, classes]: [N, outputs, H, W]."""
        raise NotImplementedError

    def log_p(self, pictures: Tensor, output: Tensor) -> Tensor:
        """log p(x|z) in nats [...], of pictures [..., C, H, W] and the decoder's output [..., outputs, H, W]."""
        if self.config.likelihood == "bernoulli":
            return bernoulli(output, pictures)
        if self.config.likelihood == "gaussian":
            return gaussian(output, least_scale(self.scale[0]), pictures)
        mean, log_scale = output.chunk(2, -3)
        return discretised_logistic(mean, log_scale.clamp(min=-7), pictures)

    def elbo_terms(self, pictures: Tensor, noise: Tensor, classes: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The two parts of the ELBO for one draw of z: log p(x|z) and the KL divergence, nats [N] each.

        Args:
            pictures: [N, C, H, W] in [-1, 1].
            noise: the standard normal draw [N, units].
            classes: one-hot [N, classes], of a conditional model.
        """
        mean, log_variance = self.posterior(pictures, classes)
        z = mean + torch.exp(0.5 * log_variance) * noise
        return self.log_p(pictures, self.output(z, classes)), gaussian_kl(mean, log_variance)

    @torch.no_grad()
    def log_likelihood(self, pictures: Tensor, seed: int = 0) -> Tensor:
        """The ELBO, a lower bound of log p(x), in nats [N], with one draw of z; that of row k does not depend on N.

        With `binarise` it is that of black and white pictures, drawn by the seed. A conditional model's classes are
        taken as equally likely and summed out: log p(x) >= log 1/K sum_y exp ELBO(x|y).
        """
        pictures = self._as_scored(pictures, seed)
        noise = torch.from_numpy(rng.normal((len(pictures), self.units), seed, "likelihood")).to(self.device)

        def elbo(classes: Tensor | None) -> Tensor:
            reconstruction, kl = self.elbo_terms(pictures, noise, classes)
            return reconstruction - kl

        return self._over_classes(elbo, len(pictures))

    @torch.no_grad()
    def importance_log_likelihood(self, pictures: Tensor, samples: int = 5000, seed: int = 0) -> Tensor:
        """log p(x) in nats [N] by importance sampling (Burda et al. 2016, eq. 8); that of row k does not depend on N.

        On average it is a lower bound too, far closer than the ELBO: see `mezzotint.nn.importance.log_marginal`. With
        `binarise` it is that of the same black and white pictures as in `log_likelihood`; classes are summed out.

        Args:
            pictures: [N, C, H, W] in [-1, 1].
            samples: latents that are drawn and decoded for each picture (and class).
            seed: of everything drawn.

        Raises:
            ConfigError: there are no samples, or the pictures are not of this model's shape.
        """
        if samples < 1:
            raise ConfigError(f"Importance sampling needs at least 1 sample of each picture; got samples={samples}.")
        pictures = self._as_scored(pictures, seed)

        def marginal(classes: Tensor | None) -> Tensor:
            parts = [
                self.posterior(part, None if classes is None else classes[: len(part)])
                for part in pictures.split(_ENCODED)
            ]
            mean, log_variance = (torch.cat(each) for each in zip(*parts, strict=True))

            def log_p(rows: slice, z: Tensor) -> Tensor:
                flat = z.flatten(0, 1)
                mark = None if classes is None else classes[:1].expand(len(flat), -1)
                return self.log_p(pictures[rows, None], self.output(flat, mark).unflatten(0, z.shape[:2]))

            return log_marginal(mean, log_variance, log_p, samples, seed, block=_ENCODED)

        return self._over_classes(marginal, len(pictures))

    def all_of(self, label: int, n: int) -> Tensor:
        """One-hot classes [n, classes], all of the same label."""
        classes = torch.zeros(n, self.classes, device=self.device)
        classes[:, label] = 1
        return classes

    def _over_classes(self, log_p: Callable[[Tensor | None], Tensor], n: int) -> Tensor:
        """log 1/K sum_y p(x|y) [N], of a function of one-hot classes [N, K]; of None where there are no classes."""
        if not self.classes:
            return log_p(None)
        return importance_bound(torch.stack([log_p(self.all_of(label, n)) for label in range(self.classes)], 1))

    def _as_scored(self, pictures: Tensor, seed: int) -> Tensor:
        """Checked, and for a model of black and white pictures made such: always the same by one seed."""
        pictures = self.check_pictures(pictures)
        if not self.config.binarise:
            return pictures
        coins = rng.stream(seed, "binarise").random(tuple(pictures.shape), dtype=np.float32)
        return binarised(pictures, torch.from_numpy(coins).to(pictures))

    def bits_per_dim(self, nats: Tensor) -> Tensor:
        """Bits for each pixel value [N], from log-likelihoods in nats [N].

        A density (gaussian) is turned into the probability of a grey level by the level's width, 2 / 255. For
        bernoulli these are bits of a black-and-white picture and compare with nothing else.
        """
        bits = -nats / (self.spec.values * math.log(2))
        return bits + math.log2((LEVELS - 1) / 2) if self.config.likelihood == "gaussian" else bits
