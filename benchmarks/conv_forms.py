"""Each product of a convolution layer, native, by patches and by parity, in turn: what `nn.fastconv`'s rule rests on.

    python benchmarks/conv_forms.py [--precision fp32 --turns 3]

Channels last, milliseconds, medians of turns A B C. A row is a layer: kernel, stride, padding, the channels of its
large and small side, their pixels, and the GFLOP of one product.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import torch
from torch import Tensor

from _turns import in_turn
from mezzotint.engine.device import keep_freed_memory
from mezzotint.nn import _convforms as forms
from mezzotint.nn._convforms import Geometry

HALVING, SMALL_HALVING, SAME = Geometry(4, 2, 1), Geometry(3, 2, 1), Geometry(3, 1, 1)
LAYERS = [
    (HALVING, 3, 64, 64),
    (HALVING, 64, 128, 32),
    (HALVING, 128, 256, 16),
    (HALVING, 256, 512, 8),
    (HALVING, 512, 512, 4),
    (SMALL_HALVING, 64, 128, 32),
    (SMALL_HALVING, 128, 256, 16),
    (SMALL_HALVING, 256, 512, 8),
    (SMALL_HALVING, 512, 512, 4),
    (SAME, 64, 64, 32),
    (SAME, 128, 128, 16),
    (SAME, 256, 256, 8),
    (SAME, 512, 512, 4),
    (SMALL_HALVING, 512, 1024, 7),
    (SMALL_HALVING, 256, 512, 14),
]


def milliseconds(turns: int, *players: Callable[[], Tensor]) -> str:
    """All in turn, as "native / ours"."""
    seconds = in_turn({str(number): player for number, player in enumerate(players)}, turns=turns, warmup=1)
    return " / ".join(f"{statistics.median(values) * 1000:.1f}" for values in seconds.values())


def row(g: Geometry, large: int, small: int, side: int, batch: int, turns: int, dtype: torch.dtype) -> str:
    """One line of the table."""

    def lasting(*shape: int) -> Tensor:
        return torch.randn(shape).to(dtype, memory_format=torch.channels_last)

    out = (side + 2 * g.padding - g.kernel) // g.stride + 1
    x, y = lasting(batch, large, side, side), lasting(batch, small, out, out)
    w, size = lasting(small, large, g.kernel, g.kernel), (side, side)
    gflop = 2 * batch * out * out * large * small * g.kernel**2 / 1e9
    cells = (
        f"{g.kernel} {g.stride} {g.padding}",
        f"{large}, {small}",
        f"{side}², {out}²",
        f"{gflop:.1f}",
        milliseconds(
            turns,
            lambda: forms.down_native(x, w, g),
            lambda: forms.down_by_patches(x, w, g),
            lambda: forms.down_by_parity(x, w, g),
        ),
        milliseconds(
            turns,
            lambda: forms.up_native(y, w, g, size),
            lambda: forms.up_by_patches(y, w, g, size),
            lambda: forms.up_by_parity(y, w, g, size),
        ),
        milliseconds(
            turns,
            lambda: forms.weight_grad_native(x, y, g),
            lambda: forms.weight_grad_by_patches(x, y, g),
            lambda: forms.weight_grad_by_parity(x, y, g),
        ),
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32
    print("| k s p | channels | pixels | GFLOP | down | up | weight gradient |")
    print("| --- " * 7 + "|")
    for layer in LAYERS:
        print(row(*layer, options.batch, options.turns, dtype), flush=True)


if __name__ == "__main__":
    main()
