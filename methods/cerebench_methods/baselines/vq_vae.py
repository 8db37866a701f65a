"""VQ-VAE with a transformer over its codes (van den Oord et al. 2017; Pinaya et al. 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from cerebench.api import FitRun, MethodInfo, ReconstructionMethod, Stage, UsageError, Volumes
from cerebench.training.canvas import pad_to
from cerebench.training.slicewise import train_on_slices

if TYPE_CHECKING:
    from torch import Tensor, nn

CODING = ("loss", "steps", "batch_size", "learning_rate", "min_brain", "width", "depth", "codes", "code_size", "decay")
"""Settings of the first stage."""

FIRST_SLICES = 64
"""Slices whose codes start the codebook."""


class VqVae(ReconstructionMethod):
    """Stage ``fit`` learns discrete codes of healthy slices, stage ``prior`` how probable a code is after the others.

    Unlikely codes are exchanged for likely ones before decoding, so that the reconstruction is of a healthy slice.
    """

    info = MethodInfo(
        name="vq-vae",
        summary="Discrete codes of healthy slices; a transformer exchanges unlikely ones before decoding.",
        supervision="healthy",
        unit="slice",
        stages=(Stage(name="fit", settings=CODING, keeps=("network",)), Stage(name="prior")),
        citation=(
            "Van den Oord A, Vinyals O, Kavukcuoglu K. Neural discrete representation learning. NeurIPS, 2017; Pinaya "
            "WHL, Tudosiu P-D, Gray R, et al. Unsupervised brain imaging 3D anomaly detection and segmentation with "
            "transformers. Medical Image Analysis 79:102475, 2022."
        ),
        reimplementation=True,
        assumptions=(
            "Unlikely codes become the most probable ones, all at once and in few rounds, instead of being sampled one "
            "after the other.",
            "One raster order and one transformer instead of an ensemble over orders.",
            "The residual is not multiplied with the upsampled mask of exchanged codes.",
            "The codebook starts at codes of training slices; the paper's spectral loss is left out.",
            "Sizes and steps of the preset `paper` are our reading of the paper, which does not give all of them.",
        ),
    )

    class Settings(ReconstructionMethod.Settings):
        """Codes, transformer and both trainings.

        Attributes:
            width: filters of the first layer, doubled once.
            depth: layers, each halving the sides.
            codes: entries of the codebook.
            code_size: numbers in an entry.
            decay: of the codebook's moving averages.
            prior_width: width of the transformer, a multiple of ``prior_heads``.
            prior_depth: its blocks.
            prior_heads: its attention heads.
            prior_steps: its optimiser steps.
            prior_learning_rate: peak of its one-cycle schedule.
            unlikely: codes less probable than this are exchanged; 0: none, plain reconstruction.
            rounds: how often all codes are judged.
        """

        width: int = Field(64, ge=1)
        depth: int = Field(3, ge=1, le=6)
        codes: int = Field(256, ge=2)
        code_size: int = Field(32, ge=1)
        decay: float = Field(0.9, ge=0, lt=1)
        prior_width: int = Field(128, ge=1)
        prior_depth: int = Field(6, ge=1)
        prior_heads: int = Field(8, ge=1)
        prior_steps: int = Field(20_000, ge=1)
        prior_learning_rate: float = Field(5e-4, gt=0)
        unlikely: float = Field(0.005, ge=0, le=1)
        rounds: int = Field(3, ge=1)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mock": {
            "width": 8,
            "depth": 2,
            "codes": 16,
            "code_size": 8,
            "decay": 0.8,
            "steps": 80,
            "batch_size": 16,
            "learning_rate": 5e-3,
            "prior_width": 16,
            "prior_depth": 1,
            "prior_heads": 2,
            "prior_steps": 40,
            "prior_learning_rate": 5e-3,
            "rounds": 1,
        },
        "quick": {
            "width": 16,
            "depth": 2,
            "codes": 64,
            "code_size": 16,
            "decay": 0.8,
            "steps": 80,
            "batch_size": 8,
            "learning_rate": 3e-3,
            "prior_width": 32,
            "prior_depth": 2,
            "prior_heads": 4,
            "prior_steps": 100,
            "prior_learning_rate": 3e-3,
            "rounds": 1,
        },
        "nightly": {
            "width": 32,
            "depth": 2,
            "codes": 128,
            "steps": 160,
            "batch_size": 16,
            "learning_rate": 2e-3,
            "prior_width": 64,
            "prior_depth": 3,
            "prior_heads": 4,
            "prior_steps": 150,
            "prior_learning_rate": 2e-3,
            "rounds": 2,
        },
        "standard": {},
        "paper": {"width": 128, "prior_width": 512, "prior_depth": 24, "prior_heads": 16, "learning_rate": 1e-4},
    }

    def stride(self) -> int:
        """That of all layers together."""
        return int(2**self.settings.depth)

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        """Create VQ-VAE and transformer for slices of ``shape``, padded to a multiple of the stride.

        Raises:
            UsageError: ``prior_width`` is no multiple of ``prior_heads``.
        """
        from cerebench_methods.baselines.vq_vae_networks import code_transformer

        super().build(modalities, shape, spacing)
        settings, stride = self.settings, self.stride()
        if settings.prior_width % settings.prior_heads:
            raise UsageError(
                f"method 'vq-vae': prior_width is {settings.prior_width}, expected a multiple of prior_heads "
                f"({settings.prior_heads}); change either setting"
            )
        length = (self.canvas[0] // stride) * (self.canvas[1] // stride)
        self.transformer: Any = code_transformer(
            settings.codes, length, settings.prior_width, settings.prior_depth, settings.prior_heads
        )

    def network_for(self, channels: int, canvas: tuple[int, ...]) -> nn.Module:
        """The VQ-VAE."""
        from cerebench_methods.baselines.vq_vae_networks import vq_vae

        settings = self.settings
        network: nn.Module = vq_vae(
            channels, settings.width, settings.depth, settings.codes, settings.code_size, settings.decay
        )
        return network

    def fit(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        """Stage 1: codebook, encoder and decoder."""
        import torch

        from cerebench_methods.baselines.vq_vae_networks import fill_codebook

        slices = train.slices(self.settings.min_brain)
        chosen = torch.randperm(len(slices))[:FIRST_SLICES].tolist()
        first = torch.stack([slices[index] for index in chosen]).to(run.device)
        fill_codebook(self.network, pad_to(first, self.canvas))
        super().fit(train, validation, run)

    def prior(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        """Stage 2: the transformer learns the codes of healthy slices; the codes stay as they are."""
        from cerebench_methods.baselines.vq_vae_prior import code_loss

        self.network.eval().requires_grad_(False)
        train_on_slices(
            run,
            self.transformer,
            lambda batch: code_loss(self.transformer, self.encoded(batch), self.settings.codes),
            train,
            validation,
            self.settings,
            self.canvas,
            steps=self.settings.prior_steps,
            learning_rate=self.settings.prior_learning_rate,
            name="prior",
        )

    def training_loss(self, batch: Tensor) -> dict[str, Tensor]:
        """Reconstruction and commitment (van den Oord et al. 2017); moving averages take the codebook's part."""
        restored, commitment = self.network(batch)
        found = self.distance(restored, batch)
        return {"loss": found + commitment, "reconstruction": found, "commitment": commitment}

    def encoded(self, padded: Tensor) -> Tensor:
        """Codes of slices ``[B, C, *canvas]`` in raster order, ``[B, L]``."""
        codes: Tensor = self.network.index_quantize(padded)
        return codes.flatten(1)

    def restore_slices(self, padded: Tensor) -> Tensor:
        """Slices decoded from their codes after unlikely ones were exchanged."""
        from cerebench_methods.baselines.vq_vae_prior import heal_codes

        settings, codes = self.settings, self.encoded(padded)
        if settings.unlikely > 0:
            codes = heal_codes(self.transformer, codes, settings.codes, settings.unlikely, settings.rounds)
        stride = self.stride()
        grid = codes.view(len(codes), self.canvas[0] // stride, self.canvas[1] // stride)
        restored: Tensor = self.network.decode_samples(grid)
        return restored
