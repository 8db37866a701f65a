"""What the methods on a denoising diffusion model of slices have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from cerebench.api import PredictContext, Prediction, ReconstructionMethod, UsageError
from cerebench.training.canvas import crop_to, pad_to

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

TIMESTEPS = 1000
"""Length of the whole diffusion."""


class DiffusionMethod(ReconstructionMethod):
    """Noise up to an intermediate time step hides lesions; what a model of healthy slices restores is compared.

    Slices with tissue in about [0, 1] become [-1, 1]. The noise of a prediction is drawn once from its seed and is the
    same for all slices, so that a slice is restored alone as it is in a batch.
    """

    predicts: str = "epsilon"
    """What the network gives: ``epsilon`` (the noise) or ``sample`` (the clean slice)."""

    class Settings(ReconstructionMethod.Settings):
        """Diffusion and size of the network.

        Attributes:
            loss: between what the network gives and what it should.
            start: time step of 1000 up to which slices are noised; training draws time steps up to it.
            jump: time steps between two evaluations of the network on the way back; a divisor of 1000 and of ``start``.
            width: filters of the U-Net's first level, doubled once.
            depth: its levels.
            blocks: residual blocks a level.
            attention_levels: lowest levels with self-attention.
        """

        loss: Literal["l1", "mse"] = "mse"
        start: int = Field(250, ge=1, lt=TIMESTEPS)
        jump: int = Field(25, ge=1)
        width: int = Field(64, ge=8, multiple_of=8)
        depth: int = Field(4, ge=2, le=6)
        blocks: int = Field(2, ge=1)
        attention_levels: int = Field(1, ge=0)

    def stride(self) -> int:
        """That of all levels together."""
        return int(2 ** (self.settings.depth - 1))

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        """Create the U-Net.

        Raises:
            UsageError: ``jump`` divides ``start`` or 1000 with a remainder.
        """
        from cerebench_methods.baselines.diffusion_network import noise_schedule

        start, jump = self.settings.start, self.settings.jump
        if start % jump or TIMESTEPS % jump:
            raise UsageError(
                f"method {self.info.name!r}: jump is {jump}, expected a divisor of start ({start}) and of {TIMESTEPS}; "
                "change either setting"
            )
        self.spacing = spacing
        self.schedule = noise_schedule(self.predicts)
        self.schedule.set_timesteps(TIMESTEPS // jump)
        super().build(modalities, shape, spacing)

    def network_for(self, channels: int, canvas: tuple[int, ...]) -> nn.Module:
        """The U-Net."""
        from cerebench_methods.baselines.diffusion_network import diffusion_unet

        settings = self.settings
        return diffusion_unet(channels, settings.width, settings.depth, settings.blocks, settings.attention_levels)

    def noise(self, shape: tuple[int, ...], generator: Generator | None = None) -> Tensor:
        """Noise ``[N, C, D, H]`` of unit variance on the CPU; Gaussian unless a method says otherwise."""
        import torch

        return torch.randn(shape, generator=generator)

    def hidden(self, batch: Tensor) -> Tensor:
        """Where slices ``[B, C, *canvas]`` are noised in training, 0 and 1, ``[B, 1, *canvas]``: everywhere."""
        import torch

        return torch.ones_like(batch[:, :1])

    def training_loss(self, batch: Tensor) -> Tensor:
        """Distance between noise and estimate (or slice and estimate) where slices ``[B, C, *canvas]`` are noised."""
        import torch

        clean, where = 2 * batch - 1, self.hidden(batch)
        noise = self.noise(tuple(batch.shape)).to(batch)
        times = torch.randint(1, self.settings.start + 1, (len(batch),)).to(batch.device)
        noised = self.schedule.add_noise(clean, noise, times)
        found = self.network(torch.where(where > 0, noised, clean), times)
        return self.distance(found * where, (noise if self.predicts == "epsilon" else clean) * where)

    def denoised(self, noised: Tensor, known: Tensor, where: Tensor) -> Tensor:
        """Clean slices ``[B, C, *canvas]`` from the start of the way back, by deterministic steps (DDIM).

        Args:
            noised: slices at time step ``start``.
            known: clean slices that stay where nothing is hidden.
            where: 1 where slices are noised, ``[1 or B, 1, *canvas]``.
        """
        import torch

        settings, clean = self.settings, noised
        for time in range(settings.start, 0, -settings.jump):
            given = torch.where(where > 0, noised, known)
            found = self.network(given, torch.full((len(noised),), time, device=noised.device))
            noised, clean = self.schedule.step(found.float(), time, noised)
        return clean

    def parts(self, device: Any) -> list[Tensor]:
        """Masks ``[1, 1, *canvas]`` that cover the canvas, of what is noised together in a prediction: all at once."""
        import torch

        return [torch.ones(1, 1, *self.canvas, device=device)]

    def restored(self, images: Tensor, seed: int) -> Tensor:
        """Healthy slices for ``[B, C, D, H]``, same shape; where parts overlap, their mean."""
        import torch

        self.network.eval()
        clean = 2 * pad_to(images, self.canvas) - 1
        generator = torch.Generator().manual_seed(seed)
        noise = self.noise((1, *clean.shape[1:]), generator).to(clean)
        noised = self.schedule.add_noise(clean, noise.expand_as(clean), torch.tensor([self.settings.start]))
        total, covered = torch.zeros_like(clean), torch.zeros_like(clean[:1, :1])
        for where in self.parts(clean.device):
            total += where * self.denoised(noised, clean, where)
            covered += where
        return crop_to((total / covered + 1) / 2, tuple(images.shape[-2:]))

    def score(self, difference: Tensor) -> Tensor:
        """Anomaly score of differences between slices and restorations, any shape."""
        return difference.abs() if self.settings.polarity == "absolute" else difference.clamp(min=0)

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        """Score of what restoration changed inside the brain, averaged over channels, ``[B, D, H]``."""
        return Prediction(maps=self.score(images - self.restored(images, context.seed)).mean(1) * context.brain)

    def explain(self, images: Tensor, context: PredictContext) -> dict[str, Tensor]:
        """The restoration of the first channel, ``[B, D, H]``."""
        return {"pseudo-healthy": self.restored(images, context.seed)[:, 0] * context.brain}
