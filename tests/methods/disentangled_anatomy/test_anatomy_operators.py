"""One-hot classes, Canny edges and warps against finite differences, scikit-image and identities."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation
from skimage.feature import canny as reference_canny
from skimage.filters import gaussian

from cerebench_methods.disentangled_anatomy.operators import anatomical_image, canny_edges, one_hot, warp

VALUES = (0.29, 0.48, 0.72)


def test_one_hot_is_hard_and_has_one_class_a_voxel() -> None:
    logits = torch.randn(2, 3, 4, 5, 6)

    classes = one_hot(logits)

    assert set(classes.round(decimals=6).unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(classes.sum(1), torch.ones(2, 4, 5, 6))
    assert torch.equal(classes.argmax(1), logits.argmax(1))


def test_one_hot_passes_the_gradient_of_the_softmax() -> None:
    """Against central differences of the soft anatomical image in double precision."""
    torch.manual_seed(0)
    logits = torch.randn(1, 3, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(1, 3, 2, 2, 2, dtype=torch.float64)

    (one_hot(logits) * weights).sum().backward()

    step = 1e-6
    for index in np.ndindex(*logits.shape):
        moved = [logits.detach().clone() for _ in range(2)]
        moved[0][index] += step
        moved[1][index] -= step
        up, down = ((one.softmax(1) * weights).sum() for one in moved)
        assert logits.grad[index].item() == pytest.approx(((up - down) / (2 * step)).item(), abs=1e-8)


def test_anatomical_image_has_the_tissue_values_inside_the_brain_only() -> None:
    classes = torch.eye(3)[torch.tensor([0, 1, 2, 0])].T[None, :, :, None, None]
    brain = torch.tensor([1.0, 1.0, 1.0, 0.0]).view(1, 1, 4, 1, 1)

    image = anatomical_image(classes, VALUES, brain)

    assert image.flatten().tolist() == pytest.approx([*VALUES, 0.0])


def shapes() -> np.ndarray:
    """A slice with tissue values: nested ellipses and a rectangle."""
    x, y = np.meshgrid(np.arange(96.0), np.arange(96.0), indexing="ij")
    image = np.zeros((96, 96))
    for value, (a, b) in zip(VALUES, ((40, 44), (30, 33), (18, 16)), strict=True):
        image[((x - 48) / a) ** 2 + ((y - 48) / b) ** 2 < 1] = value
    image[44:52, 40:56] = VALUES[0]
    return image


def test_canny_agrees_with_scikit_image_within_one_pixel() -> None:
    image = shapes()
    volume = torch.from_numpy(image).float()[None, None, :, :, None].repeat(1, 1, 1, 1, 2)

    edges = canny_edges(volume, 0.1, 0.2, 1.0)

    assert edges.shape == volume.shape
    assert torch.equal(edges[..., 0], edges[..., 1])
    mine = edges[0, 0, :, :, 0].numpy() > 0
    smooth = gaussian(image, 1.0, truncate=2.0)
    theirs = reference_canny(smooth, sigma=0, low_threshold=0.1, high_threshold=0.2)
    near = [binary_dilation(one, np.ones((3, 3))) for one in (mine, theirs)]
    precision, recall = (mine & near[1]).sum() / mine.sum(), (theirs & near[0]).sum() / theirs.sum()
    assert 2 * precision * recall / (precision + recall) >= 0.99


def test_edges_carry_no_gradient() -> None:
    image = torch.rand(1, 1, 16, 16, 2, requires_grad=True)
    assert not canny_edges(image, 0.1, 0.2, 0.5).requires_grad


def test_warp_without_displacement_changes_nothing_and_with_one_moves_by_about_it() -> None:
    torch.manual_seed(0)
    image = torch.rand(2, 1, 12, 14, 16)
    torch.testing.assert_close(warp(image, 0.0), image, atol=1e-5, rtol=1e-5)

    ramp = torch.arange(24.0)[None, None, :, None, None].repeat(32, 1, 1, 24, 24)
    moved = (warp(ramp, 0.5) - ramp)[:, :, 4:20, 4:20, 4:20]
    assert moved.std().item() == pytest.approx(0.5, rel=0.3)
