"""The training loop on Lightning Fabric: order, precision, validation, best weights, checkpoints, curves, progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cerebench.contract.method import FitRun
from cerebench.errors import MethodError
from cerebench.training.batches import Batches
from cerebench.training.checkpoint import Checkpoint
from cerebench.training.seeding import derived_seed, deterministic, epoch_order
from cerebench.training.session import Loss, OptimizerFactory, SchedulerFactory, Session

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Trained:
    """What a training did.

    Attributes:
        steps: optimiser steps made in all, including those before a resumption.
        epochs: epochs begun.
        loss: mean training loss of the last epoch (of the first loss where there are several).
        best_epoch: epoch (from 0) whose weights were kept, ``None`` without validation data.
        best_validation: its validation loss.
        resumed_at: step at which this call took over from a checkpoint; 0 if it started afresh.
    """

    steps: int
    epochs: int
    loss: float
    best_epoch: int | None
    best_validation: float | None
    resumed_at: int


def train(
    run: FitRun,
    modules: nn.Module | Mapping[str, nn.Module],
    data: Sequence[Any] | Tensor,
    loss: Loss | Mapping[str, Loss],
    *,
    batch_size: int,
    steps: int | None = None,
    epochs: int | None = None,
    learning_rate: float = 1e-3,
    optimizer: OptimizerFactory | None = None,
    scheduler: SchedulerFactory | None = None,
    clip_norm: float | None = None,
    augment: Callable[[Any], Any] | None = None,
    validation: Sequence[Any] | Tensor | None = None,
    validation_loss: Loss | None = None,
    patience: int | None = None,
    name: str = "train",
    checkpoint_seconds: float = 20.0,
) -> Trained:
    """Train modules in place and leave them on ``run.device``, in evaluation mode, with the best or last weights.

    The order of batches and every random draw are functions of (``run.seed``, ``name``, epoch). A killed call made
    again with the same ``run.folder`` continues at its last checkpoint and, on the CPU, ends with the same bits.

    Args:
        run: device, precision, seed, scratch folder, curves and progress of the stage.
        modules: what is trained; a mapping where there are several.
        data: training items, see :class:`~cerebench.training.batches.Batches`.
        loss: batch → loss, or named values of which ``loss`` is minimised and the others are logged. A mapping of
            functions trains adversaries in turn at every step: each minimises its own loss over the module of its name.
        batch_size: items a step; a last incomplete batch of an epoch is left out.
        steps: optimiser steps in all. Give either this or ``epochs``.
        epochs: passes over the data.
        learning_rate: of the default optimiser, AdamW, and passed to ``optimizer``.
        optimizer: (parameters, learning rate) → optimiser.
        scheduler: (optimiser, steps in all) → scheduler, stepped after every optimiser step.
        clip_norm: gradient norm to clip to.
        augment: applied to each training batch on the device, without gradients; may draw from the global generators.
        validation: held-out items. The weights with the lowest validation loss, looked at after every epoch, are kept.
        validation_loss: ``loss`` unless given; it sees the same random draws at every epoch.
        patience: stop after so many epochs in a row without a lower validation loss.
        name: tells apart several trainings of one stage; names the checkpoint file.
        checkpoint_seconds: least time between two checkpoints, which are written at ends of epochs.

    Raises:
        MethodError: settings contradict each other, there is no data, or a loss is not finite.
    """
    named, losses, trained, judge = _roles(name, modules, loss, validation, validation_loss)
    if (steps is None) == (epochs is None):
        raise MethodError(f"training {name!r}: give either steps or epochs (found steps={steps}, epochs={epochs})")
    if len(data) == 0:
        raise MethodError(f"training {name!r}: there is no training item")
    used = run.trainings
    if name in used:
        raise MethodError(f"training {name!r} runs twice in one stage: give each training a name of its own")
    used.add(name)
    total = steps if steps is not None else len(epoch_order(len(data), batch_size, 0)) * (epochs or 0)
    identity = {
        "seed": run.seed,
        "precision": run.precision,
        "items": len(data),
        "batch_size": batch_size,
        "total": total,
        "learning_rate": learning_rate,
        "shapes": {
            key: {parameter: list(value.shape) for parameter, value in module.state_dict().items()}
            for key, module in named.items()
        },
    }
    with deterministic(run.device):
        session = Session(run, name, named, losses, trained, total, learning_rate, optimizer, scheduler, clip_norm)
        checkpoint = Checkpoint(run.folder, name, identity)
        saved = checkpoint.load()
        if saved is not None:
            session.restore(saved)
        if not session.complete:
            batches = Batches(data, run.device)
            held_out = None if validation is None or len(validation) == 0 else Batches(validation, run.device)
            saved_at = time.monotonic()
            while not session.done:
                order = epoch_order(len(data), batch_size, derived_seed(run.seed, name, session.epoch))
                session.run_epoch(batches, order[: total - session.step], augment)
                if held_out is not None and judge is not None:
                    session.validate(held_out, batch_size, judge, patience)
                session.end_epoch()
                if not session.done and time.monotonic() - saved_at >= checkpoint_seconds:
                    checkpoint.save(session.state())
                    saved_at = time.monotonic()
            session.finish()
            checkpoint.save(session.state())
    for module in named.values():
        module.eval()
    best = session.best or {"epoch": None, "loss": None}
    return Trained(session.step, session.epoch, session.last_loss, best["epoch"], best["loss"], session.resumed_at)


def _roles(
    name: str,
    modules: nn.Module | Mapping[str, nn.Module],
    loss: Loss | Mapping[str, Loss],
    validation: Sequence[Any] | Tensor | None,
    validation_loss: Loss | None,
) -> tuple[dict[str, nn.Module], dict[str, Loss], dict[str, nn.Module], Loss | None]:
    """Modules by name, losses by name, what each loss trains, and the loss that judges held-out data."""
    from torch import nn

    named = {"module": modules} if isinstance(modules, nn.Module) else dict(modules)
    if not isinstance(loss, Mapping):
        return named, {"loss": loss}, {"loss": nn.ModuleList(named.values())}, validation_loss or loss
    if unknown := sorted(set(loss) - set(named)):
        raise MethodError(f"training {name!r}: loss {unknown[0]!r} names no module (found {sorted(named)})")
    if validation is not None and validation_loss is None:
        raise MethodError(f"training {name!r}: several losses with validation data need a validation_loss")
    return named, dict(loss), {key: named[key] for key in loss}, validation_loss
