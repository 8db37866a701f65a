"""The healthy atlas: alignment against known transforms, mean and spread against numpy, z-scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from cerebench.api import FitRun, PredictContext, Volume
from cerebench.testing import assert_conforms
from cerebench.testing.mock import MemoryVolumes
from cerebench_methods.baselines import healthy_atlas_registration as registration
from cerebench_methods.baselines.healthy_atlas import HealthyAtlas
from cerebench_methods.baselines.healthy_atlas_statistics import Sums, atlas
from cerebench_methods.baselines.healthy_atlas_volume import Brain, Frame

SHAPE, SPACING = (40, 48, 36), (4.0, 4.0, 4.0)
STEP = torch.tensor(SPACING)


def head(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> tuple[np.ndarray, np.ndarray]:
    """A textured ellipsoid without any symmetry and its mask; texture is drawn at ``SHAPE``."""
    axes = np.meshgrid(*[np.linspace(-1, 1, side) for side in SHAPE], indexing="ij")
    brain = np.sum([np.square(axis / half) for axis, half in zip(axes, (0.7, 0.8, 0.65), strict=True)], axis=0) < 1
    texture = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), 3)
    image = np.where(brain, 0.5 + 0.15 * texture / texture.std(), 0)
    factors = [wanted / side for wanted, side in zip(shape, SHAPE, strict=True)]
    # the middle of the grid stays where it is
    fine = ndimage.zoom(image, factors, order=1, grid_mode=True, mode="grid-constant")
    inside = ndimage.zoom(brain.astype(float), factors, order=1, grid_mode=True, mode="grid-constant") > 0.5
    return fine * inside, inside


def turned(image: np.ndarray, transform: np.ndarray) -> np.ndarray:
    """scipy's resampling: what lies at place p of the result lay at ``transform`` p before."""
    middle = (np.array(image.shape) - 1) / 2
    offset = middle - transform[:, :3] @ middle + transform[:, 3] / SPACING[0]
    return np.asarray(ndimage.affine_transform(image, transform[:, :3], offset, order=1))


def some_transform() -> np.ndarray:
    turn = np.array([[0.990, -0.122, 0.070], [0.127, 0.989, -0.080], [-0.059, 0.088, 0.994]])
    return np.column_stack([turn @ np.diag([1.08, 0.94, 1.05]), [6.0, -9.0, 5.0]])


def as_brain(image: np.ndarray, inside: np.ndarray, step: torch.Tensor = STEP) -> Brain:
    return Brain(torch.from_numpy(image[None].astype(np.float32)), torch.from_numpy(inside), step)


def misplaced_mm(found: torch.Tensor, expected: np.ndarray, inside: np.ndarray) -> float:
    places = registration.grid_places(inside.shape, STEP)[torch.from_numpy(inside).flatten()].double()
    gap = registration.moved(found, places) - registration.moved(torch.from_numpy(expected), places)
    return float(gap.norm(dim=1).mean())


def test_values_between_voxels_are_those_of_scipy() -> None:
    volume = np.random.default_rng(0).random((2, 7, 9, 8))
    places = np.random.default_rng(1).uniform(-18, 18, (200, 3))
    step = torch.tensor([4.0, 3.0, 5.0], dtype=torch.float64)
    indices = (places / step.numpy() + (np.array(volume.shape[1:]) - 1) / 2).T

    for outside, mode in (("zeros", "grid-constant"), ("border", "nearest")):
        found = registration.sample(torch.from_numpy(volume), torch.from_numpy(places), step, outside)
        expected = [ndimage.map_coordinates(channel, indices, order=1, mode=mode) for channel in volume]
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_inverse_leads_back() -> None:
    transform, places = torch.from_numpy(some_transform()), torch.randn(20, 3, dtype=torch.float64)

    again = registration.moved(registration.inverse(transform), registration.moved(transform, places))

    torch.testing.assert_close(again, places)


@pytest.mark.parametrize("lesion", [False, True])
def test_known_transform_is_found(lesion: bool) -> None:
    """The fixed head is the moving one resampled by scipy; a large bright lesion in it does not lead astray."""
    image, inside = head()
    transform = some_transform()
    fixed, fixed_inside = turned(image, transform), turned(inside.astype(float), transform) > 0.5
    if lesion:
        image[12:20, 14:22, 14:22] = 1.5
    frame = Frame(torch.from_numpy(fixed).float(), torch.from_numpy(fixed_inside).float(), STEP)

    found = frame.transform_to(as_brain(image, inside))

    start = registration.by_moments(
        registration.moments(torch.from_numpy(fixed_inside), STEP),
        registration.moments(torch.from_numpy(inside), STEP),
    ).double()
    assert misplaced_mm(start, transform, fixed_inside) > 4
    assert misplaced_mm(found, transform, fixed_inside) < 0.5


def test_voxel_sizes_may_differ() -> None:
    """The same head at half the voxel size is found where it is, to a quarter of a voxel: its rim is another."""
    image, inside = head()
    fine, fine_inside = head(shape=tuple(2 * side for side in SHAPE))
    frame = Frame(torch.from_numpy(image).float(), torch.from_numpy(inside).float(), STEP)

    found = frame.transform_to(as_brain(fine, fine_inside, STEP / 2))

    assert misplaced_mm(found, np.eye(4)[:3], inside) < 1


