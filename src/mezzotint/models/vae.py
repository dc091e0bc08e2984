"""VAE: the variational autoencoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic import model_validator
from torch import Tensor

from mezzotint.core.config import option
from mezzotint.engine.model import Paper, register
from mezzotint.engine.phase import Terms, Turn
from mezzotint.models._variational import Variational, VariationalConfig
from mezzotint.nn.bounds import (
    free_bits,
    gaussian_kl_units,
    grown,
    importance_bound,
    log_ratio,
    resampled,
    risen,
    with_gradient_of,
)


class VAEConfig(VariationalConfig):
    """Settings of `vae`."""

    bound: Literal["elbo", "importance"] = option(
        "elbo", "What is trained on: the ELBO, or the importance-weighted bound of several draws (IWAE)."
    )
    draws: int = option(1, "Draws of z for each picture; the importance-weighted bound needs several.", ge=1, le=1000)
    draws_rounds: int = option(
        0,
        "Rounds in which the draws of the importance-weighted bound grow from 1, for early ones need few; 0: all from "
        "the start.",
        ge=0,
    )
    backward: int = option(
        0,
        "Of the draws of the importance-weighted bound, gradients flow through so many, drawn by weight, which is "
        "cheaper; 0: through all.",
        ge=0,
        le=1000,
    )
    gradient: Literal["total", "path"] = option(
        "total", "How the encoder learns: path leaves out a part that is zero on average and noise otherwise."
    )
    beta: float = option(1.0, "Weight of the KL divergence; above 1 it disentangles (beta-VAE).", gt=0)
    capacity: float = option(
        0.0, "Nats that the latent shall tell in the end: the KL divergence is pulled to it, beta strong; 0: off.", ge=0
    )
    capacity_rounds: int = option(25_000, "Rounds in which the capacity rises from 0.", ge=1)
    warmup: int = option(0, "Rounds in which the weight of the KL divergence rises from 0, against collapse.", ge=0)
    free_bits: float = option(0.0, "Nats that each unit may tell without a price, against collapse.", ge=0)

    @model_validator(mode="after")
    def _check_bound(self) -> VAEConfig:
        shaped = [name for name in ("capacity", "warmup", "free_bits") if getattr(self, name)]
        shaped += ["beta"] if self.beta != 1 else []
        if self.bound == "importance" and shaped:
            raise ValueError(
                f"the importance-weighted bound has no KL divergence of its own that {shaped[0]} could shape; leave it "
                "out, or set model.bound=elbo"
            )
        if self.bound == "elbo" and (self.backward or self.draws_rounds):
            name, does = ("backward", "chooses among") if self.backward else ("draws_rounds", "is about")
            raise ValueError(f"{name} {does} the draws of the importance-weighted bound; set model.bound=importance")
        if self.gradient == "path" and not self.plain:
            raise ValueError(
                "the path gradient is that of the bound itself, without beta, capacity, warmup or free_bits"
            )
        if self.capacity and (self.warmup or self.free_bits):
            raise ValueError("capacity pulls the KL divergence to a value, which warmup and free_bits cannot shape too")
        return self

    @property
    def plain(self) -> bool:
        """Whether the loss is the negative ELBO itself."""
        return self.beta == 1 and not (self.capacity or self.warmup or self.free_bits)


@register
class VAE(Variational):
    """Variational autoencoder.

    An encoder gives q(z|x) = N(mean, diag(variance)), a decoder gives p(x|z), and both are trained on the evidence
    lower bound (eq. 3 of the paper), in nats for each picture:

        ELBO(x) = E_q[log p(x|z)] - KL(q(z|x) || N(0, I))  <=  log p(x)

    with one draw z = mean + std * eps (the reparameterisation trick, section 2.4), or the mean over `draws`. Options
    change the bound or the weight of its second part:

    - `bound=importance`: log 1/K sum_k p(x, z_k) / q(z_k|x) of K `draws`, which is tighter (IWAE, Burda et al. 2016,
      arXiv:1509.00519, eq. 8).
    - `draws_rounds`: K grows from 1 by a constant factor a round, and is all `draws` after so many rounds, for one draw
      teaches early rounds as much. Of 50 draws that grow in all rounds a quarter is left to compute.
    - `backward`: gradients flow through so many of these draws, taken by their weights, whose mean is the gradient
      through all (section 3 there has one); most of a step's time is saved.
    - `gradient=path`: the encoder learns from how z moves alone. The other part of its gradient, of log q(z|x) at a
      fixed z, is zero on average, and all that is left near the optimum is its noise (Roeder et al. 2017,
      arXiv:1703.09194, eq. 8; of several draws Tucker et al. 2018, arXiv:1810.04152, eq. 8).
    - `beta`: beta KL (Higgins et al. 2017, eq. 4); see also the model `beta_vae`.
    - `capacity`: beta |KL - C|, with C rising to the capacity (Burgess et al. 2018, arXiv:1804.03599, eq. 7).
    - `warmup`: the weight rises from 0 (Bowman et al. 2016, arXiv:1511.06349, section 3.1).
    - `free_bits`: each unit's KL counts as so many nats at least (Kingma et al. 2016, arXiv:1606.04934, appendix C.8).
    - `conditional`: encoder and decoder see the class (Sohn et al. 2015, "Learning Structured Output Representation
      using Deep Conditional Generative Models"), which is one more code of the latent.

    Validation and scores always use the ELBO as it is.

    Args:
        config: the settings.
        spec: the shape of the pictures.

    Raises:
        ConfigError: the pictures are too small for convolutions, or `conditional` without classes.

    Example:
        >>> from mezzotint.engine.model import PictureSpec
        >>> model = VAE(VAEConfig(width=8, latent=4), PictureSpec(3, 16, 16)).eval()
        >>> tuple(model.reconstruct(model.sample(2)).shape)
        (2, 3, 16, 16)
    """

    name = "vae"
    summary = "Variational autoencoder: encodes, reconstructs, interpolates, samples, and bounds the likelihood."
    paper = Paper("Kingma, Welling", 2014, "Auto-Encoding Variational Bayes", "1312.6114")
    Config = VAEConfig
    tiny = {"latent": 4, "width": 8, "hidden": (16,)}
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"network": "mlp", "optimizer": "muon"},
        {"likelihood": "bernoulli"},
        {"likelihood": "logistic"},
        {"network": "mlp", "activation": "tanh", "likelihood": "bernoulli", "binarise": True},
        {"network": "mlp", "likelihood": "bernoulli", "bound": "importance", "draws": 3, "conditional": True},
        {"network": "mlp", "bound": "importance", "draws": 4, "backward": 2, "gradient": "path", "draws_rounds": 3},
        {"layout": "map", "latent": 2, "conditional": True, "free_bits": 0.1, "warmup": 10},
        {"capacity": 5.0, "beta": 10.0, "capacity_rounds": 50, "draws": 2},
    )
    config: VAEConfig

    def loss(self, turn: Turn) -> Terms:
        """The negative bound by its terms, the means over the batch in nats (eq. 10 of the paper)."""
        pictures, classes = self.seen(turn), self.one_hot(turn.labels)
        q = self.posterior(pictures, classes)
        draws = grown(turn.step, self.config.draws_rounds, self.config.draws)
        noise = turn.draw.normal(len(pictures), draws * self.units).unflatten(1, (draws, self.units))
        units = gaussian_kl_units(*q)
        if self.config.bound == "importance":
            turn.note("kl", units.sum(1).mean())
            return {"bound": -self._importance(turn, pictures, classes, q, noise)}
        z = _placed(q, noise)
        terms = {"reconstruction": -self._log_p_of(pictures, z, classes).mean(), **self._divergence(turn, units)}
        if self.config.gradient == "path":
            terms["kl"] = with_gradient_of(terms["kl"], -self._ratio(z, q).mean())
        return terms

    def _importance(
        self, turn: Turn, pictures: Tensor, classes: Tensor | None, q: tuple[Tensor, Tensor], noise: Tensor
    ) -> Tensor:
        """The importance-weighted bound, the mean over the batch in nats, of the draws `noise` [N, K, units]."""
        if not 0 < self.config.backward < noise.shape[1]:
            return importance_bound(self._log_weights(pictures, classes, q, noise)).mean()
        with torch.no_grad():
            every = self._log_weights(pictures, classes, q, noise)
            shares = every.softmax(1)
            chosen = resampled(shares, self.config.backward, turn.draw.uniform(len(shares)))
        taken = noise.gather(1, chosen[:, :, None].expand(-1, -1, self.units))
        of_chosen = self._log_weights(pictures, classes, q, taken, shares.gather(1, chosen))
        return with_gradient_of(importance_bound(every).mean(), of_chosen.mean())

    def _log_weights(
        self,
        pictures: Tensor,
        classes: Tensor | None,
        q: tuple[Tensor, Tensor],
        noise: Tensor,
        shares: Tensor | None = None,
    ) -> Tensor:
        """log p(x, z_k) / q(z_k|x) [N, K] of draws `noise` [N, K, units].

        By the path gradient what flows back to z_k has its share once more: the `shares` [N, K] that are given, or
        those among these draws.
        """
        z = _placed(q, noise)
        found = self._log_p_of(pictures, z, classes) + self._ratio(z, q)
        if self.config.gradient == "path" and z.requires_grad:
            once_more = found.detach().softmax(1) if shares is None else shares
            z.register_hook(lambda gradient: gradient * once_more[:, :, None])
        return found

    def _ratio(self, z: Tensor, q: tuple[Tensor, Tensor]) -> Tensor:
        """log p(z) - log q(z|x) in nats [N, K]; q stands still where the gradient is that of the path."""
        mean, log_variance = q
        if self.config.gradient == "path":
            mean, log_variance = mean.detach(), log_variance.detach()
        return log_ratio(z, mean, log_variance)

    def _log_p_of(self, pictures: Tensor, z: Tensor, classes: Tensor | None) -> Tensor:
        """log p(x|z) in nats [N, K] of pictures [N, C, H, W], latents [N, K, units], one-hot classes [N, classes]."""
        flat, marks = z.flatten(0, 1), None if classes is None else classes.repeat_interleave(z.shape[1], 0)
        return self.log_p(pictures[:, None], self.output(flat, marks).unflatten(0, z.shape[:2]))

    def _divergence(self, turn: Turn, units: Tensor) -> Terms:
        """The second part of the loss, of the KL divergence of each unit [N, units]."""
        config, kl = self.config, units.sum(1).mean()
        if config.plain:
            return {"kl": kl}
        turn.note("kl", kl)
        if config.capacity:
            return {"capacity": config.beta * (kl - config.capacity * risen(turn.step, config.capacity_rounds)).abs()}
        return {"weighted_kl": config.beta * risen(turn.step, config.warmup) * free_bits(units, config.free_bits)}


def _placed(q: tuple[Tensor, Tensor], noise: Tensor) -> Tensor:
    """z = mean + std * eps, [N, K, units], of the draws eps."""
    mean, log_variance = q
    return mean[:, None] + torch.exp(0.5 * log_variance)[:, None] * noise
