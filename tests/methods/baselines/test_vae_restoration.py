"""Restoration: total variation by its definition, the ascent, the independence of slices."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from cerebench.testing import assert_conforms
from cerebench_methods.baselines.vae_restoration import VaeRestoration
from cerebench_methods.baselines.vae_restoration_prior import variation_gradient

SHAPE, SPACING = (24, 32), (4.0, 4.0)


def built(**settings: Any) -> VaeRestoration:
    torch.manual_seed(0)
    method = VaeRestoration(VaeRestoration.settings_for("mock", settings))
    method.build(("t2",), SHAPE, SPACING)
    method.network.eval()
    return method


def variation(change: torch.Tensor) -> torch.Tensor:
    rows = (change[..., 1:, :] - change[..., :-1, :]).abs().sum()
    return rows + (change[..., :, 1:] - change[..., :, :-1]).abs().sum()


def test_variation_gradient_is_that_of_the_definition() -> None:
    torch.manual_seed(0)
    change = torch.randn(3, 2, 7, 9, requires_grad=True)

    (expected,) = torch.autograd.grad(variation(change), change)

    torch.testing.assert_close(variation_gradient(change.detach()), expected)
    assert variation_gradient(torch.full((1, 1, 4, 4), 3.0)).abs().max() == 0


def test_restoring_raises_the_bound() -> None:
    slices = torch.rand(3, 1, *SHAPE)
    bounds = []
    for iterations in (1, 10, 40):
        method = built(iterations=iterations, step=0.1, variation=0.0)
        with torch.inference_mode():
            restored = method.restore_slices(slices)
            bounds.append(method.bound(restored)["loss"].item())
            start = method.bound(slices)["loss"].item()

    assert start > bounds[0] > bounds[1] > bounds[2]
    assert bounds[2] < 0.2 * start


def test_penalty_lowers_the_variation_of_the_change() -> None:
    slices = torch.rand(2, 1, *SHAPE)
    changes = []
    for weight in (0.0, 0.05):
        method = built(iterations=20, step=0.1, variation=weight)
        with torch.inference_mode():
            changes.append(method.restore_slices(slices) - slices)

    assert variation(changes[1]) < 0.7 * variation(changes[0])


def test_slices_are_restored_independently() -> None:
    slices, method = torch.rand(4, 1, *SHAPE), built()

    with torch.inference_mode():
        together = method.restore_slices(slices)
        alone = method.restore_slices(slices[2:3])

    torch.testing.assert_close(together[2:3], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("preset", sorted(VaeRestoration.presets))
def test_presets_build(preset: str) -> None:
    method = VaeRestoration(VaeRestoration.settings_for(preset, {"iterations": 1}))
    method.build(("t1",), (37, 45), SPACING)

    with torch.inference_mode():
        assert method.reconstruct(torch.zeros(1, 1, 37, 45)).shape == (1, 1, 37, 45)


def test_conforms() -> None:
    assert_conforms(VaeRestoration)
