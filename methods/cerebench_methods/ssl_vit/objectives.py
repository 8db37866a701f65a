"""Self-supervised objectives: masked autoencoding (He et al. 2022) and contrast of two views (Chen et al. 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from einops import rearrange
from monai.losses.contrastive import ContrastiveLoss
from monai.networks.nets.masked_autoencoder_vit import MaskedAutoEncoderViT
from torch import Tensor, nn

from cerebench_methods.ssl_vit.augmentation import two_views
from cerebench_methods.ssl_vit.encoder import Encoder, positions_without_warning, scaled

if TYPE_CHECKING:
    from cerebench_methods.ssl_vit.settings import SslVitSettings

_DECODER_HEADS = 3


class MaskedAutoencoding(nn.Module):
    """MONAI's masked autoencoder around the encoder's own parts; only a quarter of the patches is encoded."""

    def __init__(self, encoder: Encoder, canvas: tuple[int, ...], settings: SslVitSettings) -> None:
        super().__init__()
        self.patch = settings.patch
        with positions_without_warning():
            self.network = MaskedAutoEncoderViT(
                in_channels=1,
                img_size=canvas,
                patch_size=settings.patch,
                hidden_size=settings.width,
                mlp_dim=int(settings.width * settings.mlp_ratio),
                num_layers=settings.depth,
                num_heads=settings.heads,
                masking_ratio=settings.mask_ratio,
                decoder_hidden_size=settings.decoder_width,
                decoder_mlp_dim=4 * settings.decoder_width,
                decoder_num_layers=settings.decoder_depth,
                decoder_num_heads=_DECODER_HEADS,
                dropout_rate=settings.dropout,
            )
        for name in ("patch_embedding", "cls_token", "blocks"):
            setattr(self.network, name, getattr(encoder, name))

    def forward(self, images: Tensor) -> Tensor:
        """Mean squared error over the hidden patches, each scaled to mean 0 and spread 1."""
        found, hidden = self.network(scaled(images))
        side = self.patch
        wanted = rearrange(images, "b c (d p) (h q) (w r) -> b (d h w) (p q r c)", p=side, q=side, r=side)
        # a floor on the spread: empty patches are not noise to be predicted
        wanted = (wanted - wanted.mean(-1, keepdim=True)) / (wanted.var(-1, keepdim=True) + 1e-3).sqrt()
        error = (found - wanted).square().mean(-1)
        loss: Tensor = (error * hidden).sum() / hidden.sum().clamp(min=1)
        return loss


class Contrast(nn.Module):
    """Two views of a sub-volume agree, views of different ones do not (NT-Xent)."""

    def __init__(self, encoder: Encoder, settings: SslVitSettings) -> None:
        super().__init__()
        self.encoder = encoder
        width = settings.width
        self.projector = nn.Sequential(nn.Linear(2 * width, width), nn.GELU(), nn.Linear(width, width))
        self.loss = ContrastiveLoss(temperature=settings.temperature)

    def forward(self, images: Tensor) -> Tensor:
        """The loss of a batch ``[B, 1, *canvas]``."""
        codes = []
        for view in two_views(images):
            tokens = self.encoder(scaled(view))
            codes.append(self.projector(torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], dim=1)))
        loss: Tensor = self.loss(*codes)
        return loss
