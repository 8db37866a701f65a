"""AnoDDPM (Wyatt et al. 2022): partial diffusion with simplex noise, and back to a healthy slice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from cerebench.api import MethodInfo
from cerebench_methods.baselines.diffusion_method import DiffusionMethod

if TYPE_CHECKING:
    from torch import Generator, Tensor


class AnoDdpm(DiffusionMethod):
    """Noise with the power law of natural images hides lesions of every size, which white noise does not."""

    info = MethodInfo(
        name="anoddpm",
        summary="Diffusion model with simplex noise: partial noising, denoising; the score is the squared difference.",
        supervision="healthy",
        unit="slice",
        citation=(
            "Wyatt J, Leach A, Schmon SM, Willcocks CG. AnoDDPM: anomaly detection with denoising diffusion "
            "probabilistic models using simplex noise. CVPR Workshops, 650-656, 2022."
        ),
        reimplementation=True,
        assumptions=(
            "Wavelengths are given in mm, the paper's 64 pixels as 64 mm; octaves below two pixels are left out.",
            "The noise is scaled to unit variance and drawn in two dimensions, with a hash for a permutation table.",
            "Deterministic steps (DDIM) that skip time steps instead of ancestral sampling over all of them.",
            "Time steps after the start of restoration are not trained, because they are never used.",
            "One noise field for all slices of a prediction.",
            "AdamW with one cycle, and no moving average of the weights.",
        ),
        cost="iterative",
    )

    class Settings(DiffusionMethod.Settings):
        """Noise.

        Attributes:
            wavelength_mm: of the noise's first octave.
            octaves: each of half the wavelength of the one before.
            persistence: amplitude of an octave relative to the one before.
        """

        wavelength_mm: float = Field(64.0, gt=0)
        octaves: int = Field(6, ge=1)
        persistence: float = Field(0.8, gt=0, le=1)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mock": {
            "width": 8,
            "depth": 2,
            "blocks": 1,
            "attention_levels": 0,
            "jump": 125,
            "steps": 40,
            "batch_size": 8,
            "learning_rate": 5e-3,
        },
        "quick": {
            "width": 8,
            "depth": 3,
            "blocks": 1,
            "attention_levels": 0,
            "jump": 50,
            "steps": 45,
            "batch_size": 8,
            "learning_rate": 5e-3,
        },
        "nightly": {
            "width": 16,
            "depth": 3,
            "blocks": 1,
            "attention_levels": 0,
            "jump": 50,
            "steps": 220,
            "batch_size": 4,
            "learning_rate": 2e-3,
        },
        "standard": {},
        "paper": {"width": 128, "jump": 1, "steps": 300_000, "batch_size": 1, "learning_rate": 1e-4},
    }

    def noise(self, shape: tuple[int, ...], generator: Generator | None = None) -> Tensor:
        """Simplex noise ``[N, C, D, H]`` of unit variance."""
        from cerebench_methods.baselines.diffusion_simplex import octave_noise

        settings = self.settings
        return octave_noise(
            shape, self.spacing, settings.wavelength_mm, settings.octaves, settings.persistence, generator
        )

    def score(self, difference: Tensor) -> Tensor:
        """Squared difference (Wyatt et al. 2022), or that of bright changes."""
        return super().score(difference).square()
