"""One training step of DCGAN at 64 pixels, both updates: the PyTorch tutorial's loop against Mezzotint's layers.

    python benchmarks/dcgan_step.py                  # the peer against the best, in pairs
    python benchmarks/dcgan_step.py --all --rounds 8 # and a row for each ingredient taken away

Same networks (ngf = ndf = 64), batch (64), pictures, seed, optimiser settings and threads. Every row runs in a
process of its own, because the allocator's setting is a whole process's; the processes take turns, one step each
a round (A B A B), so that what else the machine does meets all alike. Medians and minimums are of those rounds.
The peer is float32, eager, NCHW, PyTorch's defaults. Ours are bfloat16 where the machine computes that natively, or
else float32 too, as `train` would choose.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import resource
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mezzotint.engine.config import TrainConfig
from mezzotint.engine.device import has_bf16, keep_freed_memory
from mezzotint.engine.loop import Trainer
from mezzotint.engine.model import PictureSpec, build
from mezzotint.nn.fastconv import FastConv2d, FastConvTranspose2d
from mezzotint.nn.norm import BatchNorm2d, grouped
from mezzotint.testing._make import make_pictures

BATCH, LATENT, WIDTH = 64, 100, 64
bf16, channels_last = torch.bfloat16, torch.channels_last
HAS_BF16 = has_bf16(torch.device("cpu"))

# The multiplications of one step: 13.3 GFLOP a network and direction. G forward 1, D forward 3, D backward twice
# (inputs and weights), D backward to its inputs once, G backward once (both).
LAYERS = ((3, 64, 32), (64, 128, 16), (128, 256, 8), (256, 512, 4))
NETWORK_GFLOP = sum(2 * BATCH * c * d * 16 * s * s for c, d, s in LAYERS) / 1e9
STEP_GFLOP = NETWORK_GFLOP * (1 + 3 + 2 * 2 + 1 + 2)


def initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def networks(conv: type[nn.Conv2d], up: type[nn.ConvTranspose2d], norm: type[nn.BatchNorm2d]) -> tuple[nn.Module, ...]:
    """Generator [B, 100, 1, 1] -> [B, 3, 64, 64] and discriminator [B, 3, 64, 64] -> [B, 1, 1, 1]."""
    torch.manual_seed(0)
    g: list[nn.Module] = [up(LATENT, 8 * WIDTH, 4, 1, 0, bias=False), norm(8 * WIDTH), nn.ReLU(True)]
    for k in (8, 4, 2):
        g += [up(k * WIDTH, k * WIDTH // 2, 4, 2, 1, bias=False), norm(k * WIDTH // 2), nn.ReLU(True)]
    g += [up(WIDTH, 3, 4, 2, 1, bias=False), nn.Tanh()]
    d: list[nn.Module] = [conv(3, WIDTH, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for k in (1, 2, 4):
        d += [conv(k * WIDTH, 2 * k * WIDTH, 4, 2, 1, bias=False), norm(2 * k * WIDTH), nn.LeakyReLU(0.2, True)]
    d += [conv(8 * WIDTH, 1, 4, 1, 0, bias=False)]
    return nn.Sequential(*g).apply(initialise), nn.Sequential(*d).apply(initialise)


def pictures() -> Tensor:
    return torch.randn(BATCH, 3, 64, 64, generator=torch.Generator().manual_seed(1)).clamp(-1, 1)


def tutorial() -> Callable[[], None]:
    """The step of the PyTorch DCGAN tutorial, its order kept."""
    net_g, net_d = networks(nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d)
    criterion = nn.BCEWithLogitsLoss()
    optimizer_d = torch.optim.Adam(net_d.parameters(), lr=2e-4, betas=(0.5, 0.999))
    optimizer_g = torch.optim.Adam(net_g.parameters(), lr=2e-4, betas=(0.5, 0.999))
    real = pictures()

    def step() -> None:
        net_d.zero_grad()
        label = torch.full((BATCH,), 1.0)
        err_d_real = criterion(net_d(real).view(-1), label)
        err_d_real.backward()
        fake = net_g(torch.randn(BATCH, LATENT, 1, 1))
        label.fill_(0.0)
        err_d_fake = criterion(net_d(fake.detach()).view(-1), label)
        err_d_fake.backward()
        optimizer_d.step()
        net_g.zero_grad()
        label.fill_(1.0)
        err_g = criterion(net_d(fake).view(-1), label)
        err_g.backward()
        optimizer_g.step()

    return step


@dataclass(frozen=True)
class Recipe:
    """What the fast step is made of; each can be taken away."""

    layers: bool = True
    together: bool = True  # real and fake through D in one pass, normalised apart
    frozen: bool = True  # no gradients for D's weights in G's phase
    fused: bool = True
    memory: bool = True
    bf16: bool = HAS_BF16
    nhwc: bool = True


def fast(recipe: Recipe) -> Callable[[], None]:
    """The same arithmetic in the same order of updates; bfloat16 products, float32 weights, losses and Adam."""
    if recipe.memory:
        keep_freed_memory()
    convs = (FastConv2d, FastConvTranspose2d) if recipe.layers else (nn.Conv2d, nn.ConvTranspose2d)
    net_g, net_d = networks(*convs, BatchNorm2d)
    real = pictures()
    if recipe.nhwc:
        net_g, net_d = net_g.to(memory_format=channels_last), net_d.to(memory_format=channels_last)
        real = real.contiguous(memory_format=channels_last)
    adam: dict[str, Any] = {"lr": 2e-4, "betas": (0.5, 0.999), "fused": recipe.fused}
    optimizer_d = torch.optim.Adam(net_d.parameters(), **adam)
    optimizer_g = torch.optim.Adam(net_g.parameters(), **adam)
    one, zero = torch.ones(BATCH), torch.zeros(BATCH)

    def judge(x: Tensor) -> Tensor:
        with autocast():
            return net_d(x).view(-1).float()

    def autocast() -> Any:
        return torch.autocast("cpu", bf16) if recipe.bf16 else nullcontext()

    def step() -> None:
        bce = F.binary_cross_entropy_with_logits
        optimizer_d.zero_grad()
        with autocast():
            fake = net_g(torch.randn(BATCH, LATENT, 1, 1))
        if recipe.together:
            with grouped(net_d, 2):
                on_real, on_fake = judge(torch.cat([real.to(fake.dtype), fake.detach()])).chunk(2)
            (bce(on_real, one) + bce(on_fake, zero)).backward()
        else:
            bce(judge(real), one).backward()
            bce(judge(fake.detach()), zero).backward()
        optimizer_d.step()
        optimizer_g.zero_grad()
        net_d.requires_grad_(not recipe.frozen)
        bce(judge(fake), one).backward()
        optimizer_g.step()
        net_d.requires_grad_(True)

    return step


def engine() -> Callable[[], None]:
    """What `mezzotint train dcgan` does a step: batches, noise, finite checks, EMA and all."""
    keep_freed_memory()
    precision = "bf16" if HAS_BF16 else "fp32"
    config = TrainConfig(batch_size=BATCH, precision=precision, steps=None, minutes=60)
    set_ = make_pictures(3, 64, 64, count=4 * BATCH)
    trainer = Trainer(build("dcgan", {}, PictureSpec(3, 64, 64)), set_, config, torch.device("cpu"))
    trainer.model.train()
    return trainer.round


ROWS: dict[str, Callable[[], Callable[[], None]]] = {
    "peer: tutorial, fp32": tutorial,
    "mezzotint's engine": engine,
    "fast": lambda: fast(Recipe()),
    "fast, native layers": lambda: fast(Recipe(layers=False)),
    "fast, two D passes": lambda: fast(Recipe(together=False)),
    "fast, D not frozen": lambda: fast(Recipe(frozen=False)),
    "fast, plain Adam": lambda: fast(Recipe(fused=False)),
    "fast, default malloc": lambda: fast(Recipe(memory=False)),
    "fast, fp32": lambda: fast(Recipe(bf16=False)),
    "bf16 autocast, nhwc": lambda: fast(Recipe(False, False, False, False, False)),
    "peer, kept memory": lambda: keep_freed_memory() and tutorial(),  # type: ignore[dict-item,return-value]
}


def peak() -> Callable[[], None]:
    """A 3x3 convolution of 128 channels, 64 pictures of 32x32, in our number format, channels last: 19.3 GFLOP."""
    dtype = bf16 if HAS_BF16 else torch.float32
    x = torch.randn(BATCH, 128, 32, 32).to(dtype, memory_format=channels_last)
    w = torch.randn(128, 128, 3, 3).to(dtype, memory_format=channels_last)
    return lambda: [F.conv2d(x, w, padding=1), None][1]  # type: ignore[return-value]


PEAK, PEAK_GFLOP = "conv peak", 2 * BATCH * 32 * 32 * 128 * 128 * 9 / 1e9
ROWS[PEAK] = peak


def serve(name: str, threads: int, pipe: Connection) -> None:
    """One row's process: a step, timed, for each message; milliseconds and page faults back."""
    torch.set_num_threads(threads)
    torch.set_grad_enabled(name != PEAK)
    step = ROWS[name]()
    for _ in range(3):
        step()
    pipe.send(None)
    while pipe.recv():
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        start = time.perf_counter()
        step()
        took = (time.perf_counter() - start) * 1e3
        pipe.send((took, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults))


