"""Training on axial slices: the settings every such training has, and the call that all slice methods make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from cerebench.contract.method import FitRun, MethodSettings
from cerebench.contract.volumes import Volumes
from cerebench.training.loop import Trained, train
from cerebench.training.session import Loss

if TYPE_CHECKING:
    from torch import Tensor, nn


class SliceTraining(MethodSettings):
    """Settings of a training on slices.

    Attributes:
        steps: optimiser steps.
        batch_size: slices a step.
        learning_rate: peak of the one-cycle schedule.
        min_brain: least share of brain in a training slice.
    """

    steps: int = Field(20_000, ge=1)
    batch_size: int = Field(64, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    min_brain: float = Field(0.02, ge=0, lt=1)


def train_on_slices(
    run: FitRun,
    modules: nn.Module | Mapping[str, nn.Module],
    loss: Loss | Mapping[str, Loss],
    volumes: Volumes,
    validation: Volumes | None,
    settings: SliceTraining,
    canvas: tuple[int, ...] | None = None,
    **options: Any,
) -> Trained:
    """Train on the axial slices of ``volumes`` with AdamW and one cycle, clipped to unit gradient norm.

    Args:
        run: of the stage.
        modules: what is trained; a mapping where adversaries are trained in turn.
        loss: batch ``[B, C, *canvas]`` → loss; a mapping with the names of ``modules`` for adversaries.
        volumes: training volumes.
        validation: the weights with the lowest loss on its slices are kept; ``None`` or none at all: the last ones.
        settings: length, batch, rate and least brain; a method's settings class derives from it.
        canvas: slices are padded to this size before they reach ``loss``; ``None`` leaves them.
        options: of :func:`~cerebench.training.loop.train`; they win over the settings.
    """
    from torch.optim.lr_scheduler import OneCycleLR

    from cerebench.training.canvas import pad_to

    def padded(function: Loss) -> Loss:
        def given(batch: Tensor) -> Any:
            return function(batch if canvas is None else pad_to(batch, canvas))

        return given

    rate = options.setdefault("learning_rate", settings.learning_rate)
    if "epochs" not in options:
        options.setdefault("steps", settings.steps)
    options.setdefault("batch_size", settings.batch_size)
    options.setdefault("clip_norm", 1.0)
    options.setdefault("scheduler", lambda optimizer, total: OneCycleLR(optimizer, rate, total_steps=total))
    return train(
        run,
        modules,
        volumes.slices(settings.min_brain),
        {name: padded(one) for name, one in loss.items()} if isinstance(loss, Mapping) else padded(loss),
        validation=validation.slices(settings.min_brain) if validation else None,
        **options,
    )
