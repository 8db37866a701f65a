"""What the methods on a variational autoencoder of slices have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from cerebench.api import ReconstructionMethod

if TYPE_CHECKING:
    from torch import Tensor, nn


class VariationalMethod(ReconstructionMethod):
    """Trains a dense-code VAE on healthy slices by its evidence bound; derive and choose the score."""

    class Settings(ReconstructionMethod.Settings):
        """Size and bound of the VAE.

        Attributes:
            loss: error of the bound, summed over pixels: ``mse`` half the squared one (Gaussian decoder), ``l1`` the
                absolute one (Laplace decoder).
            latent: numbers in the code of a slice.
            beta: weight of the divergence; the bound is that of a decoder with this variance (``l1``: scale).
            width: filters of the first layer, doubled to at most 8 times as many.
            depth: layers, each halving the sides.
        """

        loss: Literal["l1", "mse"] = "mse"
        latent: int = Field(128, ge=1)
        beta: float = Field(0.01, ge=0)
        width: int = Field(32, ge=1)
        depth: int = Field(4, ge=2, le=6)

    def stride(self) -> int:
        """That of all layers together."""
        return int(2**self.settings.depth)

    def network_for(self, channels: int, canvas: tuple[int, ...]) -> nn.Module:
        """The VAE."""
        from cerebench_methods.variational import beta_vae

        settings = self.settings
        network: nn.Module = beta_vae(channels, canvas, settings.latent, settings.width, settings.depth)
        return network

    def training_loss(self, batch: Tensor) -> dict[str, Tensor]:
        """The bound; a method that learns more adds it here."""
        return self.bound(batch)

    def bound(self, batch: Tensor) -> dict[str, Tensor]:
        """Negative evidence bound with its parts, mean over slices ``[B, C, *canvas]``."""
        from cerebench_methods.variational import beta_vae_loss

        decoded, mu, logvar, _ = self.network(batch)
        bound = beta_vae_loss(batch, decoded, mu, logvar, self.settings.beta)
        if self.settings.loss == "mse":
            return bound
        error = (batch - decoded).abs().flatten(1).sum(1).mean()
        return {**bound, "loss": error + self.settings.beta * bound["divergence"], "error": error}

    def restore_slices(self, padded: Tensor) -> Tensor:
        """Slices decoded from the means of their codes."""
        restored: Tensor = self.network(padded)[0]
        return restored

    def gradient(self, padded: Tensor, part: str) -> Tensor:
        """Gradient of each slice's own bound with regard to it, ``[B, C, *canvas]``, also in inference mode.

        Args:
            padded: slices ``[B, C, *canvas]``; the network must be in evaluation mode.
            part: ``loss`` (the negative bound), ``error`` or ``divergence``.
        """
        import torch

        with torch.inference_mode(False), torch.enable_grad():
            given = padded.detach().clone().requires_grad_()
            bound: Any = self.bound(given)
            # the loss is a mean over the batch; a slice's gradient must not depend on its neighbours
            return torch.autograd.grad(bound[part] * len(given), given)[0].detach()
