"""Generated pictures of before, so that a discriminator does not forget them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mezzotint.nn.processes import own, together


class History(nn.Module):
    """Up to `size` generated pictures, which a discriminator is shown in the place of every second new one.

    As in Shrivastava et al. (2017, arXiv:1612.07828, section 2.3) and the program of Zhu et al. (2017). What it holds
    is in buffers, so a checkpoint holds it. Several processes have the same one, of the pictures of all.

    Args:
        size: pictures; 0 shows each as it is.
        shape: of a picture, (C, H, W).
    """

    held: Tensor
    count: Tensor

    def __init__(self, size: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.register_buffer("held", torch.zeros(size, *shape))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def exchange(self, pictures: Tensor, coins: Tensor, places: Tensor) -> Tensor:
        """What the discriminator is shown of new pictures [N, C, H, W].

        Args:
            coins: in [0, 1), [N]; below one half a picture of before is shown, and the new one takes its place.
            places: in [0, 1), [N]; which one.
        """
        size = len(self.held)
        if not size:
            return pictures
        every = together(pictures.detach())
        shown = every.clone()
        chances = zip(together(coins).tolist(), together(places).tolist(), strict=True)
        for k, (coin, place) in enumerate(chances):
            if int(self.count) < size:
                self.held[int(self.count)] = every[k]
                self.count += 1
            elif coin < 0.5:
                chosen = int(place * size)
                shown[k] = self.held[chosen]
                self.held[chosen] = every[k]
        return own(shown, len(pictures)).to(pictures.dtype)
