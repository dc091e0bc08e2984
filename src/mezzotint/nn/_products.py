"""Products of matrices, by whichever of two libraries is faster.

In float32 on AVX2 machines, oneDNN's convolution with a 1x1 kernel is a matrix product that takes 10 to 20 % less time
than the BLAS that torch calls, from some 500 rows on (``benchmarks/conv_forms.py``). Everywhere else they are plain
matrix products. Both are deterministic, and the choice depends on the shapes and the machine alone.
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

_ROWS, _COLUMNS = 500, 128


@functools.cache
def avx2() -> bool:
    """Whether this machine computes with AVX2 and nothing newer."""
    return torch.backends.cpu.get_cpu_capability() == "AVX2"


def _pays(a: Tensor, b: Tensor) -> bool:
    return (
        a.dtype is b.dtype is torch.float32
        and a.device.type == "cpu"
        and avx2()
        and len(a) >= _ROWS
        and min(a.shape[1], *b.shape) >= _COLUMNS
    )


def _picture(a: Tensor) -> Tensor:
    """[M, K] -> [1, K, M, 1], channels last."""
    return a.contiguous().view(1, len(a), 1, a.shape[1]).permute(0, 3, 1, 2)


def _matrix(y: Tensor) -> Tensor:
    """[1, N, M, 1] -> [M, N]; no copy for a channels-last tensor."""
    return y.permute(0, 2, 3, 1).reshape(y.shape[2], y.shape[1])


def times(a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
    """[M, K], [K, N] -> [M, N], into `out` where it is given."""
    if not _pays(a, b):
        return torch.mm(a, b, out=out)
    product = _matrix(F.conv_transpose2d(_picture(a), b.reshape(*b.shape, 1, 1)))
    return product if out is None else out.copy_(product)


def times_transposed(a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
    """[M, K], [N, K] -> [M, N], into `out` where it is given."""
    if not _pays(a, b):
        return torch.mm(a, b.t(), out=out)
    product = _matrix(F.conv2d(_picture(a), b.reshape(*b.shape, 1, 1)))
    return product if out is None else out.copy_(product)
