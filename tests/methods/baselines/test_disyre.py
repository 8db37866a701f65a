"""DISYRE: shapes, contents and severity of anomalies, the path back, what is learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cerebench.api import FitRun, PredictContext
from cerebench.testing import assert_conforms, mock_volumes
from cerebench_methods.baselines.dae_noise import foreground
from cerebench_methods.baselines.disyre import Disyre
from cerebench_methods.baselines.disyre_corruption import contents, corrupted, shapes

SHAPE, SPACING = (40, 48), (4.0, 4.0)
CELL = (3.0, 3.0)


def slices(count: int = 64, seed: int = 0) -> torch.Tensor:
    """Textured discs."""
    rows, columns = torch.meshgrid(torch.arange(40), torch.arange(48), indexing="ij")
    brain = torch.hypot(rows - 20.0, columns - 24.0) < 17
    return (0.3 + 0.4 * torch.rand(count, 1, *SHAPE, generator=torch.Generator().manual_seed(seed))) * brain


def built(**settings: Any) -> Disyre:
    torch.manual_seed(0)
    method = Disyre(Disyre.settings_for("mock", settings))
    method.build(("t1",), SHAPE, SPACING)
    return method


def test_shapes_are_rectangles_and_frayed_ellipses_inside_the_brain() -> None:
    torch.manual_seed(0)
    given = slices(300)

    found = shapes(given, 0.2, 0.5, CELL)

    assert found.min() == 0
    assert found.max() == 1
    assert found[given == 0].abs().max() == 0
    soft = ((found > 0) & (found < 1)).flatten(1).any(1)
    assert 0.35 < soft.float().mean() < 0.65
    boxes = (found > 0).flatten(1).sum(1).float()
    assert boxes[~soft].mean() > 1.1 * boxes[soft].mean()


def test_contents_mix_textures_with_changes_of_intensity() -> None:
    """Of the differences from slice and partner, one or the other is flat, with the change between its bounds."""
    torch.manual_seed(0)
    given = slices(400)
    brain = foreground(given).bool()[0, 0]

    found = contents(given, 0.5, CELL)

    change = (found - given)[:, 0][:, brain]
    own = change.std(1) < 1e-5
    same = change.abs().amax(1) < 1e-6
    assert 0.2 < own.float().mean() < 0.5
    assert same.float().mean() < 0.05
    assert change[own].mean(1).abs().max() <= 0.5
    assert change[own].mean(1).min() < -0.4 < 0.4 < change[own].mean(1).max()


def test_severity_blends_an_anomaly_linearly() -> None:
    given, drawn = slices(20), []
    for severity in (0.25, 0.5, 1.0):
        torch.manual_seed(3)
        drawn.append(corrupted(given, torch.full((20,), severity), 0.1, 0.4, 0.5, CELL) - given)

    assert drawn[2].abs().amax((1, 2, 3)).median() > 0.1
    torch.testing.assert_close(drawn[0], drawn[2] / 4)
    torch.testing.assert_close(drawn[1], drawn[2] / 2)


def test_path_leads_through_the_lower_severities(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a network that knows the healthy slice, the anomaly fades evenly and every estimate is the healthy slice."""
    method, healthy, seen = built(restorations=4), slices(3), []
    anomaly = torch.randn(3, 1, *SHAPE)

    def knows(padded: torch.Tensor, severities: torch.Tensor) -> torch.Tensor:
        seen.append((padded - healthy, float(severities[0])))
        return healthy

    monkeypatch.setattr(method, "restored_once", knows)

    estimates = method.trajectory(healthy + anomaly)

    assert [severity for _, severity in seen] == [1.0, 0.75, 0.5, 0.25]
    for left, severity in seen:
        torch.testing.assert_close(left, severity * anomaly, atol=1e-6, rtol=1e-4)
    assert all(torch.equal(one, healthy) for one in estimates)


@pytest.mark.parametrize("polarity", ["absolute", "bright"])
def test_score_is_the_mean_change(polarity: str, monkeypatch: pytest.MonkeyPatch) -> None:
    method, images = built(polarity=polarity), slices(2) - 0.4
    monkeypatch.setattr(method, "trajectory", lambda padded: [padded - 0.1, padded + 0.3])
    brain = torch.ones(2, *SHAPE, dtype=torch.bool)

    maps = method.predict(images, PredictContext(brain, SPACING, ("t1",), torch.device("cpu"), seed=0)).maps

    assert maps is not None
    np.testing.assert_allclose(maps.numpy(), 0.2 if polarity == "absolute" else 0.05, atol=1e-6)


def test_network_is_told_the_severity() -> None:
    method, given = built(), slices(2)

    with torch.no_grad():
        low, high = (method.restored_once(given, torch.full((2,), value)) for value in (0.1, 1.0))

    assert low.shape == given.shape
    assert (low - high).abs().max() > 1e-4


def test_takes_away_part_of_an_anomaly(tmp_path: Path) -> None:
    train, validation = (mock_volumes(Disyre.info, count, seed=count) for count in (6, 2))
    method = built(steps=150)
    method.build(("t1",), train[0].image.shape[1:3], SPACING)
    method.fit(train, validation, FitRun(torch.device("cpu"), "32-true", 0, tmp_path))
    healthy = torch.stack(list(validation.slices()))
    torch.manual_seed(5)
    severities = torch.full((len(healthy),), 1.0)
    ill = corrupted(healthy, severities, 0.2, 0.5, 1.0, method.cell)

    with torch.no_grad():
        restored = method.restored_once(ill, severities)

    where = (ill - healthy).abs() > 0.1
    assert (restored - healthy)[where].abs().mean() < 0.9 * (ill - healthy)[where].abs().mean()


@pytest.mark.parametrize("preset", sorted(Disyre.presets))
def test_presets_build(preset: str) -> None:
    method = Disyre(Disyre.settings_for(preset, {"restorations": 1}))
    method.build(("t1", "t2"), (37, 45), SPACING)

    with torch.no_grad():
        assert method.reconstruct(torch.zeros(1, 2, 37, 45)).shape == (1, 2, 37, 45)


def test_conforms() -> None:
    assert_conforms(Disyre)
