"""The autoencoder family beside pythae: the same networks, first weights, data, epochs and latents, in turn A B A B.

    pip install --no-deps pythae cloudpickle imageio dill
    MEZZOTINT_DATA=... python benchmarks/beside_pythae.py --model vae --network conv --epochs 10 --out pythae

MNIST at 28 pixels, batches of 100, Adam at 1e-3. The networks are ours in both columns, wrapped for the peer; each side
trains with its own trainer and loss in a process of its own, an epoch a turn. pythae sums its kernel over seven scales
where ours takes the mean, so its lambda is a seventh. Its `WAE_MMD` has an encoder without noise and a squared error
of weight 1; ours is weighed by the learned scale, about 36 times as much in the end, and so is lambda. Its `AE` has a
squared error. Scored are the mean squared error of the test pictures' reconstructions, values in [0, 1], with its 95 %
interval, and the Fréchet distance (`mezzotint-1`) of 10,000 samples to the 10,000 test pictures. Samples: of the prior;
of the autoencoder a mixture of ten Gaussians of the codes of 10,000 training pictures (scikit-learn's, which the peer's
sampler is too), and, of ours, also `sample` itself, which has one Gaussian.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import statistics
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pythae.models as peers
import torch
from numpy.typing import NDArray
from pythae.data.datasets import BaseDataset
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.samplers import GaussianMixtureSampler, GaussianMixtureSamplerConfig, NormalSampler
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn

from _turns import in_processes, ratio
from mezzotint.data.open import open_pictures
from mezzotint.data.types import DataConfig
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.device import keep_freed_memory
from mezzotint.engine.feed import to_tensor
from mezzotint.engine.loop import Trainer
from mezzotint.engine.model import PictureSpec, build
from mezzotint.engine.plan import settle
from mezzotint.metrics.extractor import EXTRACTORS
from mezzotint.metrics.frechet import frechet_distance
from mezzotint.metrics.score import mean_estimate

BATCH, LR, SAMPLES, CHUNK = 100, 1e-3, 10_000, 250
LATENT = 16
COMPONENTS, FITTED = 10, 10_000
BCE = {"reconstruction_loss": "bce"}
OURS: dict[str, tuple[str, dict[str, Any]]] = {
    "vae": ("vae", {"likelihood": "bernoulli"}),
    "beta_vae": ("beta_vae", {"likelihood": "bernoulli", "beta": 4.0}),
    "infovae": ("infovae", {"likelihood": "bernoulli", "alpha": 0.5, "lam": 70.0}),
    "wae": ("infovae", {"alpha": 1.0, "lam": 2500.0}),
    "autoencoder": ("autoencoder", {}),
}
PEERS: dict[str, tuple[str, dict[str, Any]]] = {
    "vae": ("VAE", BCE),
    "beta_vae": ("BetaVAE", {**BCE, "beta": 4.0}),
    "infovae": ("INFOVAE_MMD", {**BCE, "alpha": 0.5, "lbd": 10.0}),
    "wae": ("WAE_MMD", {"reg_weight": 10.0}),
    "autoencoder": ("AE", {}),
}
CONFIGS = {"VAE": "VAEConfig", "BetaVAE": "BetaVAEConfig", "INFOVAE_MMD": "INFOVAE_MMD_Config"}
CONFIGS |= {"WAE_MMD": "WAE_MMD_Config", "AE": "AEConfig"}


class Encoder(BaseEncoder):
    """Our encoder for the peer: pictures in [0, 1] -> its output."""

    def __init__(self, net: nn.Module, norm: nn.Module | None) -> None:
        BaseEncoder.__init__(self)
        self.net, self.norm, self.latent_dim = net, norm, LATENT

    def forward(self, x: Tensor) -> ModelOutput:
        parts = self.net(x * 2 - 1)
        if self.norm is not None:
            return ModelOutput(embedding=self.norm(parts[0][:, :, None, None]).flatten(1))
        return ModelOutput(embedding=parts[0], log_covariance=parts[1])


class Decoder(BaseDecoder):
    """Our decoder for the peer: latents -> pictures in [0, 1], by a sigmoid or as they come."""

    def __init__(self, net: nn.Module, sigmoid: bool) -> None:
        BaseDecoder.__init__(self)
        self.net, self.sigmoid = net, sigmoid

    def forward(self, z: Tensor) -> ModelOutput:
        values = self.net(z)
        return ModelOutput(reconstruction=torch.sigmoid(values) if self.sigmoid else (values + 1) / 2)


def fresh(kind: str, network: str, seed: int) -> Any:
    """Our model with its first weights."""
    name, settings = OURS[kind]
    own = {"network": network, "latent": LATENT, "lr": LR, "beta2": 0.999, **settings}
    return build(name, own | ({"width": 32} if network == "conv" else {}), PictureSpec(1, 28, 28), seed=seed)


class Ours:
    """Our trainer, as `train` runs it; a turn is an epoch."""

    def __init__(self, kind: str, network: str, count: int, seed: int) -> None:
        logging.disable(logging.INFO)
        keep_freed_memory()
        mnist = open_pictures("mnist", DataConfig(validation=0))
        rows = mnist.splits["train"][:count]
        self.test, self.train = mnist.pictures[mnist.splits["test"]], mnist.pictures[rows[:FITTED]]
        pictures = replace(mnist, splits={**mnist.splits, "train": rows, "validation": self._held(mnist)})
        self.kind, self.model, self.rounds = kind, fresh(kind, network, seed), count // BATCH
        wish = TrainConfig(batch_size=BATCH, steps=1_000_000, seed=seed)
        config, _ = settle(self.model, pictures, wish, torch.device("cpu"))
        self.trainer = Trainer(self.model, pictures, config, torch.device("cpu"))
        self.model.train()

    @staticmethod
    def _held(mnist: Any) -> NDArray[np.int64]:
        return mnist.splits["train"][:4096]  # what the density of an autoencoder's codes is fitted to

    def step(self) -> None:
        for _ in range(self.rounds):
            self.trainer.round()

    def result(self) -> dict[str, float]:
        with self.trainer.using() as model:
            model.finish(self.trainer.held_out)
            parts = [to_tensor(self.test[i : i + CHUNK]) for i in range(0, len(self.test), CHUNK)]
            back = torch.cat([(model.reconstruct(part) + 1) / 2 for part in parts])
            made = (model.sample(SAMPLES, seed=1) + 1) / 2
            if self.kind != "autoencoder":
                return scored(self.test, back, made)
            codes = torch.cat([model.encode(part) for part in to_tensor(self.train).split(CHUNK)])
            mixture = GaussianMixture(COMPONENTS, random_state=1).fit(codes.double().numpy())
            drawn = torch.from_numpy(mixture.sample(SAMPLES)[0]).float()
            mixed = torch.cat([(model.generate(part) + 1) / 2 for part in drawn.split(CHUNK)])
        one = scored(self.test, back, made)["frechet"]
        return scored(self.test, back, mixed) | {"one Gaussian": one}


class Peer:
    """The peer's trainer on the same networks."""

    def __init__(self, kind: str, network: str, count: int, seed: int) -> None:
        logging.disable(logging.INFO)
        mnist = open_pictures("mnist", DataConfig(validation=0))
        self.test = mnist.pictures[mnist.splits["test"]]
        train = mnist.pictures[mnist.splits["train"][:count]].transpose(0, 3, 1, 2).astype(np.float32) / 255
        self.train, self.kind, self.epoch = torch.from_numpy(train), kind, 0
        ours = copy.deepcopy(fresh(kind, network, seed))
        ours.begin(lambda n: (self.train[:n] * 2 - 1, None))
        name, settings = PEERS[kind]
        config = getattr(peers, CONFIGS[name])(input_dim=(1, 28, 28), latent_dim=LATENT, **settings)
        nets = (
            Encoder(ours.encoder, getattr(ours, "bottleneck", None)),
            Decoder(ours.decoder, settings.get("reconstruction_loss") == "bce"),
        )
        torch.manual_seed(seed)
        model = getattr(peers, name)(config, *nets)
        wish = BaseTrainerConfig(
            output_dir=tempfile.mkdtemp(),
            per_device_train_batch_size=BATCH,
            learning_rate=LR,
            num_epochs=1,
            no_cuda=True,
        )
        self.trainer = BaseTrainer(model, BaseDataset(self.train, torch.zeros(count)), training_config=wish)
        self.trainer.prepare_training()

    def step(self) -> None:
        self.epoch += 1
        self.trainer.train_step(self.epoch)

    @torch.no_grad()
    def result(self) -> dict[str, float]:
        model = self.trainer.model.eval()
        x = torch.from_numpy(self.test.transpose(0, 3, 1, 2).astype(np.float32) / 255)
        back = torch.cat([model.decoder(model.encoder(p).embedding).reconstruction for p in x.split(CHUNK)])
        torch.manual_seed(1)
        if self.kind == "autoencoder":
            sampler = GaussianMixtureSampler(model, GaussianMixtureSamplerConfig(n_components=COMPONENTS))
            sampler.fit(self.train[:FITTED])
        else:
            sampler = NormalSampler(model)
        made = sampler.sample(num_samples=SAMPLES, batch_size=500, return_gen=True, save_sampler_config=False)
        return scored(self.test, back, made)


