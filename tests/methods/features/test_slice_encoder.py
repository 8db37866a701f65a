"""The encoder: sizes of levels, equal tissue, tissue on a feature grid, errors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from cerebench.api import MethodError
from cerebench_methods.features.encoder import SliceEncoder, brain_cells, input_size, same_tissue
from cerebench_methods.features.maps import to_slices

Make = Callable[..., SliceEncoder]


@pytest.mark.parametrize(
    ("shape", "longer", "expected"),
    [((48, 56), 64, (64, 64)), ((40, 80), 64, (32, 64)), ((192, 224), 128, (128, 128)), ((80, 80), 100, (128, 128))],
)
def test_input_has_sides_of_multiples_of_32(shape: tuple[int, int], longer: int, expected: tuple[int, int]) -> None:
    assert input_size(shape, longer) == expected


@pytest.mark.parametrize("channels", [1, 2])
def test_levels_have_the_sizes_that_grid_says(encoder: Make, channels: int) -> None:
    model = encoder(channels=channels).eval()

    with torch.no_grad():
        levels = model(torch.rand(3, channels, 40, 48))

    assert [tuple(level.shape) for level in levels] == [(3, model.channels[n], *model.grid(n)) for n in range(4)]
    assert model.channels[1:] == [8, 16, 32]


def test_networks_without_four_strides_are_refused(encoder: Make) -> None:
    with pytest.raises(MethodError, match=r"encoder='mobilenetv3_small_050'.*width=8.*choose a ResNet"):
        encoder("mobilenetv3_small_050")
    with pytest.raises(MethodError, match="encoder='resnet19'"):
        encoder("resnet19")
    with pytest.raises(MethodError, match=r"gives features at strides .*expected \(2, 4, 8, 16\)"):
        encoder("convnext_atto", width=64)


def test_every_slice_gets_the_same_median_of_tissue() -> None:
    generator = np.random.default_rng(0)
    slices = generator.uniform(0.1, 1, (4, 2, 11, 13)) * (generator.random((4, 2, 11, 13)) < 0.6)
    slices[3] = 0

    scaled = same_tissue(torch.from_numpy(slices).float()).numpy()

    for one, other in zip(slices[:3].reshape(6, -1), scaled[:3].reshape(6, -1), strict=True):
        upper = np.sort(one[one != 0])[np.count_nonzero(one) // 2]
        np.testing.assert_allclose(other, one * 0.5 / upper, rtol=1e-5)
    assert not scaled[3].any()


def test_a_cell_counts_if_any_pixel_in_it_is_tissue() -> None:
    slices = torch.zeros(2, 2, 8, 8)
    slices[0, 1, 5, 2] = -0.1

    cells = brain_cells(slices, (4, 4))

    assert cells.nonzero().tolist() == [[0, 2, 1]]


def test_maps_are_smoothed_in_millimetres() -> None:
    from scipy.ndimage import gaussian_filter

    grids = torch.rand(1, 30, 40, generator=torch.Generator().manual_seed(0))

    same = to_slices(grids, (30, 40), (2.0, 4.0), 0)
    smooth = to_slices(grids, (30, 40), (2.0, 4.0), 4.0)

    torch.testing.assert_close(same, grids)
    expected = gaussian_filter(grids[0].numpy(), (2.0, 1.0), mode="constant", truncate=4)
    np.testing.assert_allclose(smooth[0].numpy(), expected, atol=0.01)
