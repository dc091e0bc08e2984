"""A training step of a model that translates: the public implementation and ours in turn, A B A B, in one process.

    python benchmarks/translate_step.py --model cyclegan --peer pytorch-CycleGAN-and-pix2pix --turns 7
    python benchmarks/translate_step.py --model stargan --peer stargan --turns 5
    python benchmarks/translate_step.py --model stargan --peer stargan --networks own --turns 5
    python benchmarks/translate_step.py --model adain --peer pytorch-AdaIN --turns 5
    python benchmarks/translate_step.py --model cyclegan --peer pytorch-CycleGAN-and-pix2pix --turns 7 --apart
    python benchmarks/translate_step.py --model cyclegan --size 32 --turns 1 --set width=8 blocks=1   # a try

Same networks, first weights, batch, pictures and threads, with all that belongs to a step: the pool of pictures of
before, the gradient penalty, Adam. A step of `cyclegan` is one of all four networks on a picture of each domain, at 128
pixels as in its paper's smaller setting; one of `stargan` is five turns of the discriminator and one of the generator,
on 16 pictures each of 64 pixels; one of `adain` is eight contents in eight styles, at 256 pixels, with the widths of
VGG-19 and with weights that nobody has trained. Ours is the engine as `train` runs it, in the number format that it
would take; the peers (github.com/junyanz/pytorch-CycleGAN-and-pix2pix, github.com/yunjey/stargan,
github.com/naoto0804/pytorch-AdaIN, a folder each, `--peer`) are float32 and eager, in their own loops. StarGAN's loop
has our networks, or with `--networks own` its own, which halve and double by 4x4 instead of 3x3.

GFLOP are those of all products of a step, as torch counts them on plain layers; ours and the peer's own. The peak is
that of the 3x3 convolution of `dcgan_step.py`, in our number format, in the same turns. In one process the peer profits
from how we keep freed memory; with `--apart` each has a process of its own, as elsewhere. Without `--peer` ours runs
alone. A further model is a further line of KINDS.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from _translation import set_of, table
from _translation_peers import PeerAdaIN, PeerCycleGAN, PeerStarGAN
from _turns import Player, in_processes, in_turn, ratio
from dcgan_step import PEAK, PEAK_GFLOP, peak
from mezzotint.core.config import parse_assignments
from mezzotint.data.open import open_pictures
from mezzotint.data.types import DataConfig, PictureSet
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.device import has_bf16, keep_freed_memory
from mezzotint.engine.loop import Trainer
from mezzotint.engine.model import PictureSpec, build
from mezzotint.nn.fastconv import FastConv2d, FastConvTranspose2d
from mezzotint.nn.vgg import StyleEncoder

CPU = torch.device("cpu")
PRECISION: Any = "bf16" if has_bf16(CPU) else "fp32"
OURS, THEIRS = "mezzotint", "peer"


def two_domains(size: int) -> PictureSet:
    """Noise of two domains."""
    noise = np.random.default_rng(0).integers(0, 256, (64, size, size, 3), dtype=np.uint8)
    return set_of("noise", {"a": noise[:32], "b": noise[32:]})


def five_attributes(size: int) -> PictureSet:
    """Noise with five attributes, as many as in the paper."""
    draw = np.random.default_rng(0)
    noise = draw.integers(0, 256, (64, size, size, 3), dtype=np.uint8)
    columns = {f"a{k}": draw.integers(0, 2, 64).astype(np.float64) for k in range(5)}
    return open_pictures(set_of("noise", {"all": noise}, columns), DataConfig(attributes=tuple(columns)))


class Kind(NamedTuple):
    """A model whose step is measured.

    Attributes:
        size, batch: of its pictures, where nothing else is asked for.
        pictures: size -> a set.
        peer: (folder, model, pictures, config, networks) -> something with `round()`, one step.
        turns: batches that a step reads.
        settings: of the model, where nothing else is asked for.
    """

    size: int
    batch: int
    pictures: Callable[[int], PictureSet]
    peer: Callable[[Path, Any, PictureSet, TrainConfig, str], Any]
    turns: int = 1
    settings: Callable[[], dict[str, Any]] = dict


def as_vgg() -> dict[str, Any]:
    """Networks of VGG-19's widths to relu4_1, from a file of weights that nobody has trained."""
    encoder = StyleEncoder(64, 4)
    file = Path(tempfile.gettempdir()) / "mezzotint-untrained-vgg.pth"
    if not file.exists():
        torch.manual_seed(0)
        tensors = [torch.eye(3)[:, :, None, None], torch.zeros(3)]
        for conv in encoder.convolutions():
            tensors += [nn.init.kaiming_normal_(torch.empty_like(conv.weight)).detach(), torch.zeros(conv.out_channels)]
        torch.save({str(k): value for k, value in enumerate(tensors)}, file)
    return {"encoder": "vgg19", "levels": 4, "width": 64, "vgg_file": str(file)}


KINDS: dict[str, Kind] = {
    "cyclegan": Kind(128, 2, two_domains, lambda folder, model, x, c, networks: PeerCycleGAN(folder, model, x, c)),
    "stargan": Kind(64, 16, five_attributes, PeerStarGAN, 5),
    "adain": Kind(
        256, 16, two_domains, lambda folder, model, x, c, networks: PeerAdaIN(folder, model, x, c), 1, as_vgg
    ),
}


