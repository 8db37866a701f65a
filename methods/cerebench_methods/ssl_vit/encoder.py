"""The encoder: MONAI's patch embedding and transformer blocks, with names as in its masked autoencoder."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from monai.networks.blocks.patchembedding import PatchEmbeddingBlock
from monai.networks.blocks.transformerblock import TransformerBlock
from torch import Tensor, nn

if TYPE_CHECKING:
    from cerebench_methods.ssl_vit.settings import VitSettings


class Encoder(nn.Module):
    """Sub-volumes to tokens.

    Attributes:
        patch_embedding: image patches to tokens, with fixed sine-cosine positions.
        cls_token: the class token.
        blocks: transformer blocks and a final layer norm.

    Args:
        canvas: spatial shape of the input; every side a multiple of the patch.
        settings: sizes.
    """

    def __init__(self, canvas: tuple[int, ...], settings: VitSettings) -> None:
        super().__init__()
        width = settings.width
        with positions_without_warning():
            self.patch_embedding = PatchEmbeddingBlock(
                in_channels=1,
                img_size=canvas,
                patch_size=settings.patch,
                hidden_size=width,
                num_heads=settings.heads,
                proj_type="conv",
                pos_embed_type="sincos",
                dropout_rate=settings.dropout,
            )
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        layers = [
            TransformerBlock(width, int(width * settings.mlp_ratio), settings.heads, settings.dropout)
            for _ in range(settings.depth)
        ]
        self.blocks = nn.Sequential(*layers, nn.LayerNorm(width))

    def forward(self, images: Tensor, more: Tensor | None = None) -> Tensor:
        """Tokens ``[B, 1 + patches, width]``, the class token first.

        Args:
            images: ``[B, 1, *canvas]``.
            more: ``[B, patches, width]`` added to the patches' tokens: what a second channel brings.
        """
        tokens = self.patch_embedding(images)
        if more is not None:
            tokens = tokens + more
        tokens = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], dim=1)
        found: Tensor = self.blocks(tokens)
        return found

    def attentions(self) -> Iterator[nn.Module]:
        """Per block, the layer whose input is the attention ``[B, heads, tokens, tokens]`` after softmax."""
        for block in self.blocks:
            if isinstance(block, TransformerBlock):
                yield block.attn.drop_weights


@contextmanager
def positions_without_warning() -> Iterator[None]:
    """MONAI builds its sine-cosine positions with a call of ``torch.meshgrid`` that torch warns of."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.meshgrid", category=UserWarning)
        yield


def scaled(images: Tensor) -> Tensor:
    """Intensities of about [0, 1] to about [-1, 1]; what lies outside the brain stays apart from dark tissue."""
    return 2 * images - 1
