"""The variational autoencoder that several methods use, and its loss; imported when a network is built."""

from __future__ import annotations

from typing import Any

from monai.networks.nets.varautoencoder import VarAutoEncoder
from torch import Tensor


def beta_vae(channels: int, canvas: tuple[int, ...], latent: int, width: int, depth: int) -> Any:
    """MONAI's variational autoencoder for images ``[B, channels, *canvas]``, output not bounded.

    Filters double from layer to layer, to 8 × ``width`` at most; every layer halves the sides.
    """
    return VarAutoEncoder(
        spatial_dims=2,
        in_shape=(channels, *canvas),
        out_channels=channels,
        latent_size=latent,
        channels=[width * min(2**layer, 8) for layer in range(depth)],
        strides=[2] * depth,
        act="LEAKYRELU",
        norm="BATCH",
        use_sigmoid=False,
        use_mean_at_inference=True,
    )


def beta_vae_loss(given: Tensor, decoded: Tensor, mu: Tensor, logvar: Tensor, beta: float) -> dict[str, Tensor]:
    """Negative evidence bound of Higgins et al. (2017), mean over the batch, with its two parts.

    The decoder's noise is Gaussian with unit variance (its constant is left out); the divergence is that of
    N(mu, exp(logvar)) from N(0, 1), summed over the latent dimensions and weighted with ``beta``.
    """
    error = squared_error(given, decoded)
    divergence = 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(1).mean()
    return {"loss": error + beta * divergence, "error": error, "divergence": divergence}


def squared_error(given: Tensor, decoded: Tensor) -> Tensor:
    """Half the squared distance of images ``[B, …]`` from their reconstructions, mean over the batch."""
    return 0.5 * (given - decoded).square().flatten(1).sum(1).mean()
