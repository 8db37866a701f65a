"""The two trainings of symmetry-inverse, for the first time and while adapting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch.optim.lr_scheduler import OneCycleLR

from cerebench.training import train
from cerebench.training.losses import reconstruction_loss
from cerebench_methods.symmetry_inverse.masks import draw_masks
from cerebench_methods.symmetry_inverse.networks import masked_input, symmetry_loss
from cerebench_methods.variational import beta_vae_loss

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cerebench.api import FitRun


def train_unet(
    unet: nn.Module, slices: Tensor, settings: Any, patch: int, run: FitRun, rate: float, **length: int
) -> None:
    """Teach the U-Net to restore hidden patches of ``slices [N, C, D, H]``; ``length`` gives steps or epochs."""
    reconstruction = reconstruction_loss(settings.loss)
    shape = (slices.shape[2], slices.shape[3])

    def loss(batch: Tensor) -> dict[str, Tensor]:
        masks = draw_masks(settings.masking, len(batch), shape, patch, settings.ratio, batch.device)
        restored = unet(masked_input(batch, masks))
        found = reconstruction(restored, batch)
        asymmetry = symmetry_loss(restored)
        return {"loss": found + settings.symmetry_weight * asymmetry, "reconstruction": found, "asymmetry": asymmetry}

    _train(run, "unet", unet, slices, loss, settings, rate, length)


def train_vae(
    vae: nn.Module, maps: Tensor, scale: Tensor, settings: Any, run: FitRun, rate: float, **length: int
) -> None:
    """Teach the beta-VAE healthy difference maps ``[N, C, D, H]``, divided by ``scale``."""

    def loss(batch: Tensor) -> dict[str, Tensor]:
        given = batch / scale
        decoded, mu, logvar, _ = vae(given)
        return beta_vae_loss(given, decoded, mu, logvar, settings.beta)

    _train(run, "vae", vae, maps, loss, settings, rate, length)


def _train(
    run: FitRun,
    name: str,
    module: nn.Module,
    data: Sequence[Any] | Tensor,
    loss: Any,
    settings: Any,
    rate: float,
    length: dict[str, int],
) -> None:
    train(
        run,
        module,
        data,
        loss,
        batch_size=settings.batch_size,
        learning_rate=rate,
        scheduler=lambda optimizer, total: OneCycleLR(optimizer, rate, total_steps=total),
        clip_norm=1.0,
        name=name,
        **length,  # type: ignore[arg-type]
    )
