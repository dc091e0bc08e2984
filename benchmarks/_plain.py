"""The loops that everyone copies, as peers: float32, eager, NCHW, torch's own layers, on copies of a model's networks.

They start from the model's own first weights and read the same batches in the same order, without the peer's usual
`DataLoader`, which would only slow them down.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from mezzotint.data.batches import Batches
from mezzotint.data.types import PictureSet
from mezzotint.engine.feed import to_tensor
from mezzotint.engine.model import Model
from mezzotint.nn.fastconv import FastConv2d, FastConvTranspose2d
from mezzotint.nn.norm import BatchNorm2d

BATCH = 64
_NATIVE: dict[type, type] = {
    FastConv2d: nn.Conv2d,
    FastConvTranspose2d: nn.ConvTranspose2d,
    BatchNorm2d: nn.BatchNorm2d,
}


def native(model: Model) -> Any:
    """A copy of `model` whose layers are torch's own, with the same weights."""
    copied = copy.deepcopy(model)
    for module in copied.modules():
        module.__class__ = _NATIVE.get(type(module), type(module))
        if hasattr(module, "activation"):
            module.activation = F.leaky_relu
    return copied.train()


class PlainDCGAN:
    """The loop of the PyTorch DCGAN tutorial: separate passes for real and generated pictures, fresh gradients for all.

    Args:
        model: a `dcgan`, unconditional; it is not changed.
        pictures: the loop reads their train split.
        seed: of the order of the pictures and of the noise.
    """

    def __init__(self, model: Model, pictures: PictureSet, seed: int) -> None:
        self.model, self.step = native(model), 0
        nets = (self.model.generator, self.model.discriminator)
        self.adams = [torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in nets]
        self.batches = Batches(pictures, BATCH, seed, rows=pictures.splits["train"])
        self.noise = torch.Generator().manual_seed(seed + 1)
        self.one, self.zero = torch.ones(BATCH), torch.zeros(BATCH)

    def round(self) -> None:
        """The discriminator's step, and the generator's."""
        g, d, bce = self.model.generator, self.model.discriminator, F.binary_cross_entropy_with_logits
        real = to_tensor(self.batches.at(self.step * BATCH).pictures)
        d.zero_grad()
        bce(d(real), self.one).backward()
        fake = g(torch.randn(BATCH, self.model.latent_size, generator=self.noise))
        bce(d(fake.detach()), self.zero).backward()
        self.adams[1].step()
        g.zero_grad()
        bce(d(fake), self.one).backward()
        self.adams[0].step()
        self.step += 1


class PlainVAE:
    """The loop of pytorch/examples: Adam with 1e-3 and one draw of z, with the model's own loss, -ELBO.

    Args:
        model: a `vae`; it is not changed.
        pictures, seed: as for `PlainDCGAN`.
    """

    def __init__(self, model: Model, pictures: PictureSet, seed: int) -> None:
        self.model, self.step = native(model), 0
        self.adam = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.batches = Batches(pictures, BATCH, seed, rows=pictures.splits["train"])
        self.noise = torch.Generator().manual_seed(seed + 1)

    def round(self) -> None:
        """One step."""
        pictures = to_tensor(self.batches.at(self.step * BATCH).pictures)
        self.adam.zero_grad()
        noise = torch.randn(BATCH, self.model.latent_size, generator=self.noise)
        reconstruction, kl = self.model.elbo_terms(pictures, noise)
        (kl - reconstruction).mean().backward()
        self.adam.step()
        self.step += 1


class PlainWGANGP:
    """The loop of the well-known PyTorch implementations of WGAN-GP: three passes of the critic, fresh noise.

    Args:
        model: a `wgan_gp`, unconditional; it is not changed.
        pictures, seed: as for `PlainDCGAN`.
    """

    def __init__(self, model: Model, pictures: PictureSet, seed: int) -> None:
        self.model, self.step, self.seen = native(model), 0, 0
        config = self.model.config
        nets = (self.model.generator, self.model.discriminator)
        self.adams = [torch.optim.Adam(net.parameters(), config.lr, (config.beta1, config.beta2)) for net in nets]
        self.batches = Batches(pictures, BATCH, seed, rows=pictures.splits["train"])
        self.noise = torch.Generator().manual_seed(seed + 1)

    def round(self) -> None:
        """The critic's steps, and the generator's."""
        g, d = self.model.generator, self.model.discriminator
        for _ in range(self.model.config.turns):
            real = to_tensor(self.batches.at(self.seen).pictures)
            self.seen += BATCH
            d.zero_grad()
            fake = g(self._latents()).detach()
            mix = torch.rand(BATCH, 1, 1, 1, generator=self.noise)
            between = (mix * real + (1 - mix) * fake).requires_grad_(True)
            scores = d(between)
            (slope,) = torch.autograd.grad(
                scores, between, torch.ones_like(scores), create_graph=True, retain_graph=True
            )
            penalty = ((slope.flatten(1).norm(2, dim=1) - 1) ** 2).mean()
            (d(fake).mean() - d(real).mean() + self.model.config.gradient_penalty * penalty).backward()
            self.adams[1].step()
        g.zero_grad()
        (-d(g(self._latents())).mean()).backward()
        self.adams[0].step()
        self.step += 1

    def _latents(self) -> torch.Tensor:
        return torch.randn(BATCH, self.model.latent_size, generator=self.noise)


class PlainInfoGAN:
    """The loop of the well-known PyTorch implementations of InfoGAN; the layers of Q move with the generator.

    Args:
        model: an `infogan`, unconditional; it is not changed.
        pictures, seed: as for `PlainDCGAN`.
    """

    def __init__(self, model: Model, pictures: PictureSet, seed: int) -> None:
        self.model, self.step = native(model), 0
        g, d, q = self.model.generator, self.model.discriminator, self.model.recognition
        self.adams = [
            torch.optim.Adam(parameters, lr=lr, betas=(0.5, 0.999))
            for parameters, lr in (([*g.parameters(), *q.parameters()], 1e-3), (d.parameters(), 2e-4))
        ]
        self.batches = Batches(pictures, BATCH, seed, rows=pictures.splits["train"])
        self.noise = torch.Generator().manual_seed(seed + 1)
        self.one, self.zero = torch.ones(BATCH), torch.zeros(BATCH)

    def round(self) -> None:
        """The discriminator's step, and that of generator and Q."""
        g, d, q = self.model.generator, self.model.discriminator, self.model.recognition
        bce = F.binary_cross_entropy_with_logits
        real = to_tensor(self.batches.at(self.step * BATCH).pictures)
        d.zero_grad()
        bce(d(real), self.one).backward()
        latents = self._latents()
        fake = g(latents)
        bce(d(fake.detach()), self.zero).backward()
        self.adams[1].step()
        self.adams[0].zero_grad()
        scores, features = d(fake, share=True)
        known = self.model.information(q(features), latents)
        (bce(scores, self.one) - torch.stack(tuple(known.values())).sum()).backward()
        self.adams[0].step()
        self.step += 1

    def _latents(self) -> torch.Tensor:
        config, codes = self.model.config, len(self.model.codes())
        noise = torch.randn(BATCH, config.latent, generator=self.noise)
        return torch.cat((noise, self.model._prior(torch.rand(BATCH, codes, generator=self.noise))), 1)


PLAIN: dict[str, Any] = {"dcgan": PlainDCGAN, "vae": PlainVAE, "wgan_gp": PlainWGANGP, "infogan": PlainInfoGAN}
"""Name of a model -> its plain loop."""