def measure(names: list[str], rounds: int, threads: int) -> dict[str, list[tuple[float, int]]]:
    context, pipes, processes = mp.get_context("spawn"), {}, []
    for name in names:
        pipes[name], there = context.Pipe()
        processes.append(context.Process(target=serve, args=(name, threads, there), daemon=True))
        processes[-1].start()
        pipes[name].recv()  # warm before the next one starts
    results: dict[str, list[tuple[float, int]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            pipes[name].send(True)
            results[name].append(pipes[name].recv())
    for pipe, process in zip(pipes.values(), processes, strict=True):
        pipe.send(False)
        process.join()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="every row, not only the peer and the best")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    names = list(ROWS) if args.all else [*list(ROWS)[:3], PEAK]
    results = measure(names, args.rounds, args.threads)
    peer, best_peak = (
        results[names[0]],
        PEAK_GFLOP / min(ms for ms, _ in results[PEAK]) * 1e3,
    )
    print(f"torch {torch.__version__}, {args.threads} threads, {args.rounds} rounds; {STEP_GFLOP:.0f} GFLOP a step")
    kind, floor = "bf16" if HAS_BF16 else "fp32", STEP_GFLOP / best_peak * 1e3
    print(f"peak of a {kind} 3x3 convolution: {best_peak:.0f} GFLOP/s; floor {floor:.0f} ms")
    print(
        f"{'':24}{'median':>8}{'min':>8}{'img/s':>7}{'ratio':>7}{'of mins':>8}{'GFLOP/s':>9}{'of peak':>8}{'faults':>8}"
    )
    for name in names:
        if name == PEAK:
            continue
        times = [ms for ms, _ in results[name]]
        median, least = statistics.median(times), min(times)
        ratio = statistics.median(p / t for (p, _), t in zip(peer, times, strict=True))
        rate = STEP_GFLOP / least * 1e3
        faults = statistics.median(f for _, f in results[name])
        print(
            f"{name:24}{median:8.1f}{least:8.1f}{BATCH / median * 1e3:7.0f}{ratio:7.2f}"
            f"{min(p for p, _ in peer) / least:8.2f}"
            f"{rate:9.0f}{rate / best_peak:8.0%}{faults:8.0f}"
        )


if __name__ == "__main__":
    main()
