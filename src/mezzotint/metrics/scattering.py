"""The scattering transform: what a picture is made of at several sizes and angles, without anything learned."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SIGMA, _FREQUENCY, _WIDTH = 0.8, 0.75 * math.pi, 4.0
"""Of the smallest wavelet: standard deviation in pixels, and frequency; its width over its length is 4 / angles."""
_ALIASES = 2


class Scattering(nn.Module):
    """Averages of the moduli of wavelet coefficients, of orders 0, 1 and 2 (Bruna and Mallat 2013, arXiv:1203.1513).

        S x = x * phi,     | x * psi_1 | * phi,     || x * psi_1 | * psi_2 | * phi                           (eq. 10)

    psi_1 and psi_2 are Morlet wavelets of `scales` sizes, each twice the one before, and of `angles` angles; psi_2 is
    larger than psi_1, for there is nothing else left. phi is a Gaussian as wide as 2^scales pixels, and its averages
    are taken at every 2^scales-th pixel. So small shifts change little, and what edges and textures are made of stays.
    Pictures are reflected at their edges. Constants are those of ScatNet and Kymatio, whose numbers these are.

    Args:
        height, width: of the pictures, multiples of 2^scales.
        scales: J.
        angles: L.

    Example:
        >>> tuple(Scattering(32, 32)(torch.zeros(5, 32, 32)).shape)
        (5, 217, 4, 4)
    """

    def __init__(self, height: int, width: int, scales: int = 3, angles: int = 8) -> None:
        super().__init__()
        step = 2**scales
        if min(height, width) <= step or height % step or width % step:
            raise ValueError(f"{height} x {width} pixels are not multiples of {step}, above it.")
        self.scales, self.angles, self.step = scales, angles, step
        self.channels = 1 + scales * angles + angles**2 * scales * (scales - 1) // 2
        padded = height + 2 * step, width + 2 * step
        for j in range(scales):
            turned = [math.pi * (angles // 2 - 1 - k) / angles for k in range(angles)]
            every = torch.stack([_morlet(padded, j, angle, _WIDTH / angles) for angle in turned])
            for finer in range(j + 1):  # the resolution of what it is applied to: each 2^finer-th pixel
                self.register_buffer(f"psi_{j}_{finer}", _low(every, 2**finer).float(), persistent=False)
        for coarser in range(scales + 1):
            for name, size in (("rows", padded[0]), ("columns", padded[1])):
                matrix = _averages(size, scales, 2**coarser)
                self.register_buffer(f"{name}_{coarser}", matrix.float(), persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures [N, H, W] -> [N, channels, H / 2^J, W / 2^J]: order 0, order 1 by size and angle, order 2 by
        those of psi_1 and then of psi_2."""
        edge = self.step
        x = F.pad(pictures[:, None], (edge, edge, edge, edge), mode="reflect")
        first, second = [self._averaged(x, 0)], []
        spectrum = torch.fft.fft2(x)
        for j in range(self.scales):
            u = torch.fft.ifft2(_folded(spectrum * self.get_buffer(f"psi_{j}_0"), 2**j)).abs()  # [N, L, h, w]
            first.append(self._averaged(u, j))
            if j + 1 == self.scales:
                continue
            inner = torch.fft.fft2(u)[:, :, None]
            every = []
            for larger in range(j + 1, self.scales):
                product = inner * self.get_buffer(f"psi_{larger}_{j}")  # [N, L, L, h, w]
                uu = torch.fft.ifft2(_folded(product, 2 ** (larger - j))).abs()
                every.append(self._averaged(uu, larger))
            second.append(torch.cat(every, 2).flatten(1, 2))
        return torch.cat((*first, *second), 1)

    def _averaged(self, u: Tensor, finer: int) -> Tensor:
        """u * phi at every 2^J-th pixel within the picture, of u [N, C, h, w] at every 2^finer-th."""
        return self.get_buffer(f"rows_{finer}") @ u @ self.get_buffer(f"columns_{finer}").mT


def _frequencies(size: int) -> Tensor:
    """Angular frequencies [size] from -pi to pi, in the order of a Fourier transform."""
    return 2 * math.pi * torch.fft.fftfreq(size, dtype=torch.float64)


def _morlet(size: tuple[int, int], j: int, angle: float, slant: float) -> Tensor:
    """The Fourier transform [H, W] of a Morlet wavelet, which is real: a Gaussian about its frequency, less one about 0
    so that it sums to 0."""
    sigma, frequency = _SIGMA * 2**j, _FREQUENCY / 2**j
    rows, columns = (_frequencies(each) for each in size)

    def gaussian(centre: float) -> Tensor:
        total = torch.zeros(size, dtype=torch.float64)
        turns = [2 * math.pi * k for k in range(-_ALIASES, _ALIASES + 1)]
        for down in turns:
            for across in turns:
                y, x = (rows + down)[:, None], (columns + across)[None, :]
                along = math.cos(angle) * y + math.sin(angle) * x - centre
                beside = -math.sin(angle) * y + math.cos(angle) * x
                total += torch.exp(-0.5 * sigma**2 * (along**2 + (beside / slant) ** 2))
        return total

    wave, blur = gaussian(frequency), gaussian(0.0)
    return wave - wave[0, 0] / blur[0, 0] * blur


def _low(spectrum: Tensor, by: int) -> Tensor:
    """The lowest frequencies [..., H / by, W / by] of a Fourier transform [..., H, W]."""
    for dim in (-2, -1):
        size = spectrum.shape[dim]
        half = size // by // 2
        spectrum = torch.cat((spectrum.narrow(dim, 0, half), spectrum.narrow(dim, size - half, half)), dim)
    return spectrum


def _folded(spectrum: Tensor, by: int) -> Tensor:
    """The Fourier transform [..., h / by, w / by] of every by-th pixel, of that of all [..., h, w]."""
    if by == 1:
        return spectrum
    for dim in (-2, -1):
        first, *others = spectrum.split(spectrum.shape[dim] // by, dim)
        spectrum = first.clone()
        for part in others:
            spectrum += part
    return spectrum / by**2


def _averages(size: int, scales: int, finer: int) -> Tensor:
    """A matrix [within, size / finer] that averages every finer-th of `size` values by the Gaussian phi, and takes each
    2^scales-th that is not of the padding. phi in two dimensions is the product of two of these."""
    sigma = _SIGMA * 2 ** (scales - 1)
    turns = torch.tensor([2 * math.pi * k for k in range(-_ALIASES, _ALIASES + 1)], dtype=torch.float64)
    phi = torch.exp(-0.5 * sigma**2 * (_frequencies(size)[:, None] + turns) ** 2).sum(1)
    half = size // finer // 2
    low = torch.cat((phi[:half], phi[size - half :]))
    kernel = torch.fft.ifft(torch.fft.fft(torch.eye(len(low), dtype=torch.float64)) * low).real.mT
    step = 2**scales // finer
    return kernel[::step][1:-1]
