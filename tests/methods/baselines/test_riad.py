"""RIAD: masks, inpainting, gradient similarity against scipy's Prewitt filter, the score."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from cerebench.api import PredictContext
from cerebench.testing import assert_conforms
from cerebench_methods.baselines.riad import Riad
from cerebench_methods.baselines.riad_masks import disjoint_masks, inpainted
from cerebench_methods.baselines.riad_similarity import (
    SCALES,
    STABILITY,
    dissimilarity,
    gradient_magnitude,
    gradient_similarity,
)

SHAPE, SPACING = (24, 32), (4.0, 4.0)


def built(**settings: Any) -> Riad:
    torch.manual_seed(0)
    method = Riad(Riad.settings_for("mock", settings))
    method.build(("t2",), SHAPE, SPACING)
    method.network.eval()
    return method


def predicted(method: Riad, images: torch.Tensor, seed: int = 0) -> torch.Tensor:
    brain = torch.ones(len(images), *SHAPE, dtype=torch.bool)
    maps = method.predict(images, PredictContext(brain, SPACING, ("t2",), torch.device("cpu"), seed=seed)).maps
    assert maps is not None
    return maps


@pytest.mark.parametrize(("shape", "cell", "parts"), [((24, 32), 4, 3), ((23, 30), 4, 2), ((24, 32), 1, 3)])
def test_masks_are_disjoint_and_hide_everything_in_whole_cells(shape: tuple[int, int], cell: int, parts: int) -> None:
    torch.manual_seed(0)
    masks = disjoint_masks(shape, cell, parts, torch.device("cpu"))

    assert masks.shape == (parts, 1, *shape)
    assert set(masks.unique().tolist()) == {0, 1}
    assert torch.equal(masks.sum(0)[0], torch.ones(shape))
    rows, columns = (np.arange(side) // cell for side in shape)
    labels = rows[:, None] * (columns[-1] + 1) + columns[None]
    for mask in masks[:, 0].numpy():
        shares = ndimage.mean(mask, labels, np.arange(labels.max() + 1))
        assert set(shares) <= {0.0, 1.0}
        assert shares.sum() in (len(shares) // parts, -(-len(shares) // parts))
    again = disjoint_masks(shape, cell, parts, torch.device("cpu"))
    assert not torch.equal(masks, again)


def test_no_pixel_is_painted_by_a_network_that_saw_it() -> None:
    """A network that copies what it sees and answers 7 where there is nothing: only sevens may come out."""
    slices = torch.rand(5, 2, *SHAPE) + 0.1
    masks = disjoint_masks(SHAPE, 4, 3, torch.device("cpu"))

    painted = inpainted(lambda seen: torch.where(seen == 0, 7.0, seen), slices, masks)

    assert torch.equal(painted, torch.full_like(slices, 7.0))


def prewitt_magnitude(image: np.ndarray) -> np.ndarray:
    """scipy's filter smooths by sums; RIAD's by means of three."""
    rows, columns = (ndimage.prewitt(image, axis=axis, mode="constant") / 3 for axis in (0, 1))
    return np.hypot(rows, columns)


def test_gradient_magnitude_is_that_of_scipy() -> None:
    image = np.random.default_rng(0).random((2, 3, 15, 18))

    found = gradient_magnitude(torch.from_numpy(image)).numpy()

    expected = np.stack([[prewitt_magnitude(channel) for channel in item] for item in image])
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_dissimilarity_is_the_mean_over_the_pyramid() -> None:
    generator = np.random.default_rng(1)
    one, other = generator.random((2, 32, 48))
    expected = []
    for scale in range(SCALES):
        small = [image.reshape(32 >> scale, 2**scale, 48 >> scale, 2**scale).mean((1, 3)) for image in (one, other)]
        a, b = (prewitt_magnitude(image) for image in small)
        similarity = (2 * a * b + STABILITY) / (a**2 + b**2 + STABILITY)
        found = gradient_similarity(*(torch.from_numpy(image)[None, None] for image in small))
        np.testing.assert_allclose(found[0, 0].numpy(), similarity, atol=1e-5)
        expected.append(1 - similarity.mean())

    whole = dissimilarity(*(torch.from_numpy(image)[None, None] for image in (one, other)))

    assert whole.shape == (1, 1, 32, 48)
    # interpolation to full size keeps the mean up to the borders
    assert whole.mean().item() == pytest.approx(np.mean(expected), abs=0.02)
    assert dissimilarity(*(torch.from_numpy(one)[None, None],) * 2).abs().max() < 1e-6


def test_loss_is_the_weighted_sum_of_its_parts() -> None:
    method = built(structure_weight=0.5, gradient_weight=2.0)

    found = method.training_loss(torch.rand(2, 1, *method.canvas))

    expected = found["intensity"] + 0.5 * found["structure"] + 2 * found["gradients"]
    assert found["loss"].item() == pytest.approx(expected.item())
    assert all(part.item() > 0 for part in found.values())


def test_score_is_averaged_over_cell_sizes_and_smoothed() -> None:
    """With a network that paints grey, the difference is known at every pixel and size."""
    images = torch.rand(2, 1, *SHAPE)
    method = built(score="difference", cells_mm=(4.0, 16.0), smoothing_mm=12.0)

    class Grey(torch.nn.Module):
        def forward(self, seen: torch.Tensor) -> torch.Tensor:
            return torch.full_like(seen, 0.5)

    method.network = Grey()

    found = predicted(method, images)

    expected = [ndimage.uniform_filter(np.abs(image - 0.5), 3, mode="constant") for image in images[:, 0].numpy()]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    assert method.cells == [1, 4]
    assert method.window == 3


def test_masks_of_a_prediction_follow_the_seed() -> None:
    images, method = torch.rand(2, 1, *SHAPE), built()

    with torch.inference_mode():
        first, again, other = (predicted(method, images, seed) for seed in (0, 0, 1))

    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("preset", sorted(Riad.presets))
def test_presets_build(preset: str) -> None:
    method = Riad(Riad.settings_for(preset))
    method.build(("t1",), SHAPE, SPACING)

    with torch.inference_mode():
        assert predicted(method, torch.zeros(1, 1, *SHAPE)).shape == (1, *SHAPE)


def test_conforms() -> None:
    assert_conforms(Riad)
