"""Which slices are learnt from, where the training source blanks some, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cerebench.api import FitRun, MethodError, Volume
from cerebench.testing.mock import MemoryVolumes
from cerebench_methods.symmetry.frame import Frame
from cerebench_methods.symmetry.plane import Plane
from cerebench_methods.symmetry_inverse.slices import (
    aligned_slices,
    root_mean_square,
    upright_differences,
    usable_slices,
)

SHAPE, SPACING, CANVAS = (40, 48, 30), (4.0, 4.0, 4.0), (48, 48)


def ball(blank: tuple[int, ...] = ()) -> np.ndarray:
    """An ellipsoid brain on slices 3 to 26 without the blank ones."""
    axes = np.meshgrid(*[np.arange(side) - (side - 1) / 2 for side in SHAPE], indexing="ij")
    brain = sum(np.square(axis / half) for axis, half in zip(axes, (18, 22, 12), strict=True)) < 1
    brain[:, :, list(blank)] = False
    return brain


def frame(roll: float) -> Frame:
    return Frame(Plane(0.0, roll, 0.0), SHAPE, CANVAS, SPACING)


def test_upright_head_loses_only_what_is_blank() -> None:
    usable = usable_slices(ball((10, 11)), frame(0.0), 0.0, steps=1)

    assert np.flatnonzero(usable).tolist() == [3, 4, 5, 6, 7, 8, 9, *range(12, 27)]


def test_tilted_head_loses_neighbours_of_blank_slices_but_none_at_natural_ends() -> None:
    """18 voxels × tan 5° = 1.6 slices of reach: two on either side, four after two resamplings."""
    once, twice = (usable_slices(ball((14, 15)), frame(5.0), 0.0, steps=steps) for steps in (1, 2))

    assert np.flatnonzero(once).tolist() == [*range(3, 12), *range(18, 27)]
    assert np.flatnonzero(twice).tolist() == [*range(3, 10), *range(20, 27)]


def test_a_cut_end_is_no_natural_end() -> None:
    """Slices are blank from the middle of the head upwards: what is above the cut is unknown."""
    usable = usable_slices(ball(tuple(range(16, 30))), frame(5.0), 0.0, steps=1)

    assert np.flatnonzero(usable).tolist() == list(range(3, 14))


def test_slices_with_little_brain_are_left_out() -> None:
    brain = ball()
    areas = brain.mean(axis=(0, 1))

    usable = usable_slices(brain, frame(0.0), 0.3, steps=1)

    assert np.array_equal(usable, areas >= 0.3)
    assert 0 < usable.sum() < (areas > 0).sum()


def test_no_slice_of_a_blanked_tilted_head_has_a_hole(head: Callable, tmp_path: Path) -> None:
    """Slices of the intact head, at the same places, are the same: nothing blank reached those that were kept."""
    volume = head(0, pose_deg=0.0)
    blanked = volume.brain.copy()
    blanked[:, :, 20:24] = False
    image = volume.image * blanked
    run = FitRun(torch.device("cpu"), "32-true", 0, tmp_path)
    tilted = Frame(Plane(2.0, 6.0, 3.0), volume.brain.shape, CANVAS, SPACING)
    for steps in (1, 2):
        usable = usable_slices(blanked, tilted, 0.02, steps)
        whole, holed = (tilted.to_symmetric(torch.from_numpy(np.array(one))) for one in (volume.image, image))
        if steps == 2:
            whole, holed = tilted.to_upright(whole), tilted.to_upright(holed)
        same = (whole - holed).abs().amax((0, 1, 2)) < 1e-6
        assert usable.sum() > 10
        assert same[torch.from_numpy(usable)].all()
    kept = aligned_slices(MemoryVolumes([Volume(image, blanked, SPACING, ("t1",))]), CANVAS, 0.02, run)
    assert kept.shape[1:] == (1, *CANVAS)
    assert kept.flatten(1).count_nonzero(1).min() > 0.02 * np.prod(CANVAS) * 0.5


def test_differences_come_slice_by_slice(head: Callable, tmp_path: Path) -> None:
    volume = head(1)
    run = FitRun(torch.device("cpu"), "32-true", 0, tmp_path)

    found = upright_differences(
        MemoryVolumes([volume, volume]), CANVAS, 0.02, run, lambda _, image: image.permute(3, 0, 1, 2) - 1
    )

    assert len(found) % 2 == 0
    assert torch.equal(*found.chunk(2))
    assert found.min() == -1


def test_nothing_to_learn_from_is_said(tmp_path: Path) -> None:
    volume = Volume(np.zeros((1, *SHAPE), np.float32), np.zeros(SHAPE, bool), SPACING, ("t1",))
    run = FitRun(torch.device("cpu"), "32-true", 0, tmp_path)

    with pytest.raises(MethodError, match="no axial slice to learn from in 1 volumes"):
        aligned_slices(MemoryVolumes([volume]), CANVAS, 0.02, run)


def test_root_mean_square_leaves_out_zeros() -> None:
    maps = torch.zeros(3, 1, 4, 4)
    maps[0, 0, 0, :2] = torch.tensor([3.0, -4.0])

    assert root_mean_square(maps).item() == pytest.approx(np.sqrt(12.5))
    assert root_mean_square(torch.zeros(1, 1, 2, 2)) > 0
