"""Patched diffusion: patches of training and prediction, the visible rest, stitching."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from cerebench.api import UsageError
from cerebench.testing import assert_conforms
from cerebench_methods.baselines.patched_ddpm import PatchedDdpm

SHAPE, SPACING = (24, 32), (4.0, 4.0)


def built(**settings: Any) -> PatchedDdpm:
    torch.manual_seed(0)
    method = PatchedDdpm(PatchedDdpm.settings_for("mock", settings))
    method.build(("t1",), SHAPE, SPACING)
    return method


class Looks(torch.nn.Module):
    """Remembers what it is shown and answers with one value."""

    def __init__(self, answers: list[float]) -> None:
        super().__init__()
        self.answers, self.seen, self.times = answers, [], set()  # type: ignore[var-annotated]

    def forward(self, given: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        self.times |= set(times.tolist())
        self.seen.append(given)
        return torch.full_like(given, self.answers[(len(self.seen) - 1) % len(self.answers)])


@pytest.mark.parametrize(("side", "patches"), [(0.5, 2), (0.5, 3), (0.3, 4)])
def test_patches_of_a_prediction_cover_the_slice(side: float, patches: int) -> None:
    method = built(side=side, patches=patches)

    found = torch.cat(method.parts(torch.device("cpu")))[:, 0].numpy()

    assert len(found) == patches**2
    assert found.sum(0).min() >= 1
    if side * patches == 1:
        assert found.sum(0).max() == 1
    for one in found:
        rows, columns = ndimage.find_objects(one.astype(int))[0]
        assert (rows.stop - rows.start, columns.stop - columns.start) == method.sides
        assert one.sum() == np.prod(method.sides)


def test_patches_of_training_lie_anywhere() -> None:
    method = built()
    torch.manual_seed(0)

    found = method.hidden(torch.zeros(500, 1, *SHAPE)).numpy()[:, 0]

    assert method.sides == (12, 16)
    assert set(found.sum((1, 2))) == {12 * 16}
    corners = {tuple(np.argwhere(one)[0]) for one in found}
    assert {row for row, _ in corners} == set(range(13))
    assert {column for _, column in corners} == set(range(17))


def test_only_the_patch_is_noised() -> None:
    method, images, network = built(), torch.rand(2, 1, *SHAPE), Looks([0.0])
    method.network = network

    method.restored(images, seed=0)

    assert network.times == {500}
    for where, given in zip(method.parts(images.device), network.seen, strict=True):
        changed = (given - (2 * images - 1)).abs() > 1e-6
        assert not changed[where.expand_as(changed) == 0].any()
        assert changed[where.expand_as(changed) == 1].float().mean() > 0.99


def test_estimates_are_stitched_and_averaged_where_patches_overlap() -> None:
    """Each of four patches is answered with a value of its own."""
    method = built(side=0.75, patches=2)
    method.network = Looks([-1.0, 0.0, 0.5, 1.0])

    restored = method.restored(torch.rand(1, 1, *SHAPE), seed=0)[0, 0]

    for corner, value in (((0, 0), 0.0), ((0, 31), 0.5), ((23, 0), 0.75), ((23, 31), 1.0), ((12, 16), 0.5625)):
        assert restored[corner].item() == pytest.approx(value, abs=1e-5)


def test_loss_is_that_of_the_hidden_patch() -> None:
    """An answer that is wrong by a fixed amount counts as often as there are hidden pixels: a quarter."""
    method, batch = built(), torch.full((6, 1, *SHAPE), 0.75)
    method.network = Looks([0.1])

    assert method.training_loss(batch).item() == pytest.approx(0.4 / 4, rel=1e-4)
    assert max(method.network.times) <= 500


def test_gaps_are_refused() -> None:
    with pytest.raises(UsageError, match=r"2 patches of side 0\.4 do not cover"):
        built(side=0.4, patches=2)


@pytest.mark.parametrize("preset", sorted(PatchedDdpm.presets))
def test_presets_build(preset: str) -> None:
    method = PatchedDdpm(PatchedDdpm.settings_for(preset))
    method.build(("t1", "t2"), (21, 29), SPACING)

    with torch.inference_mode():
        assert method.restored(torch.zeros(1, 2, 21, 29), 0).shape == (1, 2, 21, 29)


def test_conforms() -> None:
    assert_conforms(PatchedDdpm)
