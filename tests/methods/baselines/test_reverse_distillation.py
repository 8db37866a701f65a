"""Reverse distillation: cosine distance against scipy, shapes of the student, a frozen teacher, learning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cosine

from cerebench.api import FitRun, PredictContext
from cerebench.testing import assert_conforms, mock_volumes
from cerebench_methods.baselines.reverse_distillation import ReverseDistillation
from cerebench_methods.baselines.reverse_distillation_student import Student, cosine_distance

SHAPE, SPACING = (32, 40), (4.0, 4.0)


def built(preset: str = "mock", **settings: Any) -> ReverseDistillation:
    torch.manual_seed(0)
    method = ReverseDistillation(ReverseDistillation.settings_for(preset, settings))
    method.build(("t2",), SHAPE, SPACING)
    return method


def test_distance_is_that_of_scipy_at_every_position() -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randn(2, 5, 3, 4, generator=generator) for _ in range(2))

    found = cosine_distance(one, other)

    assert found.shape == (2, 3, 4)
    for item, row, column in np.ndindex(2, 3, 4):
        expected = cosine(one[item, :, row, column].numpy(), other[item, :, row, column].numpy())
        assert found[item, row, column].item() == pytest.approx(expected, abs=1e-6)


def test_student_restores_the_shapes_through_half_the_smallest_size() -> None:
    student = Student([4, 8, 16])
    sizes: list[tuple[int, ...]] = []
    student.embedding.register_forward_hook(lambda module, given, code: sizes.append(tuple(code.shape)))
    levels = [torch.rand(2, 4, 16, 24), torch.rand(2, 8, 8, 12), torch.rand(2, 16, 4, 6)]

    restored = student(levels)

    assert [one.shape for one in restored] == [level.shape for level in levels]
    assert sizes == [(2, 32, 2, 3)]


def test_training_teaches_the_student_alone(tmp_path: Path) -> None:
    method = built(steps=60)
    teacher = {key: value.clone() for key, value in method.encoder.state_dict().items()}
    run = FitRun(torch.device("cpu"), "32-true", 0, tmp_path)

    method.fit(mock_volumes(method.info, 4), mock_volumes(method.info, 2, seed=1), run)

    assert all(torch.equal(teacher[key], value) for key, value in method.encoder.state_dict().items())
    assert min(row["validation"] for row in run.curves) < 0.5 * run.curves[0]["loss"]


def test_the_map_is_the_sum_of_the_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    method = built(smooth_mm=0)
    grids = [torch.full((1, 8, 8), 0.25), torch.full((1, 4, 4), 0.5), torch.ones(1, 2, 2)]
    monkeypatch.setattr(method, "distances", lambda slices: grids)
    brain = torch.zeros(1, *SHAPE, dtype=torch.bool)
    brain[:, 4:20] = True
    context = PredictContext(brain, SPACING, ("t2",), torch.device("cpu"), 0)

    maps = method.predict(torch.rand(1, 1, *SHAPE), context).maps

    torch.testing.assert_close(maps, 1.75 * brain)


@pytest.mark.parametrize("preset", sorted(set(ReverseDistillation.presets) - {"paper"}))
def test_presets_build(preset: str) -> None:
    method = built(preset)

    with torch.no_grad():
        sizes = [tuple(grid.shape[1:]) for grid in method.distances(torch.rand(1, 1, *SHAPE))]

    assert sizes == [method.encoder.grid(level) for level in (1, 2, 3)]


def test_conforms() -> None:
    assert_conforms(ReverseDistillation)
