"""The bridged models. A further one needs a class here, a line in the manifest and one in the hooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from cerebench_methods.anomalib_bridge.bridge import (
    BRIDGE_MOCK,
    BRIDGE_NIGHTLY,
    BRIDGE_PAPER,
    BRIDGE_QUICK,
    CollectingMethod,
    LearningMethod,
    bridge_info,
)
from cerebench_methods.anomalib_bridge.extra import from_anomalib, quietly

if TYPE_CHECKING:
    from torch import nn


class AnomalibPadim(CollectingMethod):
    """anomalib's ``PadimModel``."""

    info = bridge_info(
        "padim",
        "PaDiM of anomalib on our encoder: Mahalanobis distance of features at every position.",
        "Akcay S, Ameln D, Vaidya A, et al. Anomalib: a deep learning library for anomaly detection. ICIP 2022. "
        "PaDiM: Defard et al. 2021.",
    )

    class Settings(CollectingMethod.Settings):
        """The bridge's.

        Attributes:
            features: channels that are kept, drawn at random.
        """

        features: int = Field(100, ge=1)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mock": {**BRIDGE_MOCK, "features": 20},
        "quick": {**BRIDGE_QUICK, "features": 50},
        "nightly": BRIDGE_NIGHTLY,
        "standard": {},
        "paper": {**BRIDGE_PAPER, "features": 550},
    }

    def anomalib_model(self) -> nn.Module:
        """PaDiM with as many features as the settings say."""
        settings = self.settings
        names = [f"layer{layer}" for layer in settings.layers]
        make = from_anomalib("padim.torch_model", "PadimModel")
        model: nn.Module = make(settings.encoder, names, pre_trained=False, n_features=settings.features)
        return model

    def conclude(self) -> None:
        """Fit the Gaussians."""
        self.model.fit()


class AnomalibPatchcore(CollectingMethod):
    """anomalib's ``PatchcoreModel``."""

    info = bridge_info(
        "patchcore",
        "PatchCore of anomalib on our encoder: distance to the nearest of a coreset of healthy patches.",
        "Akcay S, Ameln D, Vaidya A, et al. Anomalib: a deep learning library for anomaly detection. ICIP 2022. "
        "PatchCore: Roth et al. 2022.",
    )

    class Settings(CollectingMethod.Settings):
        """The bridge's.

        Attributes:
            coreset: share of the patches that is kept; the time to choose them grows with the square of the patches.
        """

        layers: tuple[int, ...] = (2, 3)
        slices: int = Field(500, ge=2)
        coreset: float = Field(0.01, gt=0, le=1)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mock": {**BRIDGE_MOCK, "coreset": 0.2, "layers": (1, 2)},
        "quick": {**BRIDGE_QUICK, "slices": 40, "coreset": 0.03, "layers": (1, 2)},
        "nightly": {**BRIDGE_NIGHTLY, "slices": 100, "layers": (1, 2)},
        "standard": {},
        "paper": {**BRIDGE_PAPER, "coreset": 0.1},
    }

    def anomalib_model(self) -> nn.Module:
        """PatchCore."""
        names = [f"layer{layer}" for layer in self.settings.layers]
        make = from_anomalib("patchcore.torch_model", "PatchcoreModel")
        model: nn.Module = make(names, self.settings.encoder, pre_trained=False)
        return model

    def conclude(self) -> None:
        """Choose the coreset."""
        with quietly():
            self.model.subsample_embedding(self.settings.coreset)


class AnomalibFastflow(LearningMethod):
    """anomalib's ``FastflowModel``."""

    info = bridge_info(
        "fastflow",
        "FastFlow of anomalib on our encoder: likelihood of features under normalising flows.",
        "Akcay S, Ameln D, Vaidya A, et al. Anomalib: a deep learning library for anomaly detection. ICIP 2022. "
        "FastFlow: Yu et al. 2021.",
    )
    listed: ClassVar[bool] = True

    class Settings(LearningMethod.Settings):
        """The bridge's.

        Attributes:
            flow_steps: coupling blocks a level.
        """

        flow_steps: int = Field(8, ge=1)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mock": {**BRIDGE_MOCK, "flow_steps": 2, "steps": 30, "batch_size": 8, "learning_rate": 5e-3},
        "quick": {**BRIDGE_QUICK, "flow_steps": 4, "steps": 40, "batch_size": 16, "learning_rate": 3e-3},
        "nightly": {**BRIDGE_NIGHTLY, "steps": 150, "batch_size": 16},
        "standard": {},
        "paper": BRIDGE_PAPER,
    }

    def anomalib_model(self) -> nn.Module:
        """FastFlow for the size of the encoder's input; it always takes levels 1 to 3."""
        make = from_anomalib("fastflow.torch_model", "FastflowModel")
        size, settings = self.encoder.size, self.settings
        model: nn.Module = make(size, settings.encoder, pre_trained=False, flow_steps=settings.flow_steps)
        return model

    def anomalib_loss(self) -> nn.Module:
        """Negative log-likelihood."""
        loss: nn.Module = from_anomalib("fastflow.loss", "FastflowLoss")()
        return loss


class AnomalibReverseDistillation(LearningMethod):
    """anomalib's ``ReverseDistillationModel``."""

    info = bridge_info(
        "reverse-distillation",
        "Reverse distillation of anomalib on our encoder: cosine distance of restored features.",
        "Akcay S, Ameln D, Vaidya A, et al. Anomalib: a deep learning library for anomaly detection. ICIP 2022. "
        "Reverse distillation: Deng and Li 2022.",
    )
    extractor: ClassVar[str] = "encoder"

    class Settings(LearningMethod.Settings):
        """Those of the bridge."""

        learning_rate: float = Field(5e-3, gt=0)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mock": {**BRIDGE_MOCK, "steps": 20, "batch_size": 8},
        "quick": {**BRIDGE_QUICK, "steps": 30, "batch_size": 16},
        "nightly": {**BRIDGE_NIGHTLY, "steps": 150, "batch_size": 16},
        "standard": {},
        "paper": BRIDGE_PAPER,
    }

    def anomalib_model(self) -> nn.Module:
        """Reverse distillation with the sum of the levels' distances; it always takes levels 1 to 3."""
        make = from_anomalib("reverse_distillation.torch_model", "ReverseDistillationModel")
        mode = from_anomalib("reverse_distillation.anomaly_map", "AnomalyMapGenerationMode").ADD
        names = [f"layer{layer}" for layer in self.settings.layers]
        model: nn.Module = make(self.settings.encoder, self.encoder.size, names, mode, pre_trained=False)
        return model

    def anomalib_loss(self) -> nn.Module:
        """Cosine distance of flattened levels."""
        loss: nn.Module = from_anomalib("reverse_distillation.loss", "ReverseDistillationLoss")()
        return loss
