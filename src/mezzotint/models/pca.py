"""PCA: principal components, as a generative model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mezzotint.core.config import Config, option
from mezzotint.core.errors import ConfigError
from mezzotint.engine.advice import Choice
from mezzotint.engine.explaining import Curve, Explanation, Parts
from mezzotint.engine.fitting import Pass
from mezzotint.engine.model import Paper, PictureSpec, register
from mezzotint.engine.phase import Turn
from mezzotint.models._fitted import Fitted

_EXACT = 4096
"""Values of a picture up to which all second moments are kept: 128 MiB."""
_SEEN = 1000
"""Pictures that the first components are of."""


class PCAConfig(Config):
    """Settings of `pca`."""

    components: int = option(50, "Principal components, the size of the latent.", ge=1, le=4096)
    least: float = option(1e-5, "The least variance of what the components leave out, on the scale of [-1, 1].", gt=0)


@register
class PCA(Fitted):
    """Principal component analysis, and the probability that goes with it (probabilistic PCA).

    With the covariance S = U diag(l_1 >= l_2 >= ...) U^T of the training pictures about their mean m, and q components,

        p(x) = N(m, C),   C = U_q diag(l_1 ... l_q) U_q^T + s^2 (I - U_q U_q^T),   s^2 = sum_{k > q} l_k / (D - q)

    which is the maximum of the likelihood (eqs. 7 and 8 of the paper). Latents are whitened: z = diag(l)^(-1/2) U_q^T
    (x - m) has mean 0 and variance 1 over the training pictures, and `decode` gives U_q diag(l)^(1/2) z + m, the
    nearest picture in the plane of the components. Samples are drawn in the plane, without the noise s around it.

    Pictures of up to 4,096 values are fitted exactly, by one pass that sums second moments in double precision, and
    what is fitted equals scikit-learn's `PCA`. Larger ones are fitted by its `IncrementalPCA`, batch by batch. The
    memory of neither depends on the number of pictures.

    Args:
        config: the settings.
        spec: the shape of the pictures.

    Raises:
        ConfigError: there are not more values than components.

    Example:
        >>> model = PCA(PCAConfig(components=3), PictureSpec(1, 4, 4)).eval()
        >>> pictures = model.sample(2)
        >>> bool(torch.allclose(model.decode(model.encode(pictures)), pictures, atol=1e-5))
        True
    """

    name = "pca"
    summary = "Principal components: the plane that pictures lie nearest to; seconds to fit, exact likelihood."
    paper = Paper("Tipping, Bishop", 1999, "Probabilistic Principal Component Analysis")  # J. R. Stat. Soc. B 61(3)
    Config = PCAConfig
    tiny = {"components": 3}
    estimates = ("mean", "axes", "variances", "rest")
    config: PCAConfig
    mean: Tensor
    axes: Tensor
    variances: Tensor
    rest: Tensor
    count: Tensor
    first: Tensor
    second: Tensor

    def __init__(self, config: PCAConfig, spec: PictureSpec) -> None:
        super().__init__(config, spec)
        size = spec.values
        if config.components >= size:
            raise ConfigError(
                f"{config.components} components are not fewer than the {size} values of a picture; set "
                f"model.components to at most {size - 1}."
            )
        self.latent_size = config.components
        self.exact = size <= _EXACT

        def keep(name: str, *shape: int) -> None:
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))

        keep("mean", size)
        keep("axes", config.components, size)
        keep("variances", config.components)
        keep("rest")
        keep("count")
        keep("first", size)
        keep("second", *((size, size) if self.exact else (size,)))
        self.axes.copy_(torch.eye(config.components, size, dtype=torch.float64))
        self.variances.fill_(1)
        self.rest.fill_(1)

    # Fitting --------------------------------------------------------------------------------------------------------

    @classmethod
    def advise(cls, pictures: int, spec: PictureSpec, device: torch.device) -> Sequence[Choice]:
        """Large batches, and no more components than there can be."""
        chosen = list(super().advise(pictures, spec, device))
        most = min(spec.values, pictures) - 1
        if 0 < most < PCAConfig().components:
            chosen.append(Choice("model", "components", most, "fewer than a picture's values and than pictures"))
        return chosen

    def begin(self, training: Callable[[int], tuple[Tensor, Tensor | None]]) -> None:
        """The components of a thousand pictures, until those of all are known."""
        pictures, _ = training(_SEEN)
        x = self.values(pictures)
        if len(x) <= self.config.components:
            raise ConfigError(
                f"{self.config.components} components need more training pictures than there are, {len(x)}; set "
                "model.components lower."
            )
        centred = x - x.mean(0)
        _, singular, axes = torch.linalg.svd(centred, full_matrices=False)
        spectrum = singular.square() / (len(x) - 1)
        self._settle(x.mean(0), axes, spectrum, float(spectrum.sum()))

    def passes(self) -> tuple[Pass, ...]:
        """One look at all pictures."""
        return (Pass("moments", self.see, self.close),) if self.exact else (Pass("increments", self.follow, self._end),)

    def see(self, turn: Turn) -> Mapping[str, Tensor]:
        """A batch's sums of values and of their products."""
        x = self.values(turn.pictures)
        self.count += len(x)
        self.first += x.sum(0)
        self.second += x.mT @ x
        return {"nats": -self.log_p(x).mean()}

    def close(self) -> bool:
        """The components of the sums: eigenvectors of the covariance, largest first."""
        n = self.count
        mean = self.first / n
        covariance = (self.second / n - mean[:, None] * mean) * (n / (n - 1).clamp(min=1))
        spectrum, axes = torch.linalg.eigh(covariance)
        spectrum = spectrum.flip(0).clamp(min=0)
        self._settle(mean, axes.mT.flip(0), spectrum, float(spectrum.sum()))
        for sums in (self.count, self.first, self.second):
            sums.zero_()
        return True

    def follow(self, turn: Turn) -> Mapping[str, Tensor]:
        """A batch for scikit-learn's `IncrementalPCA`, whose state is put back and taken out again."""
        from sklearn.decomposition import IncrementalPCA

        x = self.values(turn.pictures).cpu().numpy()
        if len(x) < self.config.components and not int(self.count):
            return {}  # the first batch must hold as many pictures as there are components
        fit: Any = IncrementalPCA(self.config.components)
        seen = int(self.count)
        if seen:
            fit.components_, fit.mean_ = self.axes.cpu().numpy(), self.mean.cpu().numpy()
            fit.singular_values_ = (self.variances.cpu().numpy() * (seen - 1)) ** 0.5
            fit.var_, fit.n_samples_seen_ = self.second.cpu().numpy(), seen
        fit.partial_fit(x)
        spectrum = torch.from_numpy(fit.explained_variance_)
        total = float(fit.var_.sum()) * fit.n_samples_seen_ / max(1, fit.n_samples_seen_ - 1)
        self._settle(torch.from_numpy(fit.mean_), torch.from_numpy(fit.components_), spectrum, total)
        self.second.copy_(torch.from_numpy(fit.var_))
        self.count.fill_(fit.n_samples_seen_)
        return {"nats": -self.log_p(self.values(turn.pictures)).mean()}

    def _end(self) -> bool:
        self.count.zero_()
        return True

    def _settle(self, mean: Tensor, axes: Tensor, spectrum: Tensor, total: float) -> None:
        """The first of these axes [k, D] with their variances, largest first; `total` is the variance of all values."""
        q, size = self.config.components, self.spec.values
        axes = axes[:q].to(self.axes)
        # An axis and its negative are the same one: the largest weight is positive, as in scikit-learn.
        signs = axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
        self.mean.copy_(mean)
        self.axes.copy_(axes * signs)
        self.variances.copy_(spectrum[:q].clamp(min=self.config.least))
        self.rest.fill_(max((total - float(spectrum[:q].sum())) / (size - q), self.config.least))

    @property
    def like(self) -> Tensor:
        """A tensor of the device and the precision in which it computes."""
        return self.mean

    def log_p(self, x: Tensor) -> Tensor:
        """log N(x; m, C) [N] of values [N, D]."""
        q, size = self.config.components, self.spec.values
        centred = x - self.mean
        inside = centred @ self.axes.mT
        outside = centred.square().sum(1) - inside.square().sum(1)
        square = (inside.square() / self.variances).sum(1) + outside / self.rest
        volume = self.variances.log().sum() + (size - q) * self.rest.log()
        return -0.5 * (square + volume + size * math.log(2 * math.pi))

    # What it can do -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """Whitened latents [N, latent] of pictures [N, C, H, W] in [-1, 1]."""
        centred = self.values(self.check_pictures(pictures)) - self.mean
        return (centred @ self.axes.mT / self.variances.sqrt()).float()

    def generate(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] of latents [N, latent], with gradients."""
        z = latents.to(self.mean)
        values = (z * self.variances.sqrt()) @ self.axes + self.mean
        return values.float().clamp(-1, 1).unflatten(1, self.spec.shape)

    def explain(self) -> Explanation:
        """The mean and the eigen-pictures, and how much of the variance lies along each."""
        grey = self.axes / self.axes.abs().amax(1, keepdim=True)
        pictures = torch.cat((self.mean[None], grey)).float().clamp(-1, 1).unflatten(1, self.spec.shape)
        shares = self.explained
        return Explanation(
            (Parts("Eigen-pictures", pictures, "The mean picture, then the components: grey is 0, white and black pull "
                   "a picture one way and the other."),),
            (Curve("share of the variance kept", range(1, len(shares) + 1), shares.cumsum(0).tolist(),
                   "How much of all variance the first components hold together."),),
        )  # fmt: skip

    @property
    def explained(self) -> Tensor:
        """The share of all variance along each component [latent]."""
        total = self.variances.sum() + self.rest * (self.spec.values - self.config.components)
        return self.variances / total
