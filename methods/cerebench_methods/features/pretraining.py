"""The self-supervised training of the encoder on the healthy slices of the run."""

from __future__ import annotations

from torch.optim.lr_scheduler import OneCycleLR

from cerebench.api import FitRun, Volumes
from cerebench.training import train
from cerebench_methods.features.encoder import SliceEncoder
from cerebench_methods.features.objective import MaskedModelling
from cerebench_methods.features.settings import EncoderSettings


def train_encoder(encoder: SliceEncoder, volumes: Volumes, settings: EncoderSettings, run: FitRun) -> None:
    """Train the encoder in place with :class:`MaskedModelling`; its heads are thrown away."""
    slices = volumes.slices(settings.min_brain)
    objective = MaskedModelling(encoder)
    train(
        run,
        objective,
        slices,
        objective,
        steps=settings.pretrain_steps,
        batch_size=min(settings.pretrain_batch, len(slices)),
        learning_rate=settings.pretrain_rate,
        scheduler=lambda optimizer, total: OneCycleLR(optimizer, settings.pretrain_rate, total_steps=total),
        clip_norm=1.0,
        name="pretrain",
    )
