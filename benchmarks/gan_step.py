"""A round of an adversarial model: the plain PyTorch loop and ours in turn, A B A B, same networks, batch and threads.

    MEZZOTINT_DATA=... python benchmarks/gan_step.py --model wgan_gp --size 32
    MEZZOTINT_DATA=... python benchmarks/gan_step.py --model infogan
    MEZZOTINT_DATA=... python benchmarks/gan_step.py --model wgan_gp --set network=residual
    MEZZOTINT_DATA=... python benchmarks/gan_step.py --model wgan_gp --peer penalty_every=4 --rounds 4   # lazy

The peers are in `_plain.py`: float32, eager, NCHW. Ours is the engine with the number format that `train` would take.
With `--peer` the peer is ours too, with these settings, so that an option's cost is seen.
"""

from __future__ import annotations

import argparse
import statistics
from functools import partial
from typing import Any

import torch

from _plain import BATCH, PLAIN
from _turns import in_processes, ratio
from mezzotint.core.config import parse_assignments
from mezzotint.data.open import open_pictures
from mezzotint.data.types import DataConfig
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.device import has_bf16, keep_freed_memory
from mezzotint.engine.loop import Trainer
from mezzotint.engine.model import PictureSpec, build

CPU = torch.device("cpu")


class Plain:
    """The peer."""

    def __init__(self, name: str, size: int, channels: int, rounds: int, settings: dict[str, Any]) -> None:
        self.rounds = rounds
        pictures, spec = _pictures(size, channels)
        self.loop = PLAIN[name](build(name, settings, spec), pictures, 0)

    def step(self) -> None:
        for _ in range(self.rounds):
            self.loop.round()

    def result(self) -> str:
        return "float32"


class Ours:
    """The engine as `train` runs it."""

    def __init__(self, name: str, size: int, channels: int, rounds: int, settings: dict[str, Any]) -> None:
        keep_freed_memory()
        self.rounds = rounds
        pictures, spec = _pictures(size, channels)
        precision = "bf16" if has_bf16(CPU) else "fp32"
        config = TrainConfig(batch_size=BATCH, steps=10**6, precision=precision)
        self.trainer = Trainer(build(name, settings, spec), pictures, config, CPU)
        self.trainer.model.train()

    def step(self) -> None:
        for _ in range(self.rounds):
            self.trainer.round()

    def result(self) -> str:
        return self.trainer.config.precision


def _pictures(size: int, channels: int) -> tuple[Any, PictureSpec]:
    mode: Any = "grey" if channels == 1 else "rgb"
    pictures = open_pictures("mnist", DataConfig(size=size, mode=mode))
    return pictures, PictureSpec(channels, size, size)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="wgan_gp", help=f"{', '.join(PLAIN)}; any with --peer")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument(
        "--set", nargs="*", action="extend", default=[], help="settings of the model, such as network=residual"
    )
    parser.add_argument("--peer", nargs="*", help="the peer is ours with these settings")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=1, help="in a turn; as many as penalty_every where that is set")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if options.peer is None and options.model not in PLAIN:
        parser.error(f"there is no plain loop of {options.model}; give --peer")
    settings, other = (
        parse_assignments(f"model.{each}" for each in given or ()).get("model", {})
        for given in (options.set, options.peer)
    )
    shape = (options.model, options.size, options.channels, options.rounds)
    peer = partial(Plain, *shape, settings) if options.peer is None else partial(Ours, *shape, {**settings, **other})
    seconds, formats = in_processes(
        {"peer": peer, "mezzotint": partial(Ours, *shape, settings)}, options.turns, options.threads
    )
    for name, times in seconds.items():
        print(f"{name:10} {statistics.median(times) * 1000 / options.rounds:8.1f} ms a round   {formats[name]}")
    print(ratio(seconds, "peer", "mezzotint"))


if __name__ == "__main__":
    main()
