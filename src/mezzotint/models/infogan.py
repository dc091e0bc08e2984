"""InfoGAN: a generator whose codes can be read from its pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Normal

from mezzotint.core import rng
from mezzotint.core.config import option
from mezzotint.core.errors import ConfigError
from mezzotint.engine.advice import Choice
from mezzotint.engine.codes import Code, entropy
from mezzotint.engine.model import Paper, PictureSpec, register
from mezzotint.engine.phase import Phase, Terms, Turn
from mezzotint.models._convolutional import Convolutional, ConvolutionalConfig, initialise
from mezzotint.models._recognition import Recognition, SharedDiscriminator
from mezzotint.nn.augment import DEFORM_COLUMNS, deform
from mezzotint.nn.information import shared_information
from mezzotint.nn.likelihoods import bounded_log_variance
from mezzotint.nn.norm import grouped

_LEAST_LOG_VARIANCE = -6.0
_DIGITS = 32
"""Pixels of a side up to which grey pictures are taken to be like the paper's digits."""


class InfoGANConfig(ConvolutionalConfig):
    """Settings of `infogan`; the defaults are those of the paper's MNIST experiment (appendix C.1, table 1)."""

    smallest: int = option(7, "Pixels, about, of the smallest layer's shorter side.", ge=2, le=16)
    dense: int = option(
        1024,
        "Units of a fully connected layer between the vectors and the convolutions of both networks; 0: none.",
        ge=0,
    )
    latent: int = option(62, "Size of the noise; the codes stand beside it.", ge=1, le=4096)
    categorical: tuple[int, ...] = option((10,), "How many values each categorical code has, 2 to 1,000.")
    continuous: int = option(2, "How many continuous codes there are, even in [-1, 1].", ge=0, le=256)
    categorical_weight: float = option(1.0, "Weight lambda of what pictures tell of the categorical codes.", gt=0)
    continuous_weight: float = option(1.0, "Weight lambda of what pictures tell of the continuous codes.", gt=0)
    invariance: float = option(
        0.0,
        "Weight of what the kinds that Q sees in a real picture and in the same one deformed tell of each other (IIC).",
        ge=0,
    )
    variance: Literal["unit", "learned"] = option(
        "unit", "Of a continuous code given the picture: 1, or told by the network for each picture."
    )
    condition: Literal["projection"] = option(
        "projection", "A conditional discriminator sees the label beside its features, so these need none."
    )
    pack: Literal[1] = option(1, "Pictures are judged singly, since each has codes of its own.")
    lr: float = option(1e-3, "Learning rate of the generator.", gt=0)
    discriminator_lr: float | None = option(2e-4, "Learning rate of the discriminator and of Q; empty: lr.", gt=0)


def _part(features: Tensor, first: int, count: int) -> Tensor:
    """`count` rows of features [N, C, h, w].

    Cut out as [N, h, w, C], so that the gradient, which is zero elsewhere, is laid out like that of the scores.
    """
    return features.permute(0, 2, 3, 1)[first : first + count].permute(0, 3, 1, 2)


