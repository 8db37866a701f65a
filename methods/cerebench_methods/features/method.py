"""Base class of methods that score features of slices: one encoder, one shared stage that gives it its weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cerebench.api import FitRun, Method, MethodError, Volumes
from cerebench_methods.features.settings import HUB, RANDOM, SELF_SUPERVISED, EncoderSettings

if TYPE_CHECKING:
    from torch import Tensor

_BATCH = 64


class FeatureMethod(Method):
    """A method of this kind writes ``build`` (calling this one first), ``fit`` and ``predict``.

    The encoder is the first thing built, so that methods with the same encoder settings start from the same weights
    and can share the artefact of :meth:`pretrain`. Its weights never change after that stage.
    """

    class Settings(EncoderSettings):
        """Those of the encoder."""

    @classmethod
    def remark(cls, settings: Any) -> str:
        """Where the encoder's weights come from."""
        known = {
            SELF_SUPERVISED: "encoder self-supervised on the same slices",
            RANDOM: "encoder with random weights",
            HUB: f"encoder with the published weights of {settings.encoder}",
        }
        return known.get(settings.weights, f"encoder with weights from {Path(settings.weights).name}")

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        """Create the encoder for slices of ``shape``."""
        from cerebench_methods.features.encoder import SliceEncoder

        settings = self.settings
        self.spacing = spacing
        self.encoder: Any = SliceEncoder(settings.encoder, len(modalities), settings.width, shape, settings.image_size)

    def pretrain(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        """Give the encoder its weights, from the source that the settings name.

        Raises:
            MethodError: the weights cannot be had or do not fit.
        """
        from cerebench_methods.features.pretraining import train_encoder
        from cerebench_methods.features.weights import load_from_file, load_from_hub

        settings = self.settings
        if settings.weights == SELF_SUPERVISED:
            train_encoder(self.encoder, train, settings, run)
        elif settings.weights == HUB:
            load_from_hub(self.encoder, settings.encoder, settings.width)
        elif settings.weights != RANDOM:
            load_from_file(self.encoder, Path(settings.weights))

    def levels(self, slices: Tensor) -> list[Tensor]:
        """Levels 0 to 3 of the frozen encoder for slices ``[B, C, D, H]``, without gradients."""
        import torch

        self.encoder.eval()
        with torch.no_grad():
            found: list[Tensor] = self.encoder(slices)
        return found

    def batches(self, volumes: Volumes, run: FitRun, most: int | None = None) -> Iterator[Tensor]:
        """Training slices in order, as batches ``[B, C, D, H]`` on the device; at most ``most``, evenly spaced."""
        from cerebench.training.batches import Batches

        slices = volumes.slices(self.settings.min_brain)
        if most is not None and most < len(slices):
            slices = [slices[index * len(slices) // most] for index in range(most)]
        done = 0
        for batch, size in Batches(slices, run.device).in_order(_BATCH):
            done += size
            yield batch
            run.progress(done, len(slices), "features")


def check_layers(layers: tuple[int, ...]) -> tuple[int, ...]:
    """The layers of a setting.

    Raises:
        MethodError: none, one that the encoder has not, or not in ascending order.
    """
    if not layers or list(layers) != sorted(set(layers)) or not set(layers) <= {0, 1, 2, 3}:
        raise MethodError(f"setting layers={list(layers)}: expected some of 0, 1, 2, 3 in ascending order")
    return layers
