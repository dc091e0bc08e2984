"""Training a VAE: pythae's own trainer and ours in turn, A B A B, with the same networks, batch, data and threads.

    pip install --no-deps pythae cloudpickle imageio dill
    MEZZOTINT_DATA=... python benchmarks/vae_step.py --network mlp
    MEZZOTINT_DATA=... python benchmarks/vae_step.py --network conv --pictures 2000

The networks are pythae's classes in both columns (its default MLP, and its convolutional ones for MNIST), from the
same weights, with its loss (half the squared error plus KL) and its optimiser (Adam, 1e-4). Beside the speed
stands the loss on test pictures after the same number of pictures.
"""

from __future__ import annotations

import argparse
import copy
import logging
import statistics
import tempfile
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.nn.benchmarks.mnist import Decoder_Conv_AE_MNIST, Encoder_Conv_VAE_MNIST
from pythae.trainers import BaseTrainer, BaseTrainerConfig

from _turns import in_processes, ratio
from mezzotint.core.config import Config
from mezzotint.data.open import open_pictures
from mezzotint.data.types import PictureSet
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.device import keep_freed_memory
from mezzotint.engine.loop import Trainer
from mezzotint.engine.model import Model, Paper, PictureSpec
from mezzotint.engine.phase import OptimizerSpec, Phase, Terms, Turn
from mezzotint.engine.plan import settle
from mezzotint.nn.likelihoods import gaussian_kl

BATCH, LATENT, LR = 100, 16, 1e-4


class Same(Model):
    """Our model around the peer's networks; written as any model of ours would be."""

    name = "same"
    summary = "The peer's networks."
    paper = Paper("Kingma, Welling", 2014, "Auto-Encoding Variational Bayes")
    Config = Config

    def __init__(self, peer: VAE) -> None:
        super().__init__(Config(), PictureSpec(1, 28, 28))
        self.encoder, self.decoder = copy.deepcopy(peer.encoder), copy.deepcopy(peer.decoder)
        self.latent_size = LATENT

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("vae", (self.encoder, self.decoder), self.loss, OptimizerSpec("adam", LR)),)

    def loss(self, turn: Turn) -> Terms:
        x = (turn.pictures + 1) / 2
        code = self.encoder(x)
        mean, log_variance = code.embedding.float(), code.log_covariance.float()
        z = mean + torch.exp(0.5 * log_variance) * turn.draw.normal(len(x), LATENT)
        output = self.decoder(z).reconstruction.float()
        return {
            "reconstruction": 0.5 * F.mse_loss(output, x, reduction="sum") / len(x),
            "kl": gaussian_kl(mean, log_variance).mean(),
        }


def make_peer(network: str, data: np.ndarray) -> tuple[BaseTrainer, VAE]:
    """Pythae's trainer on [N, 1, 28, 28] in [0, 1], ready for `train_step`."""
    torch.manual_seed(0)
    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=LATENT)
    nets = (Encoder_Conv_VAE_MNIST(config), Decoder_Conv_AE_MNIST(config)) if network == "conv" else (None, None)
    model = VAE(config, *nets)
    settings = BaseTrainerConfig(
        output_dir=tempfile.mkdtemp(), per_device_train_batch_size=BATCH, learning_rate=LR, num_epochs=1, no_cuda=True
    )
    dataset = BaseDataset(torch.from_numpy(data), torch.zeros(len(data)))
    trainer = BaseTrainer(model, dataset, training_config=settings)
    trainer.prepare_training()
    return trainer, model


def as_floats(mnist: PictureSet, split: str, count: int) -> np.ndarray:
    """The first pictures of a split, [count, 1, 28, 28] in [0, 1]."""
    return mnist.pictures[mnist.splits[split][:count]].transpose(0, 3, 1, 2).astype(np.float32) / 255


def loss_on(encoder: Any, decoder: Any) -> float:
    """Half the squared error plus KL for each of 2,000 test pictures, at the mean code."""
    x = torch.from_numpy(as_floats(open_pictures("mnist"), "test", 2000))
    encoder.eval(), decoder.eval()
    with torch.no_grad():
        code = encoder(x)
        output = decoder(code.embedding).reconstruction
        value = 0.5 * (output - x).square().flatten(1).sum(1) + gaussian_kl(code.embedding, code.log_covariance)
    encoder.train(), decoder.train()
    return float(value.mean())


class Pythae:
    """The peer: its own trainer, an epoch of `count` pictures a turn."""

    def __init__(self, network: str, count: int) -> None:
        logging.disable(logging.INFO)
        self.trainer, self.model = make_peer(network, as_floats(open_pictures("mnist"), "train", count))
        self.epoch = 0

    def step(self) -> None:
        self.epoch += 1
        self.trainer.train_step(self.epoch)

    def result(self) -> float:
        return loss_on(self.trainer.model.encoder, self.trainer.model.decoder)


class Ours:
    """The engine as `train` runs it, on the peer's networks and from its first weights."""

    def __init__(self, network: str, count: int) -> None:
        logging.disable(logging.INFO)
        keep_freed_memory()
        mnist = open_pictures("mnist")
        _, model = make_peer(network, as_floats(mnist, "train", count))
        self.same, self.rounds = Same(model), count // BATCH
        pictures = replace(mnist, splits={**mnist.splits, "train": mnist.splits["train"][:count]})
        wish = TrainConfig(batch_size=BATCH, ema=0, steps=100_000)
        config, _ = settle(self.same, pictures, wish, torch.device("cpu"))
        self.trainer = Trainer(self.same, pictures, config, torch.device("cpu"))
        self.same.train()

    def step(self) -> None:
        for _ in range(self.rounds):
            self.trainer.round()

    def result(self) -> float:
        return loss_on(self.same.encoder, self.same.decoder)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=("mlp", "conv"), default="mlp")
    parser.add_argument("--pictures", type=int, default=20_000, help="pictures in one turn of A or B")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    players = {
        "pythae": partial(Pythae, options.network, options.pictures),
        "mezzotint": partial(Ours, options.network, options.pictures),
    }
    seconds, loss = in_processes(players, options.turns, options.threads)
    for name, times in seconds.items():
        median = statistics.median(times)
        print(
            f"{name:10} {options.pictures / median:10,.0f} pictures/s   "
            f"{median / (options.pictures / BATCH) * 1000:7.3f} ms a step   test loss {loss[name]:.3f}"
        )
    print(ratio(seconds, "pythae", "mezzotint"))


if __name__ == "__main__":
    main()