@dataclass(frozen=True)
class Work:
    """What both do.

    Attributes:
        kind: one of KINDS.
        size, batch: of the pictures.
        settings: of the model.
        networks: of the peer.
    """

    kind: str
    size: int
    batch: int
    settings: dict[str, Any]
    networks: str

    def model(self, pictures: PictureSet) -> Any:
        """Fresh, with the first weights that both begin from."""
        return build(self.kind, self.settings, PictureSpec.of(pictures))

    def config(self, precision: Any) -> TrainConfig:
        """How it is trained."""
        return TrainConfig(batch_size=self.batch, steps=10**6, precision=precision)


class Ours:
    """The engine as `train` runs it.

    Args:
        work: what there is to do.
        precision: the number format.
        plain: with torch's own layers, whose products are counted.
    """

    def __init__(self, work: Work, precision: str = PRECISION, plain: bool = False) -> None:
        if not plain:
            keep_freed_memory()
        pictures = KINDS[work.kind].pictures(work.size)
        self.trainer = Trainer(work.model(pictures), pictures, work.config(precision), CPU)
        self.trainer.model.train()
        natives = {FastConv2d: nn.Conv2d, FastConvTranspose2d: nn.ConvTranspose2d}
        for module in self.trainer.model.modules() if plain else ():
            module.__class__ = natives.get(type(module), type(module))

    def step(self) -> None:
        """One round."""
        self.trainer.round()

    def result(self) -> str:
        """The number format."""
        return self.trainer.config.precision


class Theirs:
    """The public implementation."""

    def __init__(self, work: Work, folder: Path) -> None:
        kind = KINDS[work.kind]
        pictures = kind.pictures(work.size)
        self.peer = kind.peer(folder, work.model(pictures), pictures, work.config("fp32"), work.networks)

    def step(self) -> None:
        """One step of its loop."""
        self.peer.round()

    def result(self) -> str:
        """The number format."""
        return "fp32"


class Peak:
    """The convolution whose speed is the peak."""

    def __init__(self) -> None:
        self.run = peak()

    def step(self) -> None:
        """Once."""
        with torch.no_grad():
            self.run()

    def result(self) -> str:
        """The number format."""
        return PRECISION


class Counter(TorchDispatchMode):
    """Counts the operations of products by torch's own formulas; its `FlopCounterMode` stops at slopes of slopes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=out)
        return out


def gflop(player: Player) -> float:
    """Of all products of a step."""
    with Counter() as counter:
        player.step()
    return counter.total / 1e9


def measured(
    players: dict[str, Callable[[], Player]], turns: int, threads: int, apart: bool
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Seconds of each turn, and the number formats."""
    if apart:
        return in_processes(players, turns, threads, warmup=2)
    torch.set_num_threads(threads)
    made = {name: make() for name, make in players.items()}
    seconds = in_turn({name: player.step for name, player in made.items()}, turns, warmup=2)
    return seconds, {name: player.result() for name, player in made.items()}


def main() -> None:
    """Count, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", choices=tuple(KINDS), default="cyclegan")
    parser.add_argument("--peer", type=Path, help="folder of the public implementation")
    parser.add_argument("--networks", choices=("ours", "own"), default="ours", help="of StarGAN's loop")
    parser.add_argument("--size", type=int)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--set", nargs="*", action="extend", default=[], help="settings of the model, such as width=32")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--apart", action="store_true", help="each in a process of its own")
    options = parser.parse_args()
    kind = KINDS[options.model]
    settings = kind.settings() | parse_assignments(f"model.{each}" for each in options.set).get("model", {})
    size, batch = options.size or kind.size, options.batch_size or kind.batch
    work = Work(options.model, size, batch, settings, options.networks)
    work_of = {OURS: gflop(Ours(work, "fp32", plain=True))}
    players: dict[str, Callable[[], Player]] = {OURS: partial(Ours, work), PEAK: Peak}
    if options.peer:
        players = {THEIRS: partial(Theirs, work, options.peer), **players}
        work_of[THEIRS] = gflop(Theirs(work, options.peer))
    seconds, formats = measured(players, options.turns, options.threads, options.apart)
    best = PEAK_GFLOP / min(seconds[PEAK])
    print(
        f"{options.model}, {size} pixels, batches of {batch}, {settings or 'its defaults'}; torch {torch.__version__}"
    )
    print(
        f"{options.threads} threads, {options.turns} turns; peak of a {formats[PEAK]} convolution {best:.0f} GFLOP/s\n"
    )
    lines = []
    for name in (n for n in (THEIRS, OURS) if n in seconds):
        median, least = statistics.median(seconds[name]), min(seconds[name])
        rate = f"{batch * kind.turns / median:.1f}"
        share = f"{work_of[name] / least / best:.0%}"
        work_done = f"{work_of[name]:.1f}"
        lines.append([name, formats[name], f"{median * 1e3:.0f}", f"{least * 1e3:.0f}", rate, work_done, share])
    head = ("", "numbers", "median ms a step", "best ms", "pictures/s", "GFLOP a step", "of the peak, best step")
    print(table(head, lines))
    if options.peer:
        print(f"\nmezzotint is faster {ratio(seconds, THEIRS, OURS)}")


if __name__ == "__main__":
    main()
