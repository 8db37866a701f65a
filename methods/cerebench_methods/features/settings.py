"""Settings of the shared encoder, and the training stage that every feature-space method shares."""

from __future__ import annotations

from pydantic import Field

from cerebench.api import MethodSettings, Stage

SELF_SUPERVISED, RANDOM, HUB = "self-supervised", "random", "hub"


class EncoderSettings(MethodSettings):
    """Which encoder, on slices of which size, with which weights.

    Attributes:
        encoder: timm's name of a convolutional network that gives features at strides 2, 4, 8 and 16.
        width: channels of the first residual level; each further level has twice as many. 64 is the published size;
            other values are for timm's ResNets of basic blocks only.
        image_size: slices are resized so that the longer side has about so many pixels (sides are multiples of 32).
        weights: ``self-supervised`` (learnt on the healthy slices of the run, nothing is downloaded), ``random``,
            ``hub`` (timm's pretrained weights; needs a network or a filled cache) or the path of a safetensors file
            in timm's names.
        pretrain_steps: optimiser steps of the self-supervised training.
        pretrain_batch: slices a step of it; each gives two views.
        pretrain_rate: peak learning rate of it.
        min_brain: least share of brain in a training slice.
    """

    encoder: str = "resnet18"
    width: int = Field(64, ge=4)
    image_size: int = Field(128, ge=32)
    weights: str = SELF_SUPERVISED
    pretrain_steps: int = Field(4000, ge=1)
    pretrain_batch: int = Field(32, ge=2)
    pretrain_rate: float = Field(1e-3, gt=0)
    min_brain: float = Field(0.02, ge=0, lt=1)


PRETRAIN = Stage(
    name="pretrain",
    shared_as="slice-encoder",
    keeps=("encoder",),
    settings=tuple(EncoderSettings.model_fields),
)
"""Gives the encoder its weights; computed once for all methods with the same encoder settings."""

ENCODER_MOCK = {"width": 8, "image_size": 64, "pretrain_steps": 10, "pretrain_batch": 8}
ENCODER_QUICK = {"width": 16, "image_size": 96, "pretrain_steps": 45, "pretrain_batch": 16}
ENCODER_NIGHTLY = {"width": 32, "image_size": 128, "pretrain_steps": 200, "pretrain_batch": 16}
ENCODER_PAPER = {"image_size": 256, "weights": HUB}

ENCODER_ASSUMPTIONS = (
    "The papers take encoders trained on ImageNet; unless weights says otherwise, ours is trained in place on the "
    "healthy slices by masked image modelling with one linear layer a level (SimMIM, Xie et al. 2022).",
    "Every slice is scaled so that the median of its tissue is the same: a large bright lesion sets the intensity "
    "scale of its volume and would make all healthy tissue there look anomalous.",
    "Slices of all heights go through one model, as in UPD_study (Lagogiannis et al. 2024).",
    "Slices are resized to the encoder's input and maps are brought back by bilinear interpolation.",
)
