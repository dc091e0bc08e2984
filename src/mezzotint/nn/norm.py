"""Normalisation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mezzotint.nn._eager import plain_eager
from mezzotint.nn.processes import several, summed

_WORTH = 8192
"""Values of a picture from which a call for each of them pays."""


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation whose statistics are those of the whole batch, however many processes share it.

    In one process it is `torch.nn.BatchNorm2d`. In several, sums travel between them (torch's own SyncBatchNorm does
    not run on a CPU), so that two processes with half a batch each compute what one computes with all of it.

    Inside `grouped` the batch consists of equal parts that are normalised apart, each as in a pass of its own.

    Where a channel has but one value, in training too, the running statistics stand in for its own. Inside `estimated`
    each process is `alone`.

    x: [groups * B, C, H, W].
    """

    groups: int = 1
    alone: bool = False

    def forward(self, x: Tensor) -> Tensor:
        if self.groups == 1 or not self.training:
            return self._whole(x)
        if len(x) % self.groups:
            raise ValueError(f"a batch of {len(x)} does not fall into {self.groups} equal parts")
        return torch.cat([self._whole(part) for part in x.chunk(self.groups)])

    def _by_memory(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)

    def _whole(self, x: Tensor) -> Tensor:
        if self.alone or not (self.training and several()):
            if self.training and x.numel() == self.num_features:  # one value a channel has no variance
                return self._by_memory(x)
            return super().forward(x)
        floats = x.float()
        count = x.numel() // x.shape[1] * dist.get_world_size()
        mean = summed(floats.sum((0, 2, 3))) / count
        # Two messages: the difference of the mean square and the squared mean cancels where the mean is large.
        squares = (floats - mean[:, None, None]).square().sum((0, 2, 3))
        variance = summed(squares) / count
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            momentum = self.momentum if self.momentum is not None else 0.1
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance * count / max(count - 1, 1), momentum)
        scale = torch.rsqrt(variance + self.eps)
        scale = scale * self.weight if self.affine else scale
        shift = (self.bias if self.affine else 0.0) - mean * scale
        return (floats * scale[:, None, None] + shift[:, None, None]).to(x.dtype)


class InstanceNorm2d(nn.InstanceNorm2d):
    """Instance normalisation that keeps pictures channels last.

    torch's own turns [N, C, H, W] into one picture of N C channels, for which channels have to come first: it copies
    there, convolutions copy back, and so do both backward, which together takes longer than a small convolution. A
    batch of one picture is instance normalisation too, without a copy.

    Without memory of its statistics. x: [N, C, H, W].
    """

    def forward(self, x: Tensor) -> Tensor:
        last = x.device.type == "cpu" and x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
        if not (last and len(x) and x[0].numel() >= _WORTH and plain_eager()):
            return super().forward(x)
        parts = [F.batch_norm(one, None, None, self.weight, self.bias, True, 0.0, self.eps) for one in x.split(1)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)


class AdaIN(nn.Module):
    """x [N, C, h, w] with the mean and the deviation of each channel that a style [N, S] asks for.

        (1 + g(s)) (x - mean x) / std x + b(s)                (Huang and Belongie 2017, arXiv:1703.06868, eq. 8)

    where g and b are linear, and mean and deviation those of each picture's own channel.
    """

    def __init__(self, channels: int, style: int) -> None:
        super().__init__()
        self.norm = InstanceNorm2d(channels)
        self.affine = nn.Linear(style, 2 * channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale, shift = self.affine(style)[:, :, None, None].chunk(2, 1)
        return (1 + scale) * self.norm(x) + shift


@contextmanager
def grouped(module: nn.Module, groups: int) -> Iterator[None]:
    """Inside, every batch of `module` consists of `groups` equal parts that are normalised apart.

    A discriminator can then see its real and its fake pictures in one pass, of larger and fewer products, and still
    normalise each by itself, as the DCGAN paper asks.

    Raises:
        ValueError: the module has another batch normalisation, which would mix the parts.
    """
    norms = [m for m in module.modules() if isinstance(m, BatchNorm2d)]
    mixing = [m for m in module.modules() if isinstance(m, _BatchNorm) and not isinstance(m, BatchNorm2d)]
    if mixing and groups > 1:
        raise ValueError(f"{type(mixing[0]).__name__} would mix the parts: use mezzotint.nn.norm.BatchNorm2d")
    for norm in norms:
        norm.groups = groups
    try:
        yield
    finally:
        for norm in norms:
            norm.groups = 1


def has_statistics(module: nn.Module) -> bool:
    """Whether a batch normalisation is in it."""
    return any(isinstance(each, BatchNorm2d) for each in module.modules())


@contextmanager
def estimated(module: nn.Module) -> Iterator[None]:
    """Inside, running statistics begin anew, and become the plain mean of those of all passes.

    So weights that no training pass has seen, as a moving average of weights, get statistics of their own: standing
    statistics (Brock et al. 2019, arXiv:1809.11096, section 4.1). Each process computes them by itself.

    Example:
        >>> norm, x = BatchNorm2d(1).eval(), torch.rand(8, 1, 4, 4) + 5
        >>> with estimated(norm):
        ...     y = norm(x)
        >>> bool(torch.allclose(norm.running_mean, x.mean())), norm.training
        (True, False)
    """
    norms = [m for m in module.modules() if isinstance(m, BatchNorm2d)]
    before = [(norm.momentum, norm.training) for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum, norm.alone = None, True
        norm.train()
    try:
        yield
    finally:
        for norm, (momentum, training) in zip(norms, before, strict=True):
            norm.momentum, norm.alone = momentum, False
            norm.train(training)
