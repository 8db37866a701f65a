"""ceVAE: squares, the context branch, the three scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from cerebench.api import PredictContext
from cerebench.testing import assert_conforms
from cerebench_methods.baselines.context_vae import ContextVae
from cerebench_methods.baselines.context_vae_squares import SMALLEST, cut_squares

SHAPE, SPACING = (24, 32), (4.0, 4.0)


def built(**settings: Any) -> ContextVae:
    torch.manual_seed(0)
    method = ContextVae(ContextVae.settings_for("mock", settings))
    method.build(("t2",), SHAPE, SPACING)
    method.network.eval()
    return method


def predicted(method: ContextVae, images: torch.Tensor, brain: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        maps = method.predict(images, PredictContext(brain, SPACING, ("t2",), torch.device("cpu"), seed=0)).maps
    assert maps is not None
    return maps.numpy()


def test_one_square_is_cut_out_whole_and_within_its_sizes() -> None:
    torch.manual_seed(0)
    sides = []
    for cut in cut_squares(torch.ones(200, 2, 40, 60), 1, 0.5):
        assert torch.equal(cut[0], cut[1])
        rows, columns = (np.flatnonzero((cut[0] == 0).any(axis).numpy()) for axis in (1, 0))
        assert len(rows) == len(columns) == rows[-1] - rows[0] + 1 == columns[-1] - columns[0] + 1
        assert int((cut[0] == 0).sum()) == len(rows) ** 2
        sides.append(len(rows))

    assert min(sides) >= round(SMALLEST * 40)
    assert max(sides) <= 20
    assert min(sides) < 7
    assert max(sides) > 17


def test_every_slice_has_squares_of_its_own_anywhere() -> None:
    torch.manual_seed(0)
    kept = cut_squares(torch.ones(300, 1, 30, 30), 3, 0.3)

    assert len({one.numpy().tobytes() for one in kept}) == 300
    assert (kept.mean(0) < 1).all()
    assert kept.min() == 0
    assert kept.max() == 1


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_loss_mixes_the_bound_with_the_error_of_the_cut_slices(weight: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The context branch sees cut slices, decodes their mean code and is compared with whole slices."""
    method, batch = built(context_weight=weight, beta=0.2), torch.rand(3, 1, *SHAPE)
    cut = batch.clone()
    cut[:, :, 5:9, 3:7] = 0
    monkeypatch.setattr("cerebench_methods.baselines.context_vae_squares.cut_squares", lambda *given: cut)

    with torch.no_grad():
        found = method.training_loss(batch)
        filled, whole = method.network(cut)[0], method.network(batch)

    context = 0.5 * (filled - batch).square().sum((1, 2, 3)).mean()
    error = 0.5 * (whole[0] - batch).square().sum((1, 2, 3)).mean()
    divergence = 0.5 * (whole[1].square() + whole[2].exp() - 1 - whole[2]).sum(1).mean()
    expected = (1 - weight) * (error + 0.2 * divergence) + weight * context
    assert found["loss"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_combined_score_is_the_product_of_the_other_two() -> None:
    images = torch.rand(2, 1, *SHAPE)
    brain = torch.rand(2, *SHAPE) > 0.3
    parts = {
        score: predicted(built(score=score), images, brain) for score in ("combined", "reconstruction", "gradient")
    }

    np.testing.assert_allclose(parts["combined"], parts["reconstruction"] * parts["gradient"], rtol=1e-5)
    assert all((part[~brain.numpy()] == 0).all() and part.max() > 0 for part in parts.values())


def test_gradient_score_is_the_smoothed_magnitude() -> None:
    images, brain = torch.rand(1, 1, *SHAPE), torch.ones(1, *SHAPE, dtype=torch.bool)
    sharp = predicted(built(score="gradient", smoothing_mm=0), images, brain)
    smooth = predicted(built(score="gradient", smoothing_mm=6.0), images, brain)
    method = built()

    np.testing.assert_allclose(sharp[0], method.gradient(images, "divergence").abs()[0, 0], rtol=1e-5)
    expected = ndimage.gaussian_filter(sharp[0], 1.5, mode="constant")
    np.testing.assert_allclose(smooth[0], expected, rtol=0.02, atol=0.02 * expected.max())
    whole = predicted(built(score="gradient", gradient_of="bound", smoothing_mm=0), images, brain)
    np.testing.assert_allclose(whole[0], method.gradient(images, "loss").abs()[0, 0], rtol=1e-5)


@pytest.mark.parametrize("preset", sorted(ContextVae.presets))
def test_presets_build(preset: str) -> None:
    method = ContextVae(ContextVae.settings_for(preset))
    method.build(("t1",), (37, 45), SPACING)

    with torch.no_grad():
        assert method.reconstruct(torch.zeros(1, 1, 37, 45)).shape == (1, 1, 37, 45)


def test_conforms() -> None:
    assert_conforms(ContextVae)
