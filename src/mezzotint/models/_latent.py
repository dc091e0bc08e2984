"""What models with a Gaussian latent vector share."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from mezzotint.core import rng
from mezzotint.core.errors import ConfigError
from mezzotint.engine import codes as named
from mezzotint.engine.model import Model

_CHUNK = 256


class GaussianLatent(Model):
    """A model that makes pictures from latents z ~ N(0, I); gives it `latent`, `sample`, and its units as codes.

    The subclass sets `latent_size` and has `generate`.
    """

    latent_size: int
    conditional: bool = False
    class_code: str | None = None
    """The code that is the class, in a conditional model whose latents hold it; labels then stand in for it."""

    def condition(self, wanted: bool) -> None:
        """Set `conditional`.

        Raises:
            ConfigError: it is wanted, and the pictures have no classes.
        """
        if wanted and not self.spec.classes:
            raise ConfigError("model.conditional needs classes, and these pictures have none; sort them in folders.")
        self.conditional = wanted

    def generate(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] of latents [N, latent]."""
        raise NotImplementedError

    def codes(self) -> tuple[named.Code, ...]:
        """The codes z0, z1 ...: one for each unit of the latent."""
        return named.whole_latent(self.latent_size)

    def set_codes(self, latents: Tensor, values: Mapping[str, float]) -> Tensor:
        """A copy of the latents [N, latent] in which these codes have these values.

        Args:
            latents: [N, latent].
            values: name -> value; of a categorical code its number, from 0.

        Raises:
            ConfigError: there is no such code, or it cannot have the value.
        """
        return named.set_codes(self.codes(), latents, values)

    def get_codes(self, latents: Tensor) -> dict[str, Tensor]:
        """name -> the code's value [N] in latents [N, latent]: int64 for a categorical code, float32 for others."""
        return named.get_codes(self.codes(), latents)

    def latent(self, n: int, seed: int = 0, truncation: float = 1.0) -> Tensor:
        """Latents [n, latent] from the standard normal; row k does not depend on n.

        Args:
            n: how many.
            seed: the same seed gives the same latents.
            truncation: 1 leaves them alone; t < 1 draws from the normal cut off at 2t, which trades variety for
                typical pictures.

        Raises:
            ConfigError: truncation is not in (0, 1].
        """
        if not 0 < truncation <= 1:
            raise ConfigError(f"truncation goes from just above 0 to 1; got {truncation}.")
        values = rng.normal((n, self.latent_size), seed, "latent")
        if truncation < 1:
            from scipy.stats import norm  # slow to import, and rarely wanted

            bound = 2 * truncation
            low, high = norm.cdf(-bound), norm.cdf(bound)
            values = norm.ppf(low + norm.cdf(values.astype(np.float64)) * (high - low)).astype(np.float32)
        return torch.from_numpy(values).to(self.device)

    @torch.no_grad()
    def sample(self, n: int, seed: int = 0, labels: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """`n` new pictures [n, C, H, W] in [-1, 1]; the first k of them do not depend on n.

        Args:
            n: how many.
            seed: the same seed gives the same pictures.
            labels: class indices [n] for a conditional model; drawn evenly when left out.
            truncation: see `latent`.
        """
        if n < 0:
            raise ConfigError(f"Cannot draw {n} pictures; give a number from 0.")
        latents = self.latent(n, seed, truncation)
        labels = self.check_labels(n, labels)
        if labels is None and self.conditional:
            labels = torch.arange(n, device=self.device) % len(self.spec.classes)
        if not n:
            return torch.empty(0, *self.spec.shape, device=self.device)
        parts = [
            self.generate(latents[i : i + _CHUNK], None if labels is None else labels[i : i + _CHUNK])
            for i in range(0, n, _CHUNK)
        ]
        return torch.cat(parts)

    @torch.no_grad()
    def interpolate(self, start: Tensor, end: Tensor, steps: int = 8, label: int | None = None) -> Tensor:
        """Pictures [steps, C, H, W] in [-1, 1] on the way from one latent to another, along the sphere (see `between`).

        Args:
            start, end: [latent]; those of pictures come from `encode`, where the model has it.
            steps: how many, both ends counted; at least 2.
            label: the class of all of them, for a conditional model.

        Raises:
            ConfigError: the latents are not of this model's size, or there are fewer than 2 steps.
        """
        if steps < 2:
            raise ConfigError(f"A way needs 2 pictures at least; got steps={steps}.")
        for latent in (start, end):
            if tuple(latent.shape) != (self.latent_size,):
                raise ConfigError(
                    f"This model's latents have the shape [{self.latent_size}]; got {list(latent.shape)}."
                )
        labels = None if label is None else self.check_labels(steps, torch.full((steps,), label))
        return self.generate(named.between(self.codes(), start.to(self.device), end, steps), labels)
