"""Autoencoder: plain, denoising, sparse, contractive; a generator by a density of its codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mezzotint.core.config import option
from mezzotint.engine.model import Paper, PictureSpec, register
from mezzotint.engine.phase import OptimizerSpec, Phase, Terms, Turn
from mezzotint.models._coded import Coded, CoderConfig, coders, mean_picture
from mezzotint.nn.norm import BatchNorm2d

_FITTED, _CHUNK = 4096, 256
"""Held-out pictures that the density is fitted to, at most, and how many are encoded at once."""
_MOST = 1024
"""Units up to which the density knows how they vary together."""


class AutoencoderConfig(CoderConfig):
    """Settings of `autoencoder`; all together they are a denoising, sparse, contractive one."""

    loss: Literal["squared", "absolute", "bernoulli"] = option(
        "squared", "How far a reconstruction is off: squared or absolute difference, or bernoulli for black and white."
    )
    noise: float = option(
        0.0, "Denoising: the standard deviation of noise on what the encoder sees, of pictures in [-1, 1].", ge=0
    )
    sparsity: float = option(0.0, "Sparse: weight of the mean absolute value of the code's units.", ge=0)
    contraction: float = option(0.0, "Contractive: weight of the squared slope of the code by the picture.", ge=0)


@register
class Autoencoder(Coded):
    """An encoder to a code, and a decoder back.

        minimise  |x - decode(encode(x + noise))|^2 + sparsity |code|_1 + contraction |d code / d x|^2

    each term the mean over its values (pixels; units; units). `noise` makes it denoising (Vincent et al. 2010),
    `contraction` contractive (Rifai et al. 2011, eq. 5; the squared Frobenius norm of the Jacobian is estimated by one
    random projection, Hutchinson 1990). Each unit of the code is brought to mean 0 and variance 1 over the batch, so
    that no weight can be had cheaply by a small code.

    When training ends a normal density is fitted to the codes of held-out pictures (Ledoit and Wolf's covariance, which
    stands few pictures), and that makes it a generator. A latent is where a code lies in that density: code = mean + L
    latent, with L L^T the covariance. So latents of real pictures are about standard normal, and samples, walks and
    traversals work as for other models. Above 1,024 units, units are taken as independent.

    Args:
        config: the settings.
        spec: the shape of the pictures.

    Raises:
        ConfigError: the pictures are too small for convolutions.

    Example:
        >>> model = Autoencoder(AutoencoderConfig(width=8, latent=4), PictureSpec(1, 16, 16)).eval()
        >>> tuple(model.reconstruct(model.sample(2)).shape)
        (2, 1, 16, 16)
    """

    name = "autoencoder"
    summary = "Autoencoder: compresses to a code and back; plain, denoising, sparse or contractive."
    paper = Paper("Hinton, Salakhutdinov", 2006, "Reducing the Dimensionality of Data with Neural Networks")
    Config = AutoencoderConfig
    tiny = {"latent": 4, "width": 8, "hidden": (16,)}
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"network": "mlp", "loss": "bernoulli", "noise": 0.5},
        {"layout": "map", "latent": 2, "loss": "absolute", "sparsity": 0.1},
        {"network": "mlp", "activation": "silu", "contraction": 0.1},
    )
    averaged = ("encoder", "bottleneck", "decoder")
    config: AutoencoderConfig
    encoder: Any
    decoder: Any
    mean: Tensor
    spread: Tensor
    inverse: Tensor

    def __init__(self, config: AutoencoderConfig, spec: PictureSpec) -> None:
        super().__init__(config, spec)
        self.encoder, self.decoder = coders(self.name, config, spec, parts=1)
        self.encoder.head.register_parameter("bias", None)  # the bottleneck takes the mean away
        self.latent_size: int = self.encoder.units
        self.bottleneck = BatchNorm2d(self.latent_size, affine=False)
        self.register_buffer("mean", torch.zeros(self.latent_size))
        for name in ("spread", "inverse"):  # L and L^-1; of many units only the diagonal
            plain = torch.ones(self.latent_size)
            self.register_buffer(name, plain.diag() if self.latent_size <= _MOST else plain)

    # Training -------------------------------------------------------------------------------------------------------

    def begin(self, training: Callable[[int], tuple[Tensor, Tensor | None]]) -> None:
        """Fully connected networks begin at the mean picture."""
        if self.config.network == "mlp":
            mean = mean_picture(self.spec, training)
            self.encoder.begin_at(mean)
            bernoulli = self.config.loss == "bernoulli"
            self.decoder.begin_at(torch.logit((mean + 1) / 2, eps=1e-3) if bernoulli else mean)

    def phases(self) -> tuple[Phase, ...]:
        """One phase, in which both networks move."""
        optimizer = OptimizerSpec(self.config.optimizer, self.config.lr, (0.9, self.config.beta2))
        return (Phase("autoencoder", (self.encoder, self.decoder), self.loss, optimizer),)

    def differentiated_twice(self) -> tuple[str, ...]:
        """The encoder, where its slope is held."""
        return ("encoder",) if self.config.contraction else ()

    def loss(self, turn: Turn) -> Terms:
        """What is minimised, by its terms."""
        config, x = self.config, turn.pictures
        seen = x + config.noise * turn.draw.normal(*x.shape) if config.noise else x
        seen = seen.detach().requires_grad_(config.contraction > 0)
        (raw,) = self.encoder(seen)
        code = self._normed(raw)
        terms = {"reconstruction": self.difference(self.decoder(code), x)}
        if config.sparsity:
            terms["sparsity"] = config.sparsity * code.abs().mean()
        if config.contraction:
            terms["contraction"] = config.contraction * self._slope(turn, raw, seen)
        return terms

    def difference(self, output: Tensor, pictures: Tensor) -> Tensor:
        """How far the decoder's output [N, C, H, W] is off, the mean [] over all values."""
        if self.config.loss == "bernoulli":
            return F.binary_cross_entropy_with_logits(output, (pictures + 1) / 2)
        return F.l1_loss(output, pictures) if self.config.loss == "absolute" else F.mse_loss(output, pictures)

    def _normed(self, raw: Tensor) -> Tensor:
        """The code [N, latent] of what the encoder gives."""
        code: Tensor = self.bottleneck(raw[:, :, None, None]).flatten(1)
        return code

    def _slope(self, turn: Turn, raw: Tensor, seen: Tensor) -> Tensor:
        """|d code / d x|^2, the mean [] over pictures and units, by one projection v, with E |v^T J|^2 = |J|^2."""
        scale = raw.detach().var(0, unbiased=False).add(self.bottleneck.eps).rsqrt()
        v = turn.draw.normal(*raw.shape) * scale
        (slope,) = torch.autograd.grad((raw * v).sum(), seen, create_graph=True)
        return slope.square().flatten(1).sum(1).mean() / self.latent_size

    def validation_loss(self, turn: Turn) -> Tensor:
        """How far reconstructions of clean pictures are off."""
        return self.difference(self.decoder(self._normed(*self.encoder(turn.pictures))), turn.pictures)

    def rehearse(self, training: Callable[[int], tuple[Tensor, Tensor | None]]) -> None:
        """Codes of training pictures."""
        for part in training(_FITTED // 4)[0].split(_CHUNK):
            self._normed(*self.encoder(part))

    def start(self) -> None:
        """The density is that of codes which are about to move."""
        plain = torch.ones_like(self.mean)
        self.mean.zero_()
        for buffer in (self.spread, self.inverse):
            buffer.copy_(plain.diag() if buffer.dim() == 2 else plain)

    @torch.no_grad()
    def finish(self, held_out: Callable[[int], tuple[Tensor, Tensor | None]]) -> None:
        """Fit the density to the codes of held-out pictures."""
        from sklearn.covariance import ledoit_wolf  # slow to import

        pictures, _ = held_out(_FITTED)
        if len(pictures) < 2:
            return
        parts = [self._normed(*self.encoder(part)) for part in pictures.split(_CHUNK)]
        codes = torch.cat(parts).cpu().double()  # in this order: MPS has no float64
        if not torch.isfinite(codes).all():
            return  # diverged, which saving will say
        self.mean.copy_(codes.mean(0))
        if self.spread.dim() == 1:
            spread = codes.std(0).clamp(min=1e-3)
            inverse = 1 / spread
        else:
            covariance = torch.from_numpy(ledoit_wolf(codes.numpy())[0])
            covariance += 1e-6 * torch.eye(self.latent_size)  # units that never vary
            spread = torch.linalg.cholesky(covariance)
            inverse = torch.linalg.solve_triangular(spread, torch.eye(self.latent_size).double(), upper=False)
        self.spread.copy_(spread)
        self.inverse.copy_(inverse)

    # What it can do -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """Latents [N, latent] of pictures [N, C, H, W] in [-1, 1]: where their codes lie in the density."""
        code = self._normed(*self.encoder(self.check_pictures(pictures))) - self.mean
        return code * self.inverse if self.inverse.dim() == 1 else code @ self.inverse.t()

    def generate(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] of latents [N, latent], with gradients; labels are not used."""
        latents = latents.to(self.device)
        offset = latents * self.spread if self.spread.dim() == 1 else latents @ self.spread.t()
        output: Tensor = self.decoder(self.mean + offset)
        return torch.sigmoid(output) * 2 - 1 if self.config.loss == "bernoulli" else output.clamp(-1, 1)
