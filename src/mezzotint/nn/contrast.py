"""Patches of a picture and of what it became, compared with all other patches (Park et al. 2020, arXiv:2007.15651)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PatchHeads(nn.Module):
    """Two layers for each kind of features, whose output has length 1 (the paper's H).

    Args:
        widths: channels of the features, one for each layer that is looked at.
        size: numbers that a patch becomes.
        patches: how many of a picture are compared.
    """

    def __init__(self, widths: Sequence[int], size: int = 256, patches: int = 256) -> None:
        super().__init__()
        self.patches = patches
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(w, size), nn.ReLU(), nn.Linear(size, size)) for w in widths)

    def forward(self, layer: int, features: Tensor, places: Tensor) -> Tensor:
        """[N, P, size] of features [N, C, h, w] at places [N, P], whole numbers below h w."""
        flat = features.flatten(2).mT
        chosen = flat.gather(1, places[:, :, None].expand(-1, -1, flat.shape[2]))
        return F.normalize(self.layers[layer](chosen).float(), dim=2)


def patch_contrast(
    stages: Sequence[Callable[[Tensor], Tensor]],
    heads: PatchHeads,
    before: Tensor,
    after: Tensor,
    where: Tensor,
    temperature: float = 0.07,
) -> Tensor:
    """-log of the share of the right patch of `before` among all of the same picture, for patches of `after` [].

        - log exp(v . v+ / t) / (exp(v . v+ / t) + sum exp(v . v- / t))                                        (eq. 3)

    Args:
        stages: the encoder, layer by layer; features are taken after each.
        before, after: pictures [N, C, H, W].
        where: numbers in [0, 1) [N, P], which places of each map are compared.
        temperature: t.
    """
    losses = []
    old, new = before, after
    for layer, stage in enumerate(stages):
        old, new = stage(old), stage(new)
        count = old.shape[2] * old.shape[3]
        places = (where[:, : min(where.shape[1], count)] * count).long()
        wanted = heads(layer, old, places).detach()
        found = heads(layer, new, places)
        likeness = found @ wanted.mT / temperature  # [N, P, P]
        right = torch.arange(likeness.shape[1], device=likeness.device).expand(len(likeness), -1)
        losses.append(F.cross_entropy(likeness.flatten(0, 1), right.flatten()))
    return torch.stack(losses).mean()