def scored(test: NDArray[np.uint8], back: Tensor, made: Tensor) -> dict[str, float]:
    """Errors of reconstructions [N, 1, 28, 28] in [0, 1], and the distance of such samples, with their intervals."""
    x = torch.from_numpy(test.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    error = mean_estimate((back.clamp(0, 1) - x).square().flatten(1).mean(1).double().numpy())
    extractor = EXTRACTORS.get("mezzotint-1").open()
    bytes_of = [(each.clamp(0, 1) * 255).round().byte().cpu() for each in (x, made)]
    real, fake = (extractor(each.expand(-1, 3, -1, -1).contiguous()).features.double().numpy() for each in bytes_of)
    away = frechet_distance(real, fake)
    found = {"error": error.value, "low": error.low, "high": error.high}
    found |= {"frechet": away.value, "nearest": away.low, "farthest": away.high}
    return {name: value or 0.0 for name, value in found.items()}


def main() -> None:
    """Train in turn, score, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", choices=tuple(OURS), default="vae")
    parser.add_argument("--network", choices=("mlp", "conv"), default="mlp")
    parser.add_argument("--pictures", type=int, default=20_000, help="of the training set; an epoch")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("pythae"))
    options = parser.parse_args()
    task = (options.model, options.network, options.pictures, options.seed)
    players = {"pythae": partial(Peer, *task), "mezzotint": partial(Ours, *task)}
    seconds, found = in_processes(players, options.epochs, options.threads, warmup=0)
    for name, times in seconds.items():
        one = found[name]
        print(
            f"{options.model} {options.network} seed {options.seed}, {name:10} {statistics.median(times):.2f} s"
            f" an epoch   error {one['error']:.5f} [{one['low']:.5f}, {one['high']:.5f}]"
            f"   Frechet {one['frechet']:.2f} [{one['nearest']:.2f}, {one['farthest']:.2f}]"
            + "".join(f"   {name} {one[name]:.2f}" for name in one if name == "one Gaussian")
        )
    print(ratio(seconds, "pythae", "mezzotint"))
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / f"{options.model}-{options.network}-{options.seed}.json"
    file.write_text(json.dumps({"seconds": seconds, "found": found}, indent=1))


if __name__ == "__main__":
    main()
