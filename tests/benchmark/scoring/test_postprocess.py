"""Filters against SciPy and brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from cerebench.scoring.postprocess import erode, median_filter, median_size, median_unfold, remove_small


@pytest.fixture
def volume() -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    brain = np.zeros((14, 12, 11), bool)
    brain[2:12, 1:11, 2:10] = True
    return torch.from_numpy(rng.standard_normal(brain.shape).astype(np.float32)), torch.from_numpy(brain)


@pytest.mark.parametrize(
    ("spacing", "size"),
    [((1, 1, 1), (5, 5, 5)), ((0.5, 1, 3), (11, 5, 3)), ((1.25, 1.7, 2), (5, 3, 3)), ((4, 4, 4), (3, 3, 3))],
)
def test_window_is_odd_and_about_5_mm(spacing: tuple[float, ...], size: tuple[int, ...]) -> None:
    assert median_size(spacing) == size


@pytest.mark.parametrize("size", [(3, 3, 3), (5, 3, 5)])
@pytest.mark.parametrize("slab_bytes", [1, 100_000, 1 << 28])
def test_unfold_equals_scipy(volume: tuple[torch.Tensor, torch.Tensor], size: tuple[int, ...], slab_bytes: int) -> None:
    expected = ndimage.median_filter(volume[0].numpy(), size=size, mode="nearest")
    assert np.array_equal(median_unfold(volume[0], size, slab_bytes).numpy(), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_background_takes_part_as_the_lowest_brain_value(
    volume: tuple[torch.Tensor, torch.Tensor], dtype: torch.dtype
) -> None:
    maps, brain = volume[0].to(dtype), volume[1]
    before = maps.clone()
    found = median_filter(maps, brain, (2.0, 2.0, 1.0))
    values = maps.double().numpy()
    lowest = values[brain.numpy()].min()
    filled = np.where(brain.numpy(), values, lowest)
    expected = np.where(brain.numpy(), ndimage.median_filter(filled, size=(3, 3, 5), mode="nearest"), lowest)
    assert np.array_equal(found.double().numpy(), expected)
    assert found.dtype == dtype
    assert torch.equal(maps, before)
    # what lies outside the brain has no say
    spoilt = torch.where(brain, maps, torch.tensor(1000.0, dtype=dtype))
    assert torch.equal(median_filter(spoilt, brain, (2.0, 2.0, 1.0)), found)


def test_empty_brain_and_wrong_shapes(volume: tuple[torch.Tensor, torch.Tensor]) -> None:
    maps, brain = volume
    assert torch.equal(median_filter(maps, torch.zeros_like(brain), (1, 1, 1)), maps)
    with pytest.raises(ValueError, match="expected 3D"):
        median_filter(maps[0], brain[0], (1, 1))
    with pytest.raises(ValueError, match="expected 3D"):
        median_filter(maps, brain[1:], (1, 1, 1))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 0.5)])
def test_erosion_keeps_what_lies_deeper(volume: tuple[torch.Tensor, torch.Tensor], spacing: tuple[float, ...]) -> None:
    brain = volume[1].numpy()
    outside = np.argwhere(~brain) * spacing
    expected = np.zeros_like(brain)
    for index in np.argwhere(brain):
        expected[tuple(index)] = np.sqrt(((outside - index * spacing) ** 2).sum(axis=1)).min() > 1.5
    assert expected.any()
    assert np.array_equal(erode(brain, spacing, 1.5), expected)
    assert np.array_equal(erode(brain, spacing, 0), brain)
    assert not erode(np.ones((3, 3, 3), bool), (1, 1, 1), 2.0).any()
    with pytest.raises(ValueError, match="zero or more"):
        erode(brain, spacing, -1)


def test_small_components_go() -> None:
    binary = np.zeros((20, 20, 20), bool)
    binary[1, 1, 1:8] = True  # 7 voxels in a row
    binary[5, 5, 1:7] = True  # 6 voxels
    for i in range(7):
        binary[10 + i, 10 + i, 10 + i] = True  # 7 voxels that touch at corners
    kept = remove_small(binary, (1, 1, 1))
    assert kept[1].sum() == 7
    assert kept[5].sum() == 0
    assert kept[10:17].sum() == 7
    assert remove_small(binary, (1, 1, 1.2)).sum() == 20
    assert remove_small(binary, (1, 1, 0.9)).sum() == 0
    assert not remove_small(np.zeros((4, 4, 4), bool), (1, 1, 1)).any()
    assert remove_small(np.ones((4, 4, 4), bool), (1, 1, 1)).all()