@register
class InfoGAN(Convolutional):
    """Information maximising generative adversarial network.

    Beside its noise z the generator is given codes c, and both players make the mutual information of the codes and the
    picture large, by its variational lower bound (eqs. 5 and 6 of the paper):

        L_I = E[log Q(c | G(z, c))] + H(c)  <=  I(c; G(z, c))
        discriminator and Q:  minimise  V_D - lambda L_I,      generator:  minimise  V_G - lambda L_I

    Q shares all convolutions with the discriminator. As in the authors' code the term is in both optimisers: Q and the
    shared layers move in the discriminator's turn, on generated pictures whose codes are known; the generator follows
    Q's gradient in its own turn, in which Q stands still. (Some later programs move Q in the generator's turn, and the
    shared layers for the game alone.)

    Q is categorical for categorical codes, and for continuous ones normal, with variance 1 as in the authors' MNIST
    experiment, or with `variance=learned` as in their appendix C. `information` is L_I of all codes in nats; a normal Q
    with variance 1 gives a loose bound of a uniform code, which may lie below 0. lambda is 1 in appendix C and in
    the authors' code; section 5 speaks of a smaller one for continuous codes.

    What kinds a categorical code finds is settled in the first hundreds of rounds, and two digits may end in one of
    them. With `invariance` Q, and the layers it shares, also make large what its guesses at the kind of a real picture
    and of the same picture a little turned, slanted, scaled and moved tell of each other (Ji et al. 2019, "Invariant
    Information Clustering", arXiv:1807.06653, eq. 3): then no kind is a matter of pose, and all are equally frequent
    among real pictures. It is not part of the paper.

    A latent is [noise | one-hot categorical codes | continuous codes]; the codes are called c0, c1 ... in this order.
    Truncation keeps continuous codes within [-t, t] and leaves categorical ones alone.

    Args:
        config: the settings.
        spec: the shape of the pictures.

    Raises:
        ConfigError: the pictures are smaller than 8 or larger than 256 pixels, there is no code, or `conditional`
            without classes, or `invariance` without a categorical code.

    Example:
        >>> from mezzotint.engine.model import PictureSpec
        >>> model = InfoGAN(InfoGANConfig(width=8, discriminator_width=8), PictureSpec(1, 16, 16)).eval()
        >>> latents = model.set_codes(model.latent(2), {"c0": 3, "c1": -1.5})
        >>> tuple(model.generate(latents).shape), model.get_codes(latents)["c0"].tolist()
        ((2, 1, 16, 16), [3, 3])
    """

    name = "infogan"
    summary = "GAN with codes that it finds by itself, such as kind, slant and width, which can be set and read."
    paper = Paper(
        "Chen, Duan, Houthooft, Schulman, Sutskever, Abbeel",
        2016,
        "InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial Nets",
        "1606.03657",
    )
    Config = InfoGANConfig
    tiny = {"latent": 8, "width": 8, "discriminator_width": 8, "dense": 16}
    variants = (
        {"dense": 0, "smallest": 4, "categorical": (), "continuous": 1, "variance": "learned"},
        {"categorical": (3, 2), "continuous": 0, "loss": "relativistic", "invariance": 1.0},
        {"conditional": True, "loss": "hinge", "spectral_norm": True, "gradient_penalty": 1.0},
    )
    discriminator_type = SharedDiscriminator
    config: InfoGANConfig
    discriminator: SharedDiscriminator

    def __init__(self, config: InfoGANConfig, spec: PictureSpec) -> None:
        wrong = next((values for values in config.categorical if not 2 <= values <= 1000), None)
        if wrong is not None:
            raise ConfigError(f"A categorical code has 2 to 1,000 values; got {wrong} in model.categorical.")
        kinds = len(config.categorical)
        if not kinds + config.continuous:
            raise ConfigError("infogan needs a code; set model.categorical or model.continuous, or train dcgan.")
        if config.invariance and not kinds:
            raise ConfigError("model.invariance is of categorical codes, and there is none; set it to 0.")
        wide = sum(config.categorical)
        super().__init__(config, spec, wide + config.continuous)
        self.latent_size = config.latent + wide + config.continuous
        starts = [config.latent + sum(config.categorical[:k]) for k in range(kinds)]
        self._codes = (
            *(Code(f"c{k}", "categorical", starts[k], values) for k, values in enumerate(config.categorical)),
            *(Code(f"c{kinds + k}", "uniform", config.latent + wide + k) for k in range(config.continuous)),
        )
        learned = config.continuous if config.variance == "learned" else 0
        self.recognition = Recognition(self.discriminator.features_shape, wide + config.continuous + learned)
        initialise(self.recognition)
        self._features: Tensor | None = None

    @classmethod
    def advise(cls, pictures: int, spec: PictureSpec, device: torch.device) -> tuple[Choice, ...]:
        """No dense layer, but for what is like the paper's digits."""
        if spec.channels == 1 and max(spec.height, spec.width) <= _DIGITS:
            return ()
        return (Choice("model", "dense", 0, "with the layer of the paper's digits such pictures may end as noise"),)

    def codes(self) -> tuple[Code, ...]:
        """The codes c0, c1 ...: first the categorical, then the continuous ones; the noise has no names."""
        return self._codes

    # Training -------------------------------------------------------------------------------------------------------

    def phases(self) -> tuple[Phase, ...]:
        """As for every adversarial model, but that Q moves with the discriminator."""
        both = (self.discriminator, self.recognition)
        return tuple(
            replace(phase, prepare=self.drawn, nets=both if phase.nets is self.discriminator else phase.nets)
            for phase in super().phases()
        )

    def drawn(self, turn: Turn) -> tuple[Tensor, Tensor]:
        """Latents [N, latent] and the pictures made of them, as many as there are in the turn."""
        n = len(turn.pictures)
        noise = turn.draw.normal(n, self.config.latent)
        latents = torch.cat((noise, self._prior(turn.draw.uniform(n, len(self._codes)))), 1)
        return latents, self.generator(latents, self.known(turn.labels))

    def discriminator_loss(self, turn: Turn) -> Terms:
        """The game's terms, and what Q cannot tell of the codes of generated pictures."""
        latents, fakes = turn.prepared
        terms = dict(super().discriminator_loss(replace(turn, prepared=fakes)))
        real = len(turn.pictures)  # they come first; their codes nobody knows
        features = self._seen()
        terms |= self._information(turn, _part(features, real, len(fakes)), latents)
        if self.config.invariance:
            moved = deform(turn.pictures, turn.draw.uniform(real, DEFORM_COLUMNS))
            found = self.agreement(_part(features, 0, real), moved)
            turn.note("agreement", found)
            terms["invariance"] = -self.config.invariance * found
        return terms

    def generator_loss(self, turn: Turn) -> Terms:
        """The game's term, and what Q cannot tell of the codes of the pictures."""
        latents, fakes = turn.prepared
        terms = super().generator_loss(replace(turn, prepared=fakes))
        return {**terms, **self._information(turn, _part(self._seen(), 0, len(fakes)), latents)}

    def judge(self, packs: Tensor, labels: Tensor | None) -> Tensor:
        """The discriminator's scores [N]; its features are kept for Q, so that they are computed once."""
        scores, self._features = self.discriminator(packs, labels, share=True)
        return scores

    def _seen(self) -> Tensor:
        """Features [N, C, h, w] of all that was judged last."""
        features, self._features = self._features, None
        assert features is not None
        return features

    def _information(self, turn: Turn, features: Tensor, latents: Tensor) -> dict[str, Tensor]:
        """-lambda L_I as a term for each kind of code."""
        bounds = self.information(self.recognition(features), latents)
        turn.note("information", torch.stack(tuple(bounds.values())).sum())
        weights = {"categorical": self.config.categorical_weight, "continuous": self.config.continuous_weight}
        return {kind: -weights[kind] * bound for kind, bound in bounds.items()}

    def agreement(self, features: Tensor, moved: Tensor) -> Tensor:
        """What Q's guesses at the kinds of pictures and of the same ones deformed tell of each other: nats [].

        Args:
            features: the discriminator's, of the pictures [N, *shape].
            moved: the deformed pictures [N, C, H, W].
        """
        both = torch.cat((features, self.discriminator.features(moved)))
        with grouped(self.recognition, 2):  # each keeps its own statistics
            one, other = self.recognition(both).chunk(2)
        found = [
            shared_information(self._outputs(one, code).softmax(1), self._outputs(other, code).softmax(1))
            for code in self._codes
            if not code.continuous
        ]
        return torch.stack(found).sum()

    def information(self, outputs: Tensor, latents: Tensor) -> dict[str, Tensor]:
        """L_I in nats, the mean over the batch, of the categorical and of the continuous codes, where there are any.

        Args:
            outputs: what `recognition` gives, [N, outputs].
            latents: what the pictures were made of, [N, latent].
        """
        found: dict[str, list[Tensor]] = {}
        for code in self._codes:
            mine, truth = self._outputs(outputs, code), latents[:, code.columns]
            if code.continuous:
                log_q = Normal(mine, self._log_scale(outputs, code).exp()).log_prob(truth).sum(1)
            else:
                log_q = -F.cross_entropy(mine, truth.argmax(1), reduction="none")
            kind = "continuous" if code.continuous else "categorical"
            found.setdefault(kind, []).append(log_q.mean() + entropy(code))
        return {kind: torch.stack(bounds).sum() for kind, bounds in found.items()}

    def _outputs(self, outputs: Tensor, code: Code) -> Tensor:
        """Q's logits of a categorical code [N, values], or its mean of a continuous one [N, 1]."""
        at = code.start - self.config.latent
        return outputs[:, at : at + code.values]

    def _log_scale(self, outputs: Tensor, code: Code) -> Tensor:
        if self.config.variance == "unit":
            return outputs.new_zeros(len(outputs), 1)
        place = code.start - self.config.latent + self.config.continuous
        log_variance = bounded_log_variance(outputs[:, place : place + 1])
        # Smoothly above a least one: a density rises without end where the network could be sure of a code.
        return 0.5 * (_LEAST_LOG_VARIANCE + F.softplus(log_variance - _LEAST_LOG_VARIANCE))

    def _prior(self, uniform: Tensor, truncation: float = 1.0) -> Tensor:
        """Codes [N, columns] from uniform numbers [N, codes] in [0, 1)."""
        parts = []
        for code, u in zip(self._codes, uniform.unbind(1), strict=True):
            if code.continuous:
                parts.append(truncation * (2 * u - 1)[:, None])
            else:
                values = (u * code.values).long().clamp(max=code.values - 1)
                parts.append(F.one_hot(values, code.values).to(uniform.dtype))
        return torch.cat(parts, 1)

    # What it can do -------------------------------------------------------------------------------------------------

    def latent(self, n: int, seed: int = 0, truncation: float = 1.0) -> Tensor:
        """Latents [n, latent] = [noise | one-hot codes | continuous codes]; row k does not depend on n.

        Args:
            n: how many.
            seed: the same seed gives the same latents.
            truncation: t < 1 cuts the noise off at 2t and draws continuous codes from [-t, t].

        Raises:
            ConfigError: truncation is not in (0, 1].
        """
        noise = super().latent(n, seed, truncation)[:, : self.config.latent]
        uniform = torch.from_numpy(rng.stream(seed, "codes").random((n, len(self._codes)), "float32"))
        return torch.cat((noise, self._prior(uniform.to(noise.device), truncation)), 1)

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """Latents [N, latent] of pictures [N, C, H, W] in [-1, 1]: the means of Q(c|x).

        Those of a categorical code are the probabilities of its values, those of a continuous one lie in [-1, 1]. Q
        knows nothing of the noise, which is zero, the mean of its prior. `get_codes` reads the codes.
        """
        outputs = self.recognition(self.discriminator.features(self.check_pictures(pictures)))
        parts = [outputs.new_zeros(len(outputs), self.config.latent)]
        for code in self._codes:
            mine = self._outputs(outputs, code)
            parts.append(mine.clamp(-1, 1) if code.continuous else mine.softmax(1))
        return torch.cat(parts, 1)
