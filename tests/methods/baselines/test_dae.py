"""The denoising autoencoder: its noise, where it lies, what it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from cerebench.api import FitRun
from cerebench.testing import assert_conforms, mock_volumes
from cerebench_methods.baselines.dae import DenoisingAutoencoder
from cerebench_methods.baselines.dae_noise import coarse_noise, foreground

SHAPE, SPACING = (40, 48), (4.0, 4.0)


def built(**settings: Any) -> DenoisingAutoencoder:
    torch.manual_seed(0)
    method = DenoisingAutoencoder(DenoisingAutoencoder.settings_for("mock", settings))
    method.build(("t2",), SHAPE, SPACING)
    return method


def noise(cell: tuple[float, float], std: float = 0.2, count: int = 64) -> np.ndarray:
    torch.manual_seed(0)
    return coarse_noise(torch.zeros(count, 2, 61, 79), cell, std).numpy()


def test_noise_on_a_grid_of_one_pixel_is_white() -> None:
    found = noise((1.0, 0.4))

    assert found.std() == pytest.approx(0.2, rel=0.02)
    assert abs(np.mean(found[..., 1:] * found[..., :-1])) < 0.001


def test_noise_is_linear_between_nodes_of_the_set_distance_and_deviation() -> None:
    """Second differences vanish along both axes except at the nodes, where the deviation is the set one."""
    found = noise((8.0, 10.0))
    for axis, cell in ((2, 8), (3, 10)):
        bends = np.abs(np.diff(found, 2, axis=axis)).max(axis=(0, 1, 5 - axis)) > 1e-4
        places = np.flatnonzero(bends) + 1
        assert set(np.diff(places)) == {cell}
    rows = np.flatnonzero(np.abs(np.diff(found, 2, axis=2)).max(axis=(0, 1, 3)) > 1e-4) + 1
    columns = np.flatnonzero(np.abs(np.diff(found, 2, axis=3)).max(axis=(0, 1, 2)) > 1e-4) + 1
    nodes = found[:, :, rows][..., columns]

    assert nodes.std() == pytest.approx(0.2, rel=0.05)
    spans = [(8 * (len(rows) - 1) + 1) / len(rows), (10 * (len(columns) - 1) + 1) / len(columns)]
    between = ndimage.zoom(nodes[0, 0], spans, order=1)
    inside = found[0, 0, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    np.testing.assert_allclose(inside, between, atol=1e-5)


def test_noise_power_lies_below_the_grid_frequency() -> None:
    power = (np.abs(np.fft.fft2(noise((8.0, 8.0)))) ** 2).mean((0, 1))
    frequencies = np.maximum(np.abs(np.fft.fftfreq(61))[:, None], np.abs(np.fft.fftfreq(79))[None])

    assert power[frequencies < 1 / 8].sum() > 0.9 * power.sum()


def test_grid_moves_from_batch_to_batch() -> None:
    torch.manual_seed(0)
    starts = set()
    for _ in range(20):
        found = coarse_noise(torch.zeros(4, 1, 40, 40), (8.0, 8.0), 1.0).numpy()
        starts.add(int(np.flatnonzero(np.abs(np.diff(found, 2, axis=2)).max(axis=(0, 1, 3)) > 1e-3)[0]))

    assert len(starts) > 3


def test_noise_stays_inside_the_brain_and_is_what_the_network_has_to_remove(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that returns what it is given leaves exactly the noise."""
    method = built(noise_std=0.3)
    seen: list[torch.Tensor] = []

    class Copies(torch.nn.Module):
        def forward(self, given: torch.Tensor) -> torch.Tensor:
            seen.append(given)
            return given

    method.network = Copies()
    batch = torch.rand(3, 1, *SHAPE) + 0.1
    batch[:, :, :15] = 0

    loss = method.training_loss(batch)

    added = seen[0] - batch
    assert added[:, :, :15].abs().max() == 0
    assert added[:, :, 15:].std() > 0.1
    assert loss.item() == pytest.approx(added.square().mean().item())
    assert foreground(batch)[:, :, 15:].min() == 1
    assert method.cell == (15.0 / 4, 15.0 / 4)


def test_restores_a_coarse_change_better_than_it_was(tmp_path: Path) -> None:
    """What has been learnt is to undo coarse changes: noise that was not seen in training is partly taken away."""
    method = built(steps=80)
    train, validation = (mock_volumes(DenoisingAutoencoder.info, count, seed=count) for count in (6, 2))
    method.build(("t1",), train[0].image.shape[1:3], SPACING)
    method.fit(train, validation, FitRun(torch.device("cpu"), "32-true", 0, tmp_path))
    slices = torch.stack(list(validation.slices()))
    torch.manual_seed(5)
    noisy = slices + foreground(slices) * coarse_noise(slices, method.cell, 0.2)

    with torch.no_grad():
        restored = method.reconstruct(noisy)

    inside = foreground(slices).bool()
    assert (restored - slices)[inside].abs().mean() < 0.8 * (noisy - slices)[inside].abs().mean()


@pytest.mark.parametrize("preset", sorted(DenoisingAutoencoder.presets))
def test_presets_build(preset: str) -> None:
    method = DenoisingAutoencoder(DenoisingAutoencoder.settings_for(preset))
    method.build(("t1",), (37, 45), SPACING)

    with torch.no_grad():
        assert method.reconstruct(torch.zeros(1, 1, 37, 45)).shape == (1, 1, 37, 45)


def test_conforms() -> None:
    assert_conforms(DenoisingAutoencoder)
