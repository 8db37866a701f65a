"""Settings of the transformer, its pre-training and its fine-tuning; presets by size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from cerebench.api import MethodSettings


class VitSettings(MethodSettings):
    """Network and fine-tuning.

    Attributes:
        patch: side of a patch in voxels.
        width: length of a token.
        depth: transformer blocks.
        heads: attention heads a block.
        mlp_ratio: width of a block's hidden layer over that of a token.
        pool: what the classifier reads: the mean of the patches' tokens or the class token.
        dropout: within blocks, and before the classifier.
        epochs: at most so many passes over the labelled lesions.
        batch_size: lesions a step.
        learning_rate: of the classifier; warm-up, then cosine.
        layer_decay: factor on the learning rate from one block to the one below it.
        weight_decay: of AdamW.
        patience: epochs without a lower validation loss before training stops.
    """

    patch: int = Field(4, ge=1)
    width: int = Field(384, ge=6)
    depth: int = Field(8, ge=1)
    heads: int = Field(6, ge=1)
    mlp_ratio: float = Field(4.0, gt=0)
    pool: Literal["mean", "cls"] = "mean"
    dropout: float = Field(0.1, ge=0, lt=1)
    epochs: int = Field(100, ge=1)
    batch_size: int = Field(16, ge=1)
    learning_rate: float = Field(5e-4, gt=0)
    layer_decay: float = Field(0.75, gt=0, le=1)
    weight_decay: float = Field(0.05, ge=0)
    patience: int = Field(20, ge=1)

    @model_validator(mode="after")
    def _tokens_divide(self) -> VitSettings:
        for what, parts in (("heads", self.heads), ("the six parts of a 3D position code", 6)):
            if self.width % parts:
                raise ValueError(f"width {self.width} cannot be divided among {what} ({parts})")
        return self


class SslVitSettings(VitSettings):
    """Adds self-supervised pre-training.

    Attributes:
        objective: ``masked`` autoencoding, or ``contrastive`` between two views of a sub-volume.
        mask_ratio: share of the patches that are hidden (masked).
        decoder_width, decoder_depth: of the decoder that fills them in (masked).
        temperature: of the contrastive loss.
        pretrain_steps: optimiser steps.
        pretrain_batch: sub-volumes a step.
        pretrain_rate: peak of the one-cycle schedule.
        weights: local safetensors file with the encoder's weights, taken instead of pre-training; empty for none.
        weights_sha256: its SHA-256, so that results depend on what is in the file; required with ``weights``.
    """

    objective: Literal["masked", "contrastive"] = "masked"
    mask_ratio: float = Field(0.75, gt=0, lt=1)
    decoder_width: int = Field(192, ge=6, multiple_of=6)
    decoder_depth: int = Field(2, ge=1)
    temperature: float = Field(0.1, gt=0)
    pretrain_steps: int = Field(20_000, ge=1)
    pretrain_batch: int = Field(64, ge=2)
    pretrain_rate: float = Field(5e-4, gt=0)
    weights: str = ""
    weights_sha256: str = ""


PRETRAINING = (
    *("patch", "width", "depth", "heads", "mlp_ratio", "dropout"),
    *("objective", "mask_ratio", "decoder_width", "decoder_depth", "temperature"),
    *("pretrain_steps", "pretrain_batch", "pretrain_rate", "weights", "weights_sha256"),
)
"""The settings that pre-training depends on."""

Presets = Mapping[str, Mapping[str, Any]]

_FINE_TUNED: Presets = {
    "mock": {"patch": 6, "width": 24, "depth": 2, "heads": 2, "epochs": 6, "batch_size": 8, "learning_rate": 3e-3},
    "quick": {"width": 96, "depth": 3, "heads": 4, "batch_size": 8, "epochs": 60, "learning_rate": 1e-3},
    "nightly": {"width": 192, "depth": 4, "heads": 6, "batch_size": 8},
    "standard": {},
    "paper": {"patch": 8, "width": 768, "depth": 12, "heads": 12},
}
_PRETRAINED: Presets = {
    "mock": {"decoder_width": 12, "decoder_depth": 1, "pretrain_steps": 5, "pretrain_batch": 4},
    "quick": {"decoder_width": 48, "decoder_depth": 1, "pretrain_steps": 140, "pretrain_batch": 32},
    "nightly": {"decoder_width": 96, "decoder_depth": 1, "pretrain_steps": 700, "pretrain_batch": 32},
    "standard": {},
    "paper": {"decoder_width": 384, "decoder_depth": 4, "pretrain_steps": 100_000, "pretrain_batch": 128},
}


def presets(pretrained: bool) -> dict[str, dict[str, Any]]:
    """Preset → settings, with or without those of pre-training: the networks are the same."""
    return {name: {**values, **(_PRETRAINED[name] if pretrained else {})} for name, values in _FINE_TUNED.items()}
