"""beta-VAE: a variational autoencoder whose units come apart."""

from __future__ import annotations

from mezzotint.core.config import option
from mezzotint.engine.model import Paper, register
from mezzotint.models.vae import VAE, VAEConfig


class BetaVAEConfig(VAEConfig):
    """Settings of `beta_vae`: those of `vae`, with the paper's weight and its few units."""

    beta: float = option(4.0, "Weight of the KL divergence; 1 is a VAE.", gt=0)
    latent: int = option(10, "Size of the latent vector; of a map, its channels.", ge=1, le=4096)


@register
class BetaVAE(VAE):
    """beta-VAE: each unit of the latent has to pay for what it tells.

        minimise  -E_q[log p(x|z)] + beta KL(q(z|x) || N(0, I)),     beta > 1          (eq. 4 of the paper)

    The price drives units to tell different things, and the fewer the better: on pictures of things that vary in a few
    ways, one way each. Which weight does so depends on the size of the pictures and on the likelihood; beside a learned
    Gaussian scale, which grows sharp, it must be larger than beside a Bernoulli's. Reconstructions are the worse for
    it. All options of `vae` are there, `capacity` (Burgess et al. 2018) among them.

    Args:
        config: the settings.
        spec: the shape of the pictures.

    Raises:
        ConfigError: the pictures are too small for convolutions, or `conditional` without classes.

    Example:
        >>> from mezzotint.engine.model import PictureSpec
        >>> model = BetaVAE(BetaVAEConfig(width=8), PictureSpec(1, 16, 16)).eval()
        >>> [code.name for code in model.codes()][:3], tuple(model.latent(2).shape)
        (['z0', 'z1', 'z2'], (2, 10))
    """

    name = "beta_vae"
    summary = "A VAE whose latent units come apart: each tells one way in which the pictures vary."
    paper = Paper(
        "Higgins, Matthey, Pal, Burgess, Glorot, Botvinick, Mohamed, Lerchner",
        2017,
        "beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework",
    )
    Config = BetaVAEConfig
    variants = ({"network": "mlp", "likelihood": "bernoulli", "capacity": 5.0, "capacity_rounds": 50},)
    config: BetaVAEConfig
