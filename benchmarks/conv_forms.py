"""Each product of a convolution layer, native and by patches, in turn: what the rule of `nn.fastconv` rests on.

    python benchmarks/conv_forms.py

bfloat16, channels last, milliseconds, medians of 9 turns A B. A row is a layer: kernel, stride, padding, the channels
of its large and small side, their pixels, and the GFLOP of one product.
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
]


def lasting(*shape: int) -> Tensor:
    """A random bfloat16 tensor, channels last."""
    return torch.randn(shape).to(torch.bfloat16, memory_format=torch.channels_last)


def milliseconds(native: Callable[[], Tensor], ours: Callable[[], Tensor]) -> str:
    """Both in turn, as "native / ours"."""
    seconds = in_turn({"native": native, "ours": ours}, turns=9, warmup=2)
    return " / ".join(f"{statistics.median(values) * 1000:.1f}" for values in seconds.values())


def row(g: Geometry, large: int, small: int, side: int, batch: int) -> str:
    """One line of the table."""
    out = (side + 2 * g.padding - g.kernel) // g.stride + 1
    x, y = lasting(batch, large, side, side), lasting(batch, small, out, out)
    w, size = lasting(small, large, g.kernel, g.kernel), (side, side)
    gflop = 2 * batch * out * out * large * small * g.kernel**2 / 1e9
    cells = (
        f"{g.kernel} {g.stride} {g.padding}",
        f"{large}, {small}",
        f"{side}², {out}²",
        f"{gflop:.1f}",
        milliseconds(lambda: forms.down_native(x, w, g), lambda: forms.down_by_patches(x, w, g)),
        milliseconds(lambda: forms.up_native(y, w, g, size), lambda: forms.up_by_patches(y, w, g, size)),
        milliseconds(lambda: forms.weight_grad_native(x, y, g), lambda: forms.weight_grad_by_patches(x, y, g)),
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    print("| k s p | channels | pixels | GFLOP | down | up | weight gradient |")
    print("| --- " * 7 + "|")
    for layer in LAYERS:
        print(row(*layer, options.batch), flush=True)


if __name__ == "__main__":
    main()