def test_brains_of_another_extent_are_scaled_to_it() -> None:
    inside = torch.from_numpy(head()[1])
    places = registration.grid_places(SHAPE, STEP)[inside.flatten()].numpy()
    centre, extent = registration.moments(inside, STEP)

    np.testing.assert_allclose(centre.numpy(), places.mean(0), atol=1e-3)
    np.testing.assert_allclose(extent.numpy(), places.std(0, ddof=1), rtol=1e-4)
    transform = registration.by_moments((torch.zeros(3), 2 * extent), (centre, extent))
    torch.testing.assert_close(transform, torch.column_stack([torch.eye(3) / 2, centre]))


def summed(values: np.ndarray, weights: np.ndarray) -> Sums:
    sums = Sums(values.shape[1:], "cpu")
    for value, weight in zip(values, weights, strict=True):
        sums.add(torch.from_numpy(value * weight), torch.from_numpy(weight))
    return sums


def test_mean_and_spread_are_those_of_numpy() -> None:
    generator = np.random.default_rng(0)
    values, weights = generator.random((9, 2, 6, 7, 8)), generator.uniform(0.2, 1, (9, 6, 7, 8))

    mean, spread = atlas(summed(values, weights), STEP, 0.0, 1e-3, 1e-9)

    shown = np.broadcast_to(weights[:, None], values.shape)
    expected = np.average(values, axis=0, weights=shown)
    np.testing.assert_allclose(mean.numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(
        spread.numpy(), np.sqrt(np.average((values - expected) ** 2, axis=0, weights=shown)), atol=1e-6
    )


def test_spread_has_a_least_value_and_is_smoothed() -> None:
    generator = np.random.default_rng(0)
    values = 0.5 + generator.normal(size=(30, 1, 12, 12, 12)) * 0.1
    values[:, :, 6:] = 0.5
    sums = summed(values, np.ones((30, 12, 12, 12)))

    sharp, soft = (atlas(sums, STEP, spread_mm, 0.02, 1e-9)[1][0].numpy() for spread_mm in (0.0, 8.0))

    assert sharp[6:].max() == sharp[6:].min() == np.float32(0.02)
    assert soft[6].min() > 0.04
    assert soft[:4].std() < 0.5 * sharp[:4].std()


def test_where_no_brain_reaches_the_neighbourhood_counts() -> None:
    values, weights = np.full((4, 1, 20, 9, 9), 0.7), np.ones((4, 20, 9, 9))
    values[:, :, 8:] = weights[:, 8:] = 0

    mean, _ = atlas(summed(values, weights), STEP, 0.0, 0.02, 1.0)

    np.testing.assert_allclose(mean.numpy(), 0.7, atol=2e-3)


def scored(method: HealthyAtlas, image: np.ndarray, inside: np.ndarray) -> np.ndarray:
    context = PredictContext(torch.from_numpy(inside)[None], SPACING, ("t1",), torch.device("cpu"), seed=0)
    with torch.inference_mode():
        maps = method.predict(torch.from_numpy(image.astype(np.float32))[None, None], context).maps
    assert maps is not None
    return maps[0].numpy()


@pytest.mark.parametrize("polarity", ["absolute", "bright", "dark"])
def test_score_is_the_distance_in_spreads(polarity: str) -> None:
    """A head that is its own template needs no alignment: the score is known at every voxel."""
    image, inside = head()
    method = HealthyAtlas(HealthyAtlas.settings_for("mock", {"polarity": polarity}))
    method.build(("t1",), SHAPE, SPACING)
    method.template, method.share = torch.from_numpy(image).float(), torch.from_numpy(inside).float()
    method.mean = torch.full((1, *SHAPE), 0.5)
    method.spread = torch.full((1, *SHAPE), 0.2)

    distance = (image - 0.5) / 0.2 * inside
    expected = {"absolute": np.abs(distance), "bright": distance.clip(0), "dark": (-distance).clip(0)}[polarity]
    np.testing.assert_allclose(scored(method, image, inside), expected, atol=1e-4)


def test_healthy_heads_score_low_and_a_lesion_high(tmp_path: Path) -> None:
    """Ten heads of one texture, moved about: after alignment little differs, and a lesion stands out."""
    generator = np.random.default_rng(3)
    image, inside = head()
    cases: list[tuple[Any, Any]] = []
    for _ in range(10):
        transform = np.column_stack([np.eye(3) + generator.normal(size=(3, 3)) * 0.04, generator.normal(size=3) * 4])
        brain = turned(inside.astype(float), transform) > 0.5
        cases.append((np.where(brain, turned(image, transform), 0), brain))
    volumes = [Volume(one[None].astype(np.float32), brain, SPACING, ("t1",)) for one, brain in cases]
    method = HealthyAtlas(HealthyAtlas.settings_for("quick"))
    method.build(("t1",), SHAPE, SPACING)
    method.fit(MemoryVolumes(volumes[:9]), MemoryVolumes([]), FitRun(torch.device("cpu"), "32-true", 0, tmp_path))
    ill, brain = cases[9]
    healthy = scored(method, ill, brain)
    ill = ill.copy()
    ill[18:22, 20:24, 16:20] += 0.5

    found = scored(method, ill, brain)

    assert np.median(healthy[brain]) < 1
    assert found[18:22, 20:24, 16:20].mean() > 5 * found[brain].mean()


@pytest.mark.parametrize("preset", sorted(HealthyAtlas.presets))
def test_presets_build(preset: str) -> None:
    method = HealthyAtlas(HealthyAtlas.settings_for(preset))
    method.build(("t1", "t2"), (9, 8, 7), SPACING)

    assert method.mean.shape == (2, 9, 8, 7)


def test_conforms() -> None:
    assert_conforms(HealthyAtlas)
