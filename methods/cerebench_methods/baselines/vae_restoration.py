"""Restoration by a VAE's prior (You et al. 2019; Chen et al. 2020): the healthy slice that best explains the given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from cerebench.api import MethodInfo
from cerebench_methods.baselines.variational_method import VariationalMethod

if TYPE_CHECKING:
    from torch import Tensor


class VaeRestoration(VariationalMethod):
    """Starting from the given slice, climbs the evidence bound while total variation keeps the change simple.

    Maximises log p(restored) + log p(given | restored): the first by the VAE's bound, the second by a penalty on the
    total variation of the change, which favours changes that are few and of one piece, as lesions are.
    """

    info = MethodInfo(
        name="vae-restoration",
        summary="Gradient ascent from the slice to a likely healthy one under a VAE, with total-variation penalty.",
        supervision="healthy",
        unit="slice",
        citation=(
            "Chen X, You S, Tezcan KC, Konukoglu E. Unsupervised lesion detection via image restoration with a "
            "normative prior. Medical Image Analysis 64:101713, 2020; You S, Tezcan KC, Chen X, Konukoglu E. "
            "Unsupervised lesion detection via image restoration with a normative prior. MIDL, PMLR 102:540-556, 2019."
        ),
        reimplementation=True,
        assumptions=(
            "The bound is taken at the mean code, without sampling.",
            "The weight of the total variation is fixed instead of tuned on healthy slices.",
            "Step and number of steps are ours; few large steps in the small presets.",
            "Gaussian decoder with variance beta a pixel; VAE instead of the paper's Gaussian-mixture variant.",
            "Sizes and steps of the preset `paper` are our reading of the paper, which does not give all of them.",
        ),
        cost="iterative",
    )

    class Settings(VariationalMethod.Settings):
        """Restoration.

        Attributes:
            iterations: steps of gradient ascent.
            step: length of a step in multiples of the gradient.
            variation: weight of the change's total variation.
        """

        iterations: int = Field(100, ge=1)
        step: float = Field(0.05, gt=0)
        variation: float = Field(0.05, ge=0)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mock": {
            "width": 8,
            "depth": 2,
            "latent": 16,
            "steps": 60,
            "batch_size": 16,
            "learning_rate": 5e-3,
            "iterations": 8,
            "step": 0.3,
        },
        "quick": {
            "width": 16,
            "depth": 3,
            "latent": 64,
            "steps": 140,
            "batch_size": 16,
            "learning_rate": 3e-3,
            "iterations": 5,
            "step": 0.4,
        },
        "nightly": {
            "depth": 3,
            "steps": 300,
            "batch_size": 32,
            "learning_rate": 2e-3,
            "iterations": 20,
            "step": 0.2,
        },
        "standard": {},
        "paper": {"steps": 50_000, "learning_rate": 1e-4, "iterations": 500, "step": 0.01},
    }

    def restore_slices(self, padded: Tensor) -> Tensor:
        """Slices after all steps; each is restored independently of the others."""
        from cerebench_methods.baselines.vae_restoration_prior import variation_gradient

        settings, restored = self.settings, padded
        for _ in range(settings.iterations):
            slope = self.gradient(restored, "loss") + settings.variation * variation_gradient(restored - padded)
            restored = restored - settings.step * slope
        return restored
