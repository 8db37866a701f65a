"""The state of one training: modules, optimisers, the best weights, the place in the plan; all of it checkpointable."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from cerebench.contract.method import FitRun
from cerebench.errors import MethodError
from cerebench.training.batches import Batches
from cerebench.training.seeding import derived_seed, seed_all

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

Loss = Callable[[Any], "Tensor | Mapping[str, Tensor]"]
"""Batch on the device → the loss, or named values of which ``loss`` is minimised and the others are logged."""

OptimizerFactory = Callable[["list[nn.Parameter]", float], "Optimizer"]
SchedulerFactory = Callable[["Optimizer", int], "LRScheduler"]

FINITE_CHECK_STEPS = 50
"""On a GPU the losses are looked at this often, because looking stops the device; on the CPU at every step."""

PROGRESS_UPDATES = 200
"""At most so many progress reports a training."""


class Session:
    """One training between two checkpoints.

    Args:
        run: the stage's run.
        name: the training's name.
        modules: everything whose weights are saved.
        losses: what is minimised, by name.
        trained: the module each loss is minimised over, by the same name.
        total: optimiser steps in all.
        learning_rate: passed to the optimiser's factory.
        optimizer: factory of optimisers; AdamW if ``None``.
        scheduler: factory of schedulers; a constant rate if ``None``.
        clip_norm: gradient norm to clip to.
    """

    def __init__(
        self,
        run: FitRun,
        name: str,
        modules: Mapping[str, nn.Module],
        losses: Mapping[str, Loss],
        trained: Mapping[str, nn.Module],
        total: int,
        learning_rate: float,
        optimizer: OptimizerFactory | None,
        scheduler: SchedulerFactory | None,
        clip_norm: float | None,
    ) -> None:
        import torch
        from lightning_fabric import Fabric

        devices: int | list[int] = 1 if run.device.index is None else [run.device.index]
        precision: Any = run.precision
        self.fabric = Fabric(
            accelerator=run.device.type, devices=1 if run.device.type == "cpu" else devices, precision=precision
        )
        self.run, self.name, self.total, self.clip_norm = run, name, total, clip_norm
        self.modules, self.losses, self.trained = modules, losses, trained
        for module in modules.values():
            self.fabric.to_device(module)
        factory = optimizer or (lambda parameters, rate: torch.optim.AdamW(parameters, lr=rate))
        raw = {}
        for key, module in trained.items():
            parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
            if not parameters:
                raise MethodError(f"training {name!r}: {key!r} has no parameter to train")
            raw[key] = factory(parameters, learning_rate)
        self.schedulers = {} if scheduler is None else {key: scheduler(one, total) for key, one in raw.items()}
        self.optimizers: dict[str, Any] = {key: self.fabric.setup_optimizers(one) for key, one in raw.items()}
        self.step = self.epoch = self.resumed_at = self.stale = 0
        self.last_loss = math.nan
        self.best: dict[str, Any] | None = None
        self.complete = self.stopped = False
        self.first_row = len(run.curves)
        self._unchecked: list[tuple[int, str, Tensor]] = []

    @property
    def done(self) -> bool:
        """Whether no step is left."""
        return self.complete or self.stopped or self.step >= self.total

    def run_epoch(self, data: Batches, order: list[list[int]], augment: Callable[[Any], Any] | None) -> None:
        """Make the optimiser steps of one epoch and log the mean of every loss.

        Raises:
            MethodError: a loss is not finite.
        """
        import torch

        seed_all(derived_seed(self.run.seed, self.name, self.epoch))
        for module in self.modules.values():
            module.train()
        sums: dict[str, Tensor] = {}
        every = max(1, self.total // PROGRESS_UPDATES)
        for indices in order:
            batch = data.batch(indices)
            if augment is not None:
                with torch.no_grad():
                    batch = augment(batch)
            for key in self.losses:
                values = self._minimise(key, batch)
                for label, value in values.items():
                    sums[label] = sums[label] + value if label in sums else value
            self.step += 1
            if self.step % every == 0:
                self.run.progress(self.step, self.total, self.name)
        self._check_finite()
        means = {label: float(value) / len(order) for label, value in sums.items()}
        self.last_loss = means[next(iter(sums))]
        self._row = means

    def _minimise(self, key: str, batch: Any) -> dict[str, Tensor]:
        optimizer = self.optimizers[key]
        optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            values = _named(self.losses[key](batch), self.name)
        self._unchecked.append((self.step + 1, key, values["loss"].detach()))
        if self.run.device.type == "cpu" or len(self._unchecked) >= FINITE_CHECK_STEPS:
            self._check_finite()
        self.fabric.backward(values["loss"])
        if self.clip_norm is not None:
            self.fabric.clip_gradients(self.trained[key], optimizer, max_norm=self.clip_norm, error_if_nonfinite=False)
        optimizer.step()
        if key in self.schedulers:
            self.schedulers[key].step()
        prefix = "" if len(self.losses) == 1 else f"{key}."
        return {f"{prefix}{label}": value.detach().float() for label, value in values.items()}

    def _autocast(self) -> AbstractContextManager[Any]:
        context: AbstractContextManager[Any] = self.fabric.autocast()
        return context

    def _check_finite(self) -> None:
        for step, key, value in self._unchecked:
            if not math.isfinite(float(value)):
                raise MethodError(
                    f"training {self.name!r} diverged: {key} is {float(value)} at step {step} of {self.total}; "
                    "lower the learning rate or check the input"
                )
        self._unchecked.clear()

    def validate(self, data: Batches, batch_size: int, loss: Loss, patience: int | None) -> None:
        """Mean loss over held-out items; keeps the best weights and notices when they stop improving."""
        import torch

        seed_all(derived_seed(self.run.seed, self.name, "validation"))
        for module in self.modules.values():
            module.eval()
        total = 0.0
        with torch.no_grad(), self._autocast():
            for batch, size in data.in_order(batch_size):
                total += float(_named(loss(batch), self.name)["loss"]) * size
        value = total / len(data)
        if not math.isfinite(value):
            raise MethodError(
                f"training {self.name!r} diverged: the validation loss is {value} after step {self.step} of "
                f"{self.total}; lower the learning rate or check the input"
            )
        self._row["validation"] = value
        if self.best is None or value < self.best["loss"]:
            self.best = {"loss": value, "epoch": self.epoch, "weights": self._weights(copy=True)}
            self.stale = 0
        else:
            self.stale += 1
            self.stopped = patience is not None and self.stale >= patience

    def end_epoch(self) -> None:
        """Write the epoch's row of the curves."""
        rates = {
            "learning_rate" if len(self.optimizers) == 1 else f"{key}.learning_rate": one.param_groups[0]["lr"]
            for key, one in self.optimizers.items()
        }
        self.run.log(self.step, **self._row, **rates)
        self.epoch += 1

    def finish(self) -> None:
        """Take the best weights, if any were selected."""
        if self.best is not None:
            for key, module in self.modules.items():
                module.load_state_dict(self.best["weights"][key])
        self.complete = True
        self.run.progress(self.total, self.total, self.name)

    def state(self) -> dict[str, Any]:
        """Everything a resumed training needs, as tensors and plain values."""
        return {
            "step": self.step,
            "epoch": self.epoch,
            "stale": self.stale,
            "last_loss": self.last_loss,
            "complete": self.complete,
            "stopped": self.stopped,
            "best": self.best,
            "weights": self._weights(copy=False),
            "optimizers": {} if self.complete else {key: one.state_dict() for key, one in self.optimizers.items()},
            "schedulers": {} if self.complete else {key: one.state_dict() for key, one in self.schedulers.items()},
            "precision": self.fabric.strategy.precision.state_dict(),
            "curves": self.run.curves[self.first_row :],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        for key, module in self.modules.items():
            module.load_state_dict(state["weights"][key])
        for key, saved in state["optimizers"].items():
            self.optimizers[key].load_state_dict(saved)
        for key, saved in state["schedulers"].items():
            self.schedulers[key].load_state_dict(saved)
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        self.step, self.epoch, self.stale = state["step"], state["epoch"], state["stale"]
        self.last_loss, self.best = state["last_loss"], state["best"]
        self.complete, self.stopped = state["complete"], state["stopped"]
        self.resumed_at = self.step
        self.run.curves.extend(state["curves"])

    def _weights(self, copy: bool) -> dict[str, dict[str, Tensor]]:
        return {
            key: {k: v.detach().clone() if copy else v.detach() for k, v in module.state_dict().items()}
            for key, module in self.modules.items()
        }


def _named(value: Tensor | Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    if not isinstance(value, Mapping):
        return {"loss": value}
    if "loss" not in value:
        raise MethodError(f"training {name!r}: the loss function returned {sorted(value)}, expected an entry 'loss'")
    return {"loss": value["loss"], **value}
