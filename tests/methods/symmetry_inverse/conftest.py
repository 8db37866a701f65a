"""Phantom heads, and one small trained method for the whole folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cerebench.api import FitRun, Volume, Volumes
from cerebench_methods.symmetry_inverse.method import SymmetryInverse

SPACING = (4.0, 4.0, 4.0)


@cache
def phantom(seed: int, asymmetry: float = 1.0, spacing: float = 4.0, pose_deg: float = 0.0) -> Volume:
    """A healthy T1 head of the in-silico generator, scaled so that tissue lies in [0, 1]."""
    from cerebench_datasets.insilico.centres import make_centre
    from cerebench_datasets.insilico.parameters import PhantomParameters, Scanner
    from cerebench_datasets.insilico.subject import Examination, make_subject

    parameters = PhantomParameters.model_validate({"anatomy": {"asymmetry": asymmetry, "pose_deg": pose_deg}})
    who = Examination(seed, "phantom", f"subject-{seed}", None, False)
    subject = make_subject(who, spacing, "none", parameters)
    scan = subject.scan("t1", make_centre("phantom", None, parameters.scanner, Scanner()))
    brain = np.asarray(subject.brain)
    image = np.where(brain, scan / np.percentile(scan[brain], 99), 0).astype(np.float32)
    return Volume(image[None], brain, (spacing, spacing, spacing), ("t1",))


@pytest.fixture(scope="session")
def head() -> Callable[..., Volume]:
    return phantom


@pytest.fixture(scope="session")
def train() -> Callable[..., SymmetryInverse]:
    """(training volumes, validation volumes, folder, settings) → method after both healthy stages."""

    def trained(volumes: Volumes, held_out: Volumes, folder: Path, **settings: Any) -> SymmetryInverse:
        import torch

        from cerebench.training.seeding import seed_all

        seed_all(0)
        method = SymmetryInverse(SymmetryInverse.settings_for("mock", settings))
        method.build(volumes[0].modalities, volumes[0].brain.shape, volumes[0].spacing)
        for number, stage in enumerate((method.fit, method.embed)):
            stage(volumes, held_out, FitRun(torch.device("cpu"), "32-true", number, folder / str(number)))
        return method

    return trained
