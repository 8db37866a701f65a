"""Null control of clinical variables: in silico ones without effect give chance, ones with effect do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from cerebench.api import FitRun, PredictContext, Volume
from cerebench.testing.mock import MemoryVolumes
from cerebench_datasets.insilico.kinds.clinical import draw_history, lesion_row, progression_chance
from cerebench_methods.clinical.method import Clinical

BRAIN = np.ones((2, 2, 2), bool)


def lesions(count: int, effect: float, seed: int) -> list[Volume]:
    """Lesions of one patient each, whose images say nothing."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        history = draw_history(rng)
        outcome = int(rng.random() < progression_chance(history, 0.6, effect))
        row = lesion_row(rng, history, outcome, effect, missing=0.08)
        image = np.zeros((1, *BRAIN.shape), np.float32)
        found.append(Volume(image, BRAIN, (4.0,) * 3, ("t1c",), covariates=row, label=outcome))
    return found


@pytest.mark.parametrize(("effect", "low", "high"), [(0.0, 0.46, 0.54), (1.0, 0.66, 0.86)])
def test_area_follows_the_effect(tmp_path: Path, effect: float, low: float, high: float) -> None:
    method = Clinical(Clinical.settings_for("quick"))
    method.build(("t1c",), BRAIN.shape, (4.0,) * 3)
    run = FitRun(torch.device("cpu"), "32-true", 0, tmp_path / "scratch")
    method.fit(MemoryVolumes(lesions(400, effect, 1)), MemoryVolumes([]), run)
    tested = lesions(2000, effect, 2)
    brain = torch.ones(len(tested), *BRAIN.shape, dtype=torch.bool)
    covariates = tuple(volume.covariates or {} for volume in tested)
    context = PredictContext(brain, (4.0,) * 3, ("t1c",), torch.device("cpu"), 0, None, covariates)
    scores = method.predict(torch.zeros(len(tested), 1, *BRAIN.shape), context).scores
    assert scores is not None
    # standard error of an area of 2,000 lesions without signal: 0.013
    assert low < roc_auc_score([volume.label for volume in tested], scores.numpy()) < high
