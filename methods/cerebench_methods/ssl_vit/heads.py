"""What turns the encoder's tokens into the logit of progression: alone, or together with clinical variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from cerebench_methods.ssl_vit.settings import VitSettings


class MaskEmbedding(nn.Module):
    """The second input channel: a convolution beside the image's, zero at first.

    One convolution over two channels is the sum of one over each; so a pre-trained encoder starts from what it knew.
    """

    def __init__(self, settings: VitSettings) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(1, settings.width, settings.patch, stride=settings.patch, bias=False)
        nn.init.zeros_(self.convolution.weight)

    def forward(self, masks: Tensor) -> Tensor:
        """Tokens ``[B, patches, width]`` of masks ``[B, 1, *canvas]``."""
        found: Tensor = self.convolution(masks).flatten(2).transpose(1, 2)
        return found


class ImageHead(nn.Module):
    """A linear classifier of the pooled tokens."""

    def __init__(self, settings: VitSettings) -> None:
        super().__init__()
        self.pool = settings.pool
        self.drop = nn.Dropout(settings.dropout)
        self.classify = nn.Linear(settings.width, 1)
        nn.init.zeros_(self.classify.weight)
        nn.init.zeros_(self.classify.bias)

    def forward(self, tokens: Tensor, covariates: Tensor | None) -> Tensor:
        """Logits ``[B]``; ``covariates`` are not looked at."""
        found: Tensor = self.classify(self.drop(pooled(tokens, self.pool)))[:, 0]
        return found


class FusionHead(nn.Module):
    """Image tokens with clinical features.

    ``late``: both embeddings side by side before a linear classifier. ``cross-attention``: the clinical embedding asks
    the patches' tokens, and what it gets stands beside both.

    Args:
        settings: sizes of the network.
        features: number of clinical features, unused ones zero.
        fusion: one of the two.
        width: of the clinical embedding.
    """

    def __init__(self, settings: VitSettings, features: int, fusion: str, width: int) -> None:
        super().__init__()
        self.pool = settings.pool
        self.clinical = nn.Linear(features, width)
        crossed = fusion == "cross-attention"
        self.query = nn.Linear(width, settings.width) if crossed else None
        self.cross = nn.MultiheadAttention(settings.width, settings.heads, batch_first=True) if crossed else None
        total = settings.width * (2 if crossed else 1) + width
        self.drop = nn.Dropout(settings.dropout)
        self.classify = nn.Linear(total, 1)
        nn.init.zeros_(self.classify.weight)
        nn.init.zeros_(self.classify.bias)

    def forward(self, tokens: Tensor, covariates: Tensor) -> Tensor:
        """Logits ``[B]`` of tokens and clinical features ``[B, features]``."""
        clinical = self.clinical(covariates)
        parts = [pooled(tokens, self.pool), clinical]
        if self.query is not None and self.cross is not None:
            asked, _ = self.cross(self.query(clinical)[:, None], tokens[:, 1:], tokens[:, 1:], need_weights=False)
            parts.append(asked[:, 0])
        found: Tensor = self.classify(self.drop(torch.cat(parts, dim=1)))[:, 0]
        return found


def pooled(tokens: Tensor, word: str) -> Tensor:
    """``[B, width]``: the class token, or the mean of the others."""
    return tokens[:, 0] if word == "cls" else tokens[:, 1:].mean(dim=1)
