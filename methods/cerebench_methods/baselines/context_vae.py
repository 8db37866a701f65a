"""Context-encoding variational autoencoder (Zimmerer et al. 2018): reconstruction and density in one score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from cerebench.api import MethodInfo, PredictContext, Prediction
from cerebench.training.canvas import crop_to, pad_to
from cerebench_methods.baselines.variational_method import VariationalMethod

if TYPE_CHECKING:
    from torch import Tensor


class ContextVae(VariationalMethod):
    """A VAE that also has to fill in squares that were cut out of its input.

    The score multiplies the reconstruction error with how strongly a pixel would change the divergence of its slice's
    code from the prior: what is badly reconstructed and makes the slice unlikely.
    """

    info = MethodInfo(
        name="context-vae",
        summary="VAE that also fills in cut-out squares; reconstruction error times gradient of the latent divergence.",
        supervision="healthy",
        unit="slice",
        citation=(
            "Zimmerer D, Kohl SAA, Petersen J, Isensee F, Maier-Hein KH. Context-encoding variational autoencoder for "
            "unsupervised anomaly detection. arXiv 1812.05941, 2018."
        ),
        reimplementation=True,
        assumptions=(
            "Number and size of the squares are ours; they are filled with 0, the background.",
            "The context branch decodes the mean code and has no divergence term.",
            "The gradient is smoothed by a Gaussian instead of being averaged over noisy copies of the slice.",
            "Gaussian decoder with variance beta a pixel; one cycle of AdamW.",
            "Sizes and steps of the preset `paper` are our reading of the paper, which does not give all of them.",
        ),
    )

    class Settings(VariationalMethod.Settings):
        """Squares and score.

        Attributes:
            score: ``reconstruction`` error, ``gradient`` or their product, ``combined``.
            gradient_of: what the gradient is of: the ``divergence`` from the prior or the whole ``bound``.
            smoothing_mm: standard deviation of the Gaussian that smooths the gradient's magnitude; 0: none.
            context_weight: share of the loss that the context branch has.
            squares: squares cut out of a slice.
            largest: side of the largest square as a share of the slice's shorter side; sizes are drawn evenly.
        """

        score: Literal["combined", "reconstruction", "gradient"] = "combined"
        gradient_of: Literal["divergence", "bound"] = "divergence"
        smoothing_mm: float = Field(4.0, ge=0)
        context_weight: float = Field(0.5, ge=0, le=1)
        squares: int = Field(3, ge=1)
        largest: float = Field(0.4, gt=0, le=1)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mock": {"width": 8, "depth": 2, "latent": 16, "steps": 60, "batch_size": 16, "learning_rate": 5e-3},
        "quick": {"width": 16, "depth": 3, "latent": 64, "steps": 110, "batch_size": 16, "learning_rate": 3e-3},
        "nightly": {"depth": 3, "steps": 160, "batch_size": 32, "learning_rate": 2e-3},
        "standard": {},
        "paper": {"latent": 1024, "steps": 50_000, "learning_rate": 1e-4},
    }

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        """Create the VAE; the smoothing follows the spacing."""
        super().build(modalities, shape, spacing)
        self.sigma = [self.settings.smoothing_mm / step for step in spacing]

    def training_loss(self, batch: Tensor) -> dict[str, Tensor]:
        """Bound of whole slices and error of slices with squares cut out, both against whole slices."""
        from cerebench_methods.baselines.context_vae_squares import cut_squares
        from cerebench_methods.variational import squared_error

        settings, bound = self.settings, super().training_loss(batch)
        mean, _ = self.network.encode_forward(cut_squares(batch, settings.squares, settings.largest))
        context = squared_error(batch, self.network.decode_forward(mean, use_sigmoid=False))
        weight = settings.context_weight
        return {**bound, "loss": (1 - weight) * bound["loss"] + weight * context, "context": context}

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        """Reconstruction error, gradient or product inside the brain, averaged over channels, ``[B, D, H]``."""
        error = super().predict(images, context).maps
        if error is None or self.settings.score == "reconstruction":
            return Prediction(maps=error)
        steepness = self._steepness(images) * context.brain
        return Prediction(maps=steepness if self.settings.score == "gradient" else error * steepness)

    def explain(self, images: Tensor, context: PredictContext) -> dict[str, Tensor]:
        """Reconstruction and gradient, ``[B, D, H]``."""
        return {**super().explain(images, context), "gradient map": self._steepness(images) * context.brain}

    def _steepness(self, images: Tensor) -> Tensor:
        """Smoothed magnitude of the gradient of slices ``[B, C, D, H]``, averaged over channels, ``[B, D, H]``."""
        from monai.networks.layers.simplelayers import GaussianFilter

        part = "divergence" if self.settings.gradient_of == "divergence" else "loss"
        found = crop_to(self.gradient(pad_to(images, self.canvas), part), tuple(images.shape[-2:])).abs()
        if self.settings.smoothing_mm > 0:
            found = GaussianFilter(2, self.sigma).to(found.device)(found)
        return found.mean(1)
