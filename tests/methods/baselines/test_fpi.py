"""Foreign patch interpolation: partners, rectangles, blending, what the network has to predict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from sklearn.metrics import log_loss

from cerebench.api import PredictContext
from cerebench.testing import assert_conforms
from cerebench_methods.baselines.fpi import ForeignPatchInterpolation
from cerebench_methods.baselines.fpi_patches import (
    LEAST_FACTOR,
    MOST_FACTOR,
    foreign_slices,
    interpolated,
    rectangles,
)

SHAPE, SPACING = (24, 32), (4.0, 4.0)


def discs(radii: list[int], value: float = 1.0) -> torch.Tensor:
    rows, columns = np.indices(SHAPE)
    distance = np.hypot(rows - 12, columns - 16)
    return torch.from_numpy(np.stack([(distance < radius) * value for radius in radii])[:, None]).float()


def built(**settings: Any) -> ForeignPatchInterpolation:
    torch.manual_seed(0)
    method = ForeignPatchInterpolation(ForeignPatchInterpolation.settings_for("mock", settings))
    method.build(("t2",), SHAPE, SPACING)
    return method


def test_partner_is_the_most_overlapping_other_slice() -> None:
    slices = discs([4, 10, 5, 9]) * torch.tensor([0.1, 0.2, 0.3, 0.4]).view(4, 1, 1, 1)

    assert foreign_slices(slices).amax((1, 2, 3)).tolist() == pytest.approx([0.3, 0.4, 0.1, 0.2])
    assert torch.equal(foreign_slices(slices[:1]), slices[:1])


def test_rectangles_lie_about_brain_and_have_the_set_sides() -> None:
    torch.manual_seed(0)
    slices = discs([6]).repeat(400, 1, 1, 1)

    found = rectangles(slices, 0.1, 0.4).numpy()[:, 0]

    heights, widths, middles = [], [], []
    for one in found:
        labels, count = ndimage.label(one)
        assert count == 1
        (rows, columns) = ndimage.find_objects(labels)[0]
        assert one.sum() == (rows.stop - rows.start) * (columns.stop - columns.start)
        heights.append(rows.stop - rows.start)
        widths.append(columns.stop - columns.start)
        middles.append(((rows.start + rows.stop - 1) / 2, (columns.start + columns.stop - 1) / 2))
    assert (min(heights), max(heights)) == (3, 9)
    assert (min(widths), max(widths)) == (3, 13)
    assert np.abs(np.mean(middles, axis=0) - (12, 16)).max() < 0.6
    assert max(np.hypot(row - 12, column - 16) for row, column in middles) < 7
    assert rectangles(torch.zeros(2, 1, *SHAPE), 0.1, 0.4).sum() == 0


def test_patches_are_blended_by_the_factor_that_is_to_be_predicted() -> None:
    torch.manual_seed(1)
    pair = torch.cat([discs([9], 0.3), discs([7], 0.9)])

    drawn = [interpolated(pair, 0.2, 0.5) for _ in range(20)]

    blended, factors = (torch.cat([one[part] for one in drawn]) for part in (0, 1))
    slices = pair.repeat(20, 1, 1, 1)
    foreign = pair.flip(0).repeat(20, 1, 1, 1)
    both = (slices * foreign) > 0
    np.testing.assert_allclose(blended.numpy(), ((1 - factors) * slices + factors * foreign).numpy(), atol=1e-6)
    assert factors[~both].abs().max() == 0
    peaks = factors.amax((1, 2, 3))
    assert LEAST_FACTOR <= peaks.min() < 0.3 < 0.7 < peaks.max() <= MOST_FACTOR
    assert all(len(one.unique()) == 2 for one in factors)


def test_loss_is_the_cross_entropy_of_the_factor(monkeypatch: pytest.MonkeyPatch) -> None:
    """scikit-learn knows hard labels only: both outcomes, weighted by the factor."""
    method = built(least_side=0.1, most_side=0.4)
    monkeypatch.setattr(method, "logits", lambda blended: 3 * blended[:, :1] - 1)
    batch = torch.rand(6, 1, *SHAPE) + 0.01

    torch.manual_seed(2)
    loss = method.training_loss(batch)
    torch.manual_seed(2)
    blended, factors = interpolated(batch, 0.1, 0.4)

    chances = (3 * blended - 1).sigmoid().flatten().numpy()
    weights = factors.flatten().numpy()
    outcomes = np.repeat([1, 0], len(chances))
    expected = log_loss(outcomes, np.tile(chances, 2), sample_weight=np.concatenate([weights, 1 - weights]))
    assert loss.item() == pytest.approx(expected, rel=1e-4)


def test_score_is_the_predicted_factor_inside_the_brain(monkeypatch: pytest.MonkeyPatch) -> None:
    method, images = built(), torch.rand(2, 1, *SHAPE)
    monkeypatch.setattr(method, "logits", lambda padded: 2 * padded)
    brain = torch.rand(2, *SHAPE) < 0.5

    maps = method.predict(images, PredictContext(brain, SPACING, ("t2",), torch.device("cpu"), seed=0)).maps

    torch.testing.assert_close(maps, torch.where(brain, (2 * images[:, 0]).sigmoid(), 0.0))


@pytest.mark.parametrize("preset", sorted(ForeignPatchInterpolation.presets))
def test_presets_build(preset: str) -> None:
    method = ForeignPatchInterpolation(ForeignPatchInterpolation.settings_for(preset))
    method.build(("t1", "t2"), (37, 45), SPACING)

    with torch.no_grad():
        assert method.logits(torch.zeros(1, 2, *method.canvas)).shape == (1, 1, *method.canvas)


def test_conforms() -> None:
    assert_conforms(ForeignPatchInterpolation)
