"""VQ-VAE: pictures as maps of discrete codes, and a prior that says which codes follow each other."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import model_validator
from torch import Tensor

from mezzotint.core.config import Config, option
from mezzotint.core.errors import ConfigError
from mezzotint.engine.model import Paper, PictureSpec, register
from mezzotint.engine.phase import OptimizerSpec, Phase, Terms, Turn
from mezzotint.models._coded import Coded
from mezzotint.models._discrete import CodeDecoder, CodeEncoder, Quantiser
from mezzotint.nn.pixelcnn import PixelCNN
from mezzotint.nn.quantise import perplexity

_EVEN = 1e-4
"""The share of an even distribution in the prior's own when codes are drawn: no code is so rare that a latent, which
has the digits of float32, could not name it."""
_EDGE = 2.0**-53
"""How far from 0 and 1 a probability stays, so that its normal score is finite."""


class VQVAEConfig(Config):
    """Settings of `vqvae`."""

    cell: Literal[2, 4, 8, 16] = option(4, "A code stands for so many pixels each way.")
    codes: int = option(512, "Vectors in a codebook.", ge=2, le=65_536)
    size: int = option(32, "Numbers in a vector.", ge=1, le=1024)
    books: int = option(1, "Codebooks, each of which codes what those before it left over (residual).", ge=1, le=16)
    levels: tuple[int, ...] = option(
        (), "Finite scalars in place of codebooks: so many levels for each number, such as [8,5,5,5]; empty: codebooks."
    )
    commitment: float = option(0.25, "Weight beta of the encoder's distance from the code it is given.", ge=0)
    decay: float = option(0.99, "What a batch leaves of the averages that are the codebook.", ge=0, lt=1)
    width: int = option(64, "Channels of both networks.", ge=8)
    blocks: int = option(2, "Residual blocks of both networks.", ge=0, le=16)
    loss: Literal["squared", "absolute"] = option("squared", "How far a reconstruction is off.")
    prior_width: int = option(64, "Channels of the prior, a gated PixelCNN.", ge=4)
    prior_layers: int = option(4, "Layers of the prior.", ge=1, le=64)
    conditional: bool = option(False, "Give the prior the class label.")
    lr: float = option(1e-3, "Learning rate of Adam.", gt=0)
    beta2: float = option(0.99, "Second moment of Adam.", ge=0, lt=1)

    @model_validator(mode="after")
    def _check_levels(self) -> VQVAEConfig:
        if self.levels and (self.books > 1 or min(self.levels) < 2 or math.prod(self.levels) > 65_536):
            raise ValueError(
                "levels are of at least 2 and together of at most 65,536 codes, without further books; "
                f"got levels={list(self.levels)}, books={self.books}"
            )
        return self


@register
class VQVAE(Coded):
    """Vector quantised variational autoencoder.

    An encoder makes a map of vectors, each of which the nearest vector e_k of a codebook stands in for; a decoder makes
    the picture of these. With sg the value without its gradient,

        minimise  |x - decoder(e)|^2 + beta |encoder(x) - sg(e)|^2                           (eq. 3 of the paper)

    The decoder's gradient passes e as if it were the encoder's own vector; e_k is a moving average of what it stands
    for (appendix A.1), and begins anew where it stands for nothing. The encoder's vectors are brought to mean 0 and
    variance 1 over the batch, so that the codebook need not run after their scale. `books` code what is left over in
    turn (residual quantisation, Zeghidour et al. 2021), and `levels` do without a codebook (finite scalars, Mentzer et
    al. 2023).

    The prior is a gated PixelCNN p(c_i | c_1 ... c_{i-1}) of the codes, and, unlike the paper's, is trained beside the
    autoencoder, so that there is one run and one checkpoint. A latent has one number for each code, with u = Phi(z) the
    place of the code in the prior's distribution: drawn from the standard normal, latents give draws of the prior, and
    `decode(encode(x))` is the reconstruction of x. Pictures jump from code to code as a latent moves, so they have no
    gradient.

    Args:
        config: the settings.
        spec: the shape of the pictures.

    Raises:
        ConfigError: a picture is not larger than a cell, or `conditional` without classes.

    Example:
        >>> model = VQVAE(VQVAEConfig(width=8, codes=16, prior_width=8), PictureSpec(1, 16, 12)).eval()
        >>> tuple(model.indices(model.sample(2)).shape), model.latent_size
        ((2, 4, 3, 1), 12)
    """

    name = "vqvae"
    summary = "VQ-VAE: pictures as maps of discrete codes with an autoregressive prior; compresses and samples."
    paper = Paper("van den Oord, Vinyals, Kavukcuoglu", 2017, "Neural Discrete Representation Learning", "1711.00937")
    Config = VQVAEConfig
    tiny = {"cell": 2, "codes": 8, "size": 4, "width": 8, "blocks": 1, "prior_width": 8, "prior_layers": 2}
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"books": 2, "conditional": True},
        {"levels": (3, 4), "cell": 4, "loss": "absolute"},
    )
    unexported = dict.fromkeys(("generate", "encode", "decode"), "its codes follow each other one by one")
    averaged = ("encoder", "quantiser", "decoder", "prior")
    config: VQVAEConfig

    def __init__(self, config: VQVAEConfig, spec: PictureSpec) -> None:
        super().__init__(config, spec)
        if max(spec.height, spec.width) <= config.cell:
            raise ConfigError(
                f"A code of {config.cell} x {config.cell} pixels is the whole picture of {spec.height} x {spec.width}; "
                "set model.cell to a smaller number."
            )
        self.condition(config.conditional)
        books = () if config.levels else (config.books, config.codes)
        self.quantiser = Quantiser(config.size, books, config.levels, config.decay)
        parts = (config.cell, config.width, config.blocks, self.quantiser.size)
        self.encoder, self.decoder = CodeEncoder(spec.shape, *parts), CodeDecoder(spec.shape, *parts)
        classes = len(spec.classes) if config.conditional else 0
        shape = (self.quantiser.count, self.quantiser.books)
        self.prior = PixelCNN(*shape, config.prior_width, config.prior_layers, classes)
        self.places: tuple[int, int] = self.encoder.sizes[0]
        """Of the map of codes: (h, w)."""
        self.latent_size = math.prod(self.places) * self.quantiser.books

    # Training -------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def begin(self, training: Callable[[int], tuple[Tensor, Tensor | None]]) -> None:
        """Codebooks begin at what the first weights make of training pictures."""
        pictures, _ = training(max(64, -(-4 * self.config.codes // math.prod(self.places))))
        self.quantiser.begin_at(torch.cat([self.encoder(part) for part in pictures.split(64)]))

    def phases(self) -> tuple[Phase, ...]:
        """The autoencoder's, then the prior's on the codes of the same pictures."""
        adam = OptimizerSpec("adam", self.config.lr, (0.9, self.config.beta2))
        return (
            Phase("autoencoder", (self.encoder, self.decoder), self.loss, adam),
            Phase("prior", self.prior, self.prior_loss, adam),
        )

    def loss(self, turn: Turn) -> Terms:
        """Eq. 3 by its terms, means over all values; the codebook follows."""
        raw = self.encoder(turn.pictures)
        codes, quantised = self.quantiser(raw)
        terms = {"reconstruction": self.difference(self.decoder(quantised), turn.pictures)}
        if not self.config.levels:
            terms["commitment"] = self.config.commitment * F.mse_loss(raw, quantised.detach())
            self.quantiser.follow(raw, turn.draw)
        turn.note("perplexity", perplexity(codes[..., 0], self.quantiser.count))
        return terms

    def prior_loss(self, turn: Turn) -> Terms:
        """Nats a code, the mean."""
        with torch.no_grad():
            codes, _ = self.quantiser(self.encoder(turn.pictures))
        logits = self.prior(codes, turn.labels if self.conditional else None)
        return {"nats": F.cross_entropy(logits.flatten(0, 3).float(), codes.flatten())}

    def difference(self, output: Tensor, pictures: Tensor) -> Tensor:
        """How far the decoder's output [N, C, H, W] is off, the mean [] over all values."""
        return F.l1_loss(output, pictures) if self.config.loss == "absolute" else F.mse_loss(output, pictures)

    def validation_loss(self, turn: Turn) -> Tensor:
        """How far reconstructions are off."""
        return self.difference(self.decoder(self.quantiser(self.encoder(turn.pictures))[1]), turn.pictures)

    def rehearse(self, training: Callable[[int], tuple[Tensor, Tensor | None]]) -> None:
        """Codes of training pictures."""
        for part in training(1024)[0].split(64):
            self.encoder(part)

    # What it can do -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def indices(self, pictures: Tensor) -> Tensor:
        """The codes of pictures [N, C, H, W] in [-1, 1]: int64 [N, h, w, books]."""
        found: Tensor = self.quantiser(self.encoder(self.check_pictures(pictures)))[0]
        return found

    @torch.no_grad()
    def from_indices(self, indices: Tensor) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] of codes int64 [N, h, w, books]."""
        output: Tensor = self.decoder(self.quantiser.lookup(indices))
        return output.clamp(-1, 1)

    def reconstruct(self, pictures: Tensor) -> Tensor:
        """The pictures [N, C, H, W] in [-1, 1] of their codes."""
        return self.from_indices(self.indices(pictures))

    @torch.no_grad()
    def code_bits(self, pictures: Tensor, labels: Tensor | None = None) -> Tensor:
        """Bits [N] in which the prior codes each picture's indices: what an entropy coder would need for them."""
        codes, labels = self.indices(pictures), self._known(len(pictures), labels)
        logits = self.prior(codes, labels).float()
        nats = F.cross_entropy(logits.flatten(0, 3), codes.flatten(), reduction="none")
        return nats.view(len(codes), -1).sum(1) / math.log(2)

    def encode(self, pictures: Tensor) -> Tensor:
        """Latents [N, latent] of pictures [N, C, H, W]: the middle of each code's share of the prior; class 0's."""
        codes = self.indices(pictures).flatten(1)
        found = torch.zeros(codes.shape, dtype=_exact(self.device), device=self.device)

        def known(logits: Tensor, place: int) -> Tensor:
            up_to = _shares(logits).cumsum(1)
            here = codes[:, place, None]
            high = up_to.gather(1, here)
            low = torch.where(here > 0, up_to.gather(1, (here - 1).clamp(min=0)), 0.0)
            found[:, place] = ((low + high) / 2).squeeze(1)
            return codes[:, place]

        self._walk(known, len(codes), None)
        return torch.special.ndtri(found.clamp(_EDGE, 1 - _EDGE)).float()

    @torch.no_grad()
    def generate(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] of latents [N, latent], without gradients."""
        u = torch.special.ndtr(latents.to(self.device, _exact(self.device)))

        def drawn(logits: Tensor, place: int) -> Tensor:
            up_to = _shares(logits).cumsum(1)
            return (up_to < u[:, place, None]).sum(1).clamp(max=self.quantiser.count - 1)

        return self.from_indices(self._walk(drawn, len(latents), labels))

    @torch.no_grad()
    def _walk(self, choose: Callable[[Tensor, int], Tensor], n: int, labels: Tensor | None) -> Tensor:
        """The prior one code after the other, in double, so that a code has the same share whatever the batch."""
        prior = copy.deepcopy(self.prior).to(_exact(self.device))
        return prior.walk(self.places, choose, n, self._known(n, labels))

    def _known(self, n: int, labels: Tensor | None) -> Tensor | None:
        """The classes [n] that the prior is told, 0 where none are given; None where it knows none."""
        if not self.conditional:
            return None
        return torch.zeros(n, dtype=torch.int64, device=self.device) if labels is None else labels.to(self.device)


def _exact(device: torch.device) -> torch.dtype:
    """The number format with most digits; MPS has no float64."""
    return torch.float32 if device.type == "mps" else torch.float64


def _shares(logits: Tensor) -> Tensor:
    """Probabilities [N, K] of logits [N, K]; none is 0."""
    return torch.softmax(logits, 1) * (1 - _EVEN) + _EVEN / logits.shape[1]
