"""Base classes of the bridge: a torch model of anomalib, our encoder, our loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from cerebench.api import FitRun, MethodError, MethodInfo, PredictContext, Prediction, SliceTraining, Stage, Volumes
from cerebench_methods.features.method import FeatureMethod
from cerebench_methods.features.settings import ENCODER_ASSUMPTIONS, PRETRAIN

if TYPE_CHECKING:
    from torch import Tensor, nn

WIDTH = 64

BRIDGE_MOCK = {"image_size": 32, "pretrain_steps": 4, "pretrain_batch": 8}
BRIDGE_QUICK = {"image_size": 64, "pretrain_steps": 40, "pretrain_batch": 16}
BRIDGE_NIGHTLY = {"image_size": 96, "pretrain_steps": 150, "pretrain_batch": 16}
BRIDGE_PAPER = {"image_size": 256, "weights": "hub", "encoder": "wide_resnet50_2"}


def bridge_info(name: str, summary: str, citation: str) -> MethodInfo:
    """What a bridged model says of itself."""
    return MethodInfo(
        name=f"anomalib:{name}",
        summary=summary,
        supervision="healthy",
        unit="slice",
        stages=(PRETRAIN, Stage(name="fit")),
        citation=citation,
        requires={"anomalib": "cerebench[anomalib]"},
        assumptions=(
            *ENCODER_ASSUMPTIONS,
            "The model is anomalib's own torch module; its feature extractor is replaced by our encoder.",
            "A channel is repeated to the three that anomalib expects.",
            "Slice scores follow the harness's rule, not anomalib's.",
        ),
    )


class AnomalibMethod(FeatureMethod):
    """A method of this kind names the attribute of its model that extracts features and writes :meth:`anomalib_model`.

    Its ``predict`` returns the model's ``anomaly_map``.
    """

    extractor: ClassVar[str] = "feature_extractor"
    listed: ClassVar[bool] = False

    class Settings(FeatureMethod.Settings):
        """The encoder's, which has its published width here.

        Attributes:
            layers: levels of the encoder (1 to 3).
        """

        width: int = Field(WIDTH, ge=WIDTH, le=WIDTH)
        layers: tuple[int, ...] = (1, 2, 3)

    def anomalib_model(self) -> nn.Module:
        """anomalib's torch model, with any feature extractor of the encoder's size and no download."""
        raise MethodError(f"method {self.info.name!r} implements no anomalib_model")

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        """Create the encoder and anomalib's model around it.

        Raises:
            MethodError: anomalib is not installed, or cannot build the model with this encoder.
        """
        from cerebench_methods.anomalib_bridge.adapter import EncoderAdapter

        super().build(modalities, shape, spacing)
        settings = self.settings
        if not settings.layers or not set(settings.layers) <= {1, 2, 3}:
            raise MethodError(f"setting layers={list(settings.layers)}: expected some of 1, 2, 3")
        try:
            self.model: Any = self.anomalib_model()
        except (ValueError, AssertionError, KeyError) as error:
            raise MethodError(
                f"anomalib cannot build {self.info.name!r} with encoder={settings.encoder!r}: {error}"
            ) from None
        setattr(self.model, self.extractor, EncoderAdapter(self.encoder, settings.layers, self.listed))

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        """anomalib's map, brought back to the slices' size ``[B, D, H]``."""
        from cerebench_methods.anomalib_bridge.adapter import colour
        from cerebench_methods.features.maps import to_slices

        self.model.eval()
        grid = self.model(colour(self.encoder, images)).anomaly_map[:, 0]
        return Prediction(maps=to_slices(grid, images.shape[2:], context.spacing, 0) * context.brain)


class CollectingMethod(AnomalibMethod):
    """anomalib's models that look at every training image once and then compute what they keep."""

    class Settings(AnomalibMethod.Settings):
        """The bridge's.

        Attributes:
            slices: training slices at most, evenly spaced: anomalib holds the features of all of them in memory.
        """

        slices: int = Field(2000, ge=2)

    def conclude(self) -> None:
        """Compute what the model keeps from what it collected."""
        raise MethodError(f"method {self.info.name!r} implements no conclude")

    def fit(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        """Show anomalib's model the healthy slices in its training mode."""
        import torch

        from cerebench_methods.anomalib_bridge.adapter import colour

        self.model.to(run.device).train()
        with torch.no_grad():
            for batch in self.batches(train, run, self.settings.slices):
                self.model(colour(self.encoder, batch))
            self.conclude()
        self.model.eval()


class LearningMethod(AnomalibMethod):
    """anomalib's models that are trained by gradients, with anomalib's loss, in our training loop.

    The models give losses in training mode only, so that there is no validation loss and the last weights are kept.
    """

    class Settings(AnomalibMethod.Settings, SliceTraining):
        """The bridge's and those of the training."""

        batch_size: int = Field(32, ge=1)

    def anomalib_loss(self) -> nn.Module:
        """anomalib's loss of the pair that the model gives in training mode."""
        raise MethodError(f"method {self.info.name!r} implements no anomalib_loss")

    def fit(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        """Train anomalib's model on healthy slices."""
        from cerebench.training.slicewise import train_on_slices
        from cerebench_methods.anomalib_bridge.adapter import colour

        criterion = self.anomalib_loss()

        def loss(batch: Tensor) -> Any:
            return criterion(*self.model(colour(self.encoder, batch)))

        train_on_slices(run, self.model, loss, train, None, self.settings)
