"""Resampling between native, symmetric and upright grids, against scipy and against each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import affine_transform, gaussian_filter

from cerebench_methods.symmetry.frame import Frame, resample
from cerebench_methods.symmetry.plane import Plane

SHAPE, CANVAS, SPACING = (31, 38, 25), (48, 48), (4.0, 4.0, 4.0)
TILTED = Plane(9.0, -6.0, 5.0)


def smooth(seed: int = 0) -> torch.Tensor:
    """A smooth blob well inside the grid, ``[1, *SHAPE]``."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), 2.5)
    axes = np.meshgrid(*[np.linspace(-1, 1, side) for side in SHAPE], indexing="ij")
    window = np.exp(-4 * sum(np.square(axis) for axis in axes))
    return torch.from_numpy((noise / noise.std() * window)[None]).float()


@pytest.mark.parametrize("spacing", [(4.0, 4.0, 4.0), (1.0, 2.0, 3.0)])
def test_resampling_agrees_with_scipy(spacing: tuple[float, ...]) -> None:
    image, shape = smooth(), (28, 41, 22)
    transform = np.eye(4)
    transform[:3, :3], transform[:3, 3] = TILTED.axes, (3.0, -2.0, 1.5)
    scale = np.diag(spacing)
    matrix = np.linalg.inv(scale) @ transform[:3, :3] @ scale
    middle, target = (np.array(SHAPE) - 1) / 2, (np.array(shape) - 1) / 2
    offset = middle + transform[:3, 3] / spacing - matrix @ target

    expected = affine_transform(image[0].numpy(), matrix, offset, shape, order=1, mode="grid-constant")

    np.testing.assert_allclose(resample(image, transform, shape, spacing)[0].numpy(), expected, atol=1e-4)


def test_there_and_back() -> None:
    image = smooth()
    frame = Frame(TILTED, SHAPE, CANVAS, SPACING)

    again = frame.to_native(frame.to_symmetric(image))

    assert frame.to_symmetric(image).shape == (1, *CANVAS, SHAPE[2])
    assert (again - image).abs().max() < 0.12 * image.abs().max()


def test_a_head_that_mirrors_itself_is_symmetric_in_its_frame() -> None:
    """An image made symmetric about a tilted plane is flipped onto itself; about another plane it is not."""
    points = np.stack(np.meshgrid(*[np.arange(side) for side in SHAPE], indexing="ij"), -1) * 4.0
    points -= (np.array(SHAPE) - 1) / 2 * 4.0
    beside = points @ TILTED.normal - TILTED.offset_mm
    mirrored = points - 2 * beside[..., None] * TILTED.normal

    def texture(at: np.ndarray) -> np.ndarray:
        return np.exp(-(np.linalg.norm(at, axis=-1) ** 2) / 1500) * (1 + np.sin(at @ [0.1, 0.05, 0.08]))

    image = texture(points) + texture(mirrored)
    tensor = torch.from_numpy(image[None]).float()

    right, wrong = (Frame(plane, SHAPE, CANVAS, SPACING).to_symmetric(tensor) for plane in (TILTED, Plane(0, 0, 0)))

    def asymmetry(found: torch.Tensor) -> float:
        inner = found[:, 12:36, 10:38, 7:18]
        return float((inner - inner.flip(1)).abs().mean() / inner.abs().mean())

    assert asymmetry(right) < 0.02
    assert asymmetry(wrong) > 0.1


def test_upright_slices_are_the_native_ones_turned_within_themselves() -> None:
    """Slice k upright holds slice k native: a volume whose intensity is the slice number keeps it."""
    ramp = torch.arange(SHAPE[2]).float().expand(1, *SHAPE).contiguous()
    frame = Frame(TILTED, SHAPE, CANVAS, SPACING)

    upright = frame.to_upright(frame.to_symmetric(ramp))[0, 20:28, 20:28, 8:17]

    torch.testing.assert_close(upright, torch.arange(8.0, 17.0).expand_as(upright), atol=0.02, rtol=0)


def test_the_mid_line_of_upright_slices_is_the_middle_column() -> None:
    """A bright plane at the mid-sagittal plane lies between the two middle columns of every slice."""
    points = np.stack(np.meshgrid(*[np.arange(side) for side in SHAPE], indexing="ij"), -1) * 4.0
    beside = (points - (np.array(SHAPE) - 1) / 2 * 4.0) @ TILTED.normal - TILTED.offset_mm
    sheet = torch.from_numpy(np.exp(-np.square(beside / 6))[None]).float()
    frame = Frame(TILTED, SHAPE, CANVAS, SPACING)

    profile = frame.to_upright(frame.to_symmetric(sheet))[0, :, 18:30, 8:17]
    columns = torch.arange(CANVAS[0]).float()[:, None, None]
    centres = (profile * columns).sum(0) / profile.sum(0)

    assert (centres - (CANVAS[0] - 1) / 2).abs().max() < 0.1


def test_slope_is_the_tilt_of_the_symmetric_slices() -> None:
    assert Frame(Plane(0, 10, 0), SHAPE, CANVAS, SPACING).slope == pytest.approx(-np.tan(np.radians(10)))
    assert Frame(Plane(10, 0, 3), SHAPE, CANVAS, SPACING).slope == 0
