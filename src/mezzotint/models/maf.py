"""MAF: a masked autoregressive flow, whose density of pictures (or of another model's codes) is exact."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mezzotint.core import rng
from mezzotint.core.config import Config, option
from mezzotint.core.errors import ConfigError
from mezzotint.engine.model import Paper, PictureSpec, register
from mezzotint.engine.phase import OptimizerSpec, Phase, Terms, Turn
from mezzotint.models._coded import Coded
from mezzotint.nn.bounds import importance_bound
from mezzotint.nn.flows import MaskedAutoregressiveFlow
from mezzotint.nn.likelihoods import LEVELS

_EDGE = 0.01
"""How far from 0 and 1 a value stays before its logit is taken."""
_SEEN = 10_000
_MOST = 64 * 64 * 3
"""Values of a picture, at most: the masks grow with them, and drawing takes as many passes."""


class MAFConfig(Config):
    """Settings of `maf`."""

    layers: int = option(5, "Layers of the flow; between them the order of the values is turned round.", ge=1, le=64)
    hidden: tuple[int, ...] = option((256, 256), "Units of the hidden layers of each.")
    conditional: bool = option(False, "Learn the density of each class.")
    lr: float = option(5e-4, "Learning rate of Adam.", gt=0)
    beta2: float = option(0.99, "Second moment of Adam.", ge=0, lt=1)


@register
class MAF(Coded):
    """Masked autoregressive flow.

    Each layer makes u_i = (x_i - mu_i) exp(-alpha_i), with mu_i and alpha_i functions of x_1 ... x_{i-1}; what comes
    out of the last is a standard normal vector, the latent, of as many numbers as the picture has. So the density is
    exact:

        minimise  -log p(x),    log p(x) = log N(u; 0, I) - sum_i alpha_i                   (eqs. 3 to 5 of the paper)

    Grey levels are spread evenly over their width (dequantisation), which makes it a lower bound of the levels'
    probability; their logits, brought to mean 0 and variance 1, are what the flow sees. Drawing takes as many passes as
    a picture has values.

    Its place is that of a sampler: trained on the codes of another model (`mezzotint train maf runs/vae -o runs/maf`)
    it draws codes as pictures have them, where that model's prior is only about right (`mezzotint sample runs/vae
    --sampler runs/maf`).

    Args:
        config: the settings.
        spec: the shape of the pictures.

    Raises:
        ConfigError: the pictures have more than 12,288 values, or `conditional` without classes.

    Example:
        >>> model = MAF(MAFConfig(layers=2, hidden=(16,)), PictureSpec(1, 4, 4)).eval()
        >>> pictures = model.sample(2)
        >>> bool(torch.allclose(model.decode(model.encode(pictures)), pictures, atol=1e-4))
        True
    """

    name = "maf"
    summary = "Masked autoregressive flow: an exact density of small pictures, or of another model's codes."
    paper = Paper(
        "Papamakarios, Pavlakou, Murray", 2017, "Masked Autoregressive Flow for Density Estimation", "1705.07057"
    )
    Config = MAFConfig
    tiny = {"layers": 2, "hidden": (16,)}
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({"conditional": True, "layers": 3},)
    unexported = dict.fromkeys(("generate", "decode"), "its values follow each other one by one")
    averaged = ("flow",)
    config: MAFConfig
    mean: Tensor
    spread: Tensor

    def __init__(self, config: MAFConfig, spec: PictureSpec) -> None:
        super().__init__(config, spec)
        if spec.values > _MOST:
            raise ConfigError(
                f"maf is for pictures of at most {_MOST:,} values; these have {spec.values:,}. Use --size, or train it "
                "on the codes of another model: mezzotint train maf runs/vae."
            )
        self.condition(config.conditional)
        self.classes = len(spec.classes) if config.conditional else 0
        self.latent_size = spec.values
        self.flow = MaskedAutoregressiveFlow(spec.values, config.layers, config.hidden, self.classes)
        self.register_buffer("mean", torch.zeros(spec.values))
        self.register_buffer("spread", torch.ones(spec.values))

    # Training -------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def begin(self, training: Callable[[int], tuple[Tensor, Tensor | None]]) -> None:
        """The logits of training pictures are brought to mean 0 and variance 1."""
        pictures, _ = training(_SEEN)
        noise = rng.stream(0, "maf", "begin").random(tuple(pictures.shape), dtype=np.float32)
        logits, _ = self._logits(pictures, torch.from_numpy(noise).to(pictures))
        self.mean.copy_(logits.mean(0))
        self.spread.copy_(logits.std(0).clamp(min=1e-4) if len(logits) > 1 else torch.ones_like(self.mean))

    def phases(self) -> tuple[Phase, ...]:
        """One phase."""
        return (Phase("flow", self.flow, self.loss, OptimizerSpec("adam", self.config.lr, (0.9, self.config.beta2))),)

    def loss(self, turn: Turn) -> Terms:
        """Nats of a picture, the mean."""
        return {"nats": self._nats(turn)}

    def validation_loss(self, turn: Turn) -> Tensor:
        """The same of held-out pictures."""
        return self._nats(turn)

    def _nats(self, turn: Turn) -> Tensor:
        noise = turn.draw.uniform(*turn.pictures.shape)
        return -self._log_p(turn.pictures, noise, self._one_hot(len(turn.pictures), turn.labels)).mean()

    def _log_p(self, pictures: Tensor, noise: Tensor, classes: Tensor | None) -> Tensor:
        """log p of the grey levels, or its bound by one draw, in nats [N]; noise in [0, 1), one-hot classes [N, K]."""
        logits, slope = self._logits(pictures, noise)
        with torch.autocast(pictures.device.type, enabled=False):
            u, log_slope = self.flow((logits - self.mean) / self.spread, classes)
            normal = -0.5 * (u.square() + math.log(2 * math.pi)).sum(1)
        return normal + log_slope - self.spread.log().sum() + slope - self.spec.values * math.log(LEVELS)

    def _logits(self, pictures: Tensor, noise: Tensor | float) -> tuple[Tensor, Tensor]:
        """Pictures [N, C, H, W] -> logits [N, D] of their values in [0, 1], and the log slope [N] by these."""
        share = ((pictures.float() + 1) * ((LEVELS - 1) / 2) + noise) / LEVELS
        inner = (_EDGE + (1 - 2 * _EDGE) * share).flatten(1)
        slope = math.log(1 - 2 * _EDGE) - inner.log() - (1 - inner).log()
        return torch.logit(inner), slope.sum(1)

    def _one_hot(self, n: int, labels: Tensor | None) -> Tensor | None:
        """Classes [n, classes] of labels [n], even ones where there are none; None for a model that knows no class."""
        if not self.classes:
            return None
        if labels is None:
            return torch.full((n, self.classes), 1 / self.classes, device=self.device)
        return F.one_hot(labels.to(self.device), self.classes).float()

    # What it can do -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """Latents [N, latent] of pictures [N, C, H, W] in [-1, 1]; a conditional model's are of no class."""
        logits, _ = self._logits(self.check_pictures(pictures), 0.5)
        u: Tensor = self.flow((logits - self.mean) / self.spread, self._one_hot(len(pictures), None))[0]
        return u

    def generate(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] of latents [N, latent], with gradients."""
        found = self.flow.inverse(latents.to(self.device), self._one_hot(len(latents), labels))
        share = (torch.sigmoid(found * self.spread + self.mean) - _EDGE) / (1 - 2 * _EDGE)
        values = (share * LEVELS - 0.5) * (2 / (LEVELS - 1)) - 1
        return values.clamp(-1, 1).unflatten(1, self.spec.shape)

    @torch.no_grad()
    def log_likelihood(self, pictures: Tensor, seed: int = 0) -> Tensor:
        """A lower bound of the log-probability of the grey levels, in nats [N], by one draw within them.

        A conditional model's classes are taken as equally likely and summed out.
        """
        pictures = self.check_pictures(pictures)
        noise = torch.from_numpy(rng.stream(seed, "maf").random(tuple(pictures.shape), dtype=np.float32)).to(pictures)
        if not self.classes:
            return self._log_p(pictures, noise, None)
        every = torch.eye(self.classes, device=self.device)
        each = [self._log_p(pictures, noise, row.expand(len(pictures), -1)) for row in every]
        return importance_bound(torch.stack(each, 1))

    def bits_per_dim(self, nats: Tensor) -> Tensor:
        """Bits for each pixel value [N], from log-likelihoods in nats [N]."""
        return -nats / (self.spec.values * math.log(2))
