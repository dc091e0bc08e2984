"""Small pictures, small models and trainers for the checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mezzotint.core import rng
from mezzotint.data.types import PictureSet
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.feed import to_tensor
from mezzotint.engine.loop import Trainer
from mezzotint.engine.model import Model, PictureSpec, build


def make_pictures(channels: int = 1, height: int = 8, width: int = 8, count: int = 24) -> PictureSet:
    """Blurred noise in two classes, a quarter held out, in pairs of one name; the same at every call."""
    noise = rng.stream(0, "testing", channels, height, width).random((count, height + 2, width + 2, channels))
    smooth = sum(noise[:, i : i + height, j : j + width] for i in range(3) for j in range(3)) / 9
    labels = np.arange(count) % 2
    bright = smooth * 0.6 + 0.4 * labels[:, None, None, None]
    held = count // 4
    return PictureSet(
        pictures=(bright * 255).astype(np.uint8),
        labels=labels.astype(np.int64),
        classes=("dark", "bright"),
        names=tuple(f"{('dark', 'bright')[i % 2]}/{i // 2}" for i in range(count)),  # the next two are a pair
        splits={
            "train": np.arange(held, count),
            "validation": np.arange(held),
            "test": np.empty(0, np.int64),
        },
        source="testing",
        fingerprint="",
    )


def spec_of(pictures: PictureSet) -> PictureSpec:
    """The shape of a set's pictures."""
    return PictureSpec.of(pictures)


def tiny_model(cls: type[Model], spec: PictureSpec, seed: int = 0, **settings: Any) -> Model:
    """A model with its `tiny` settings and weights drawn from `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return cls(cls.Config.build({**cls.tiny, **settings}, "model"), spec)


def make_trainer(
    cls: type[Model], pictures: PictureSet, *, seed: int = 0, batch_size: int = 4, **options: Any
) -> Trainer:
    """A trainer of a tiny model in float32 on the CPU, in training mode."""
    model = tiny_model(cls, spec_of(pictures), seed)
    steps = 10_000 if cls.fitted() else 2  # a fit ends by itself
    values = {"steps": steps, "precision": "fp32", "seed": seed, "batch_size": batch_size, "ema_every": 1, **options}
    trainer = Trainer(model, pictures, TrainConfig.build(values, "train"), torch.device("cpu"))
    trainer.model.train()
    return trainer


def fitted(name: str, pictures: PictureSet, batch_size: int = 50, **settings: Any) -> Any:
    """A model that is fitted, after all its passes over the pictures; in evaluation mode."""
    model = build(name, settings, spec_of(pictures))
    trainer = Trainer(model, pictures, TrainConfig(steps=1_000_000, batch_size=batch_size), torch.device("cpu"))
    while not trainer.done:
        trainer.round()
    return model.eval()


def flat(pictures: PictureSet, split: str = "train") -> NDArray[np.float64]:
    """The values of a part of a set as a model sees them, [N, D] in [-1, 1]."""
    found: NDArray[np.float64] = to_tensor(pictures.pictures[pictures.splits[split]]).flatten(1).double().numpy()
    return found


def same_tensors(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    """Whether both hold the same names with the same bits."""
    return a.keys() == b.keys() and all(torch.equal(value, b[key]) for key, value in a.items())


def refusal(kind: type[Exception], action: Callable[[], object]) -> str:
    """What `action` says when it is refused with an error of this kind; empty when it is not refused."""
    try:
        action()
    except kind as error:
        return str(error)
    return ""
