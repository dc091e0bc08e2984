"""Normalisation."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation whose statistics are those of the whole batch, however many processes share it.

    In one process it is `torch.nn.BatchNorm2d`. In several, sums travel between them (torch's own SyncBatchNorm does
    not run on a CPU), so that two processes with half a batch each compute what one computes with all of it.

    x: [B, C, H, W].
    """

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
            return super().forward(x)
        floats = x.float()
        sums = torch.stack((floats.sum((0, 2, 3)), floats.square().sum((0, 2, 3))))
        count = x.numel() // x.shape[1] * dist.get_world_size()
        mean, square = all_reduce(sums) / count
        variance = square - mean.square()
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            momentum = self.momentum if self.momentum is not None else 0.1
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance * count / max(count - 1, 1), momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shift = self.bias - mean * scale
        return (floats * scale[:, None, None] + shift[:, None, None]).to(x.dtype)
