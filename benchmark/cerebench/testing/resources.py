"""Checks on where a method runs and what it takes there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from cerebench.testing.meter import Cost, metered
from cerebench.testing.outcome import Measured, NotApplicable, require
from cerebench.testing.trial import TRAINING_CASES, Trial

if TYPE_CHECKING:
    from torch import device


def cost(trial: Trial) -> Measured:
    """Time and memory of the training and of one prediction on mock volumes: reported, nothing is required."""
    inputs = trial.inputs([trial.case(0, 1)])
    trial.predict(trial.method, inputs)  # the first call may compile and allocate
    with metered(trial.target) as predicting:
        trial.predict(trial.method, inputs)
    held = sum(value.numel() * value.element_size() for value in trial.method.tensors().values()) / 2**20
    training = trial.second[1] if trial.info.stages else Cost()
    figures = {
        "training_s": training.seconds,
        "training_memory_mib": training.memory_mib,
        "prediction_s": predicting.seconds,
        "prediction_memory_mib": predicting.memory_mib,
        "tensors_mib": held,
    }
    trained = f"training on {TRAINING_CASES} volumes {training.seconds:.2g} s and {training.memory_mib:.0f} MiB, "
    text = (
        f"{trained if trial.info.stages else ''}prediction of one of {' × '.join(map(str, trial.shape))} voxels "
        f"{predicting.seconds:.2g} s and {predicting.memory_mib:.0f} MiB, tensors {held:.2g} MiB"
    )
    return Measured(text, figures)


def on_gpu(trial: Trial) -> Measured:
    """Training and prediction on a GPU where one is present, beside those on the CPU."""
    if trial.target.type == "cuda":
        raise NotApplicable("every check ran on the GPU")
    target = gpu()
    if target is None:
        raise NotApplicable("no CUDA device is present")
    there = Trial(trial.cls, trial.preset, target, trial.folder)
    there.predict(there.method, there.inputs([there.case(0, 1)]))
    _, artefact = trial.first
    moved = there.predict(there.restored(artefact), there.inputs([there.case(0, 1)]))
    here = trial.predict(trial.method, trial.inputs([trial.case(0, 1)]))
    gaps = [0.0]
    for what in ("maps", "scores"):
        one, other = getattr(here, what), getattr(moved, what)
        if one is None:
            continue
        require(other is not None and other.device.type == target.type, f"{what} are not on {target}")
        require(bool(torch.isfinite(other).all()), f"{what} on {target} are not finite")
        spread = float(one.max() - one.min()) or 1.0
        gaps.append(float((one.double() - other.cpu().double()).abs().max()) / spread)
    return Measured(
        f"trains and predicts on {target}; weights from the CPU give up to {max(gaps):.2g} of the spread else there",
        {"cpu_gap": max(gaps)},
    )


def gpu() -> device | None:
    """The first GPU that torch sees."""
    return torch.device("cuda:0") if torch.cuda.is_available() else None
