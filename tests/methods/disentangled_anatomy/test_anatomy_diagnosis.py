"""The recommended checks: figures against scikit-learn and by hand, and that each known fault triggers its finding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from cerebench.api import DiagnoseContext, Diagnosis, Panels, PredictContext, Scatter, Volume
from cerebench.testing.mock import MemoryVolumes
from cerebench.training.seeding import seed_all
from cerebench_methods.disentangled_anatomy.diagnosis import STEP, restored, tissue_dice, tissue_shares
from cerebench_methods.disentangled_anatomy.method import MODALITIES, DisentangledAnatomy, Restoration

VALUES = (0.29, 0.48, 0.72)
CPU = torch.device("cpu")


def built(volume: Volume, **settings: Any) -> DisentangledAnatomy:
    """Networks as they start: the checks have to hold of any weights."""
    seed_all(0)
    method = DisentangledAnatomy(DisentangledAnatomy.settings_for("mock", settings))
    method.build(MODALITIES, volume.brain.shape, volume.spacing)
    return method


def only(volume: Volume, modality: str) -> Volume:
    channel = volume.modalities.index(modality)
    return Volume(volume.image[[channel]], volume.brain, volume.spacing, (modality,))


@pytest.fixture
def volumes(pair: Callable[..., Any]) -> list[Volume]:
    """The middle of two heads."""
    return [
        Volume(volume.image[:, 12:36, 16:40, 8:28], volume.brain[12:36, 16:40, 8:28], volume.spacing, volume.modalities)
        for volume, _ in map(pair, (40, 41))
    ]


def asked(method: DisentangledAnatomy, held_out: list[Volume], **tested: Volume) -> Diagnosis:
    given = {name: MemoryVolumes([volume]) for name, volume in tested.items()}
    with torch.inference_mode():
        return method.diagnose(DiagnoseContext(MemoryVolumes(held_out), given, CPU, 0))


def figures(found: Diagnosis) -> dict[str, float]:
    return {figure.name: figure.value for figure in found.figures}


def triggered(found: Diagnosis) -> dict[str, bool | None]:
    return {finding.name: finding.triggered for finding in found.findings}


def restoration(labels: np.ndarray[Any, Any]) -> Restoration:
    """An anatomical image of class labels ``[n]``; two voxels outside the brain follow."""
    anatomy = torch.tensor([VALUES[label] for label in labels] + [0.0, 0.0])[None, None, :, None, None]
    brain = torch.tensor([1.0] * len(labels) + [0.0, 0.0])[None, None, :, None, None]
    return Restoration(anatomy, brain, anatomy, anatomy, anatomy, torch.zeros(1, 2))


def test_tissues_are_compared_inside_the_brain() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 3, (2, 60))
    found = tissue_dice(restoration(one), restoration(other), VALUES)
    assert found == pytest.approx(f1_score(one, other, average=None, labels=[0, 1, 2]).tolist())
    assert tissue_shares(restoration(one), VALUES) == pytest.approx([(one == label).mean() for label in range(3)])
    assert tissue_dice(restoration(np.zeros(4, int)), restoration(np.zeros(4, int)), VALUES) == [1, 1, 1]


def test_all_four_checks_have_figures_and_pictures(volumes: list[Volume]) -> None:
    method = built(volumes[0])
    found = asked(method, volumes, a=only(volumes[0], "t1"), b=only(volumes[1], "t2"))

    numbers = figures(found)
    assert all(state is not None for state in triggered(found).values())
    assert {"map change a", "map change b", "shift of modality vectors", "Dice of tissue 0.48"} <= set(numbers)
    panels, points = found.pictures["pairs"], found.pictures["modality vectors (t-SNE)"]
    assert isinstance(panels, Panels)
    assert isinstance(points, Scatter)
    assert next(iter(panels.rows)) == "image t1"
    assert set(np.unique(panels.rows["edges t2"]).tolist()) <= {0.0, 1.0}
    assert {name: len(group) for name, group in points.groups.items()} == {
        f"{modality} {when}": 2 for modality in MODALITIES for when in ("before", "after")
    }


def test_the_shift_is_relative_to_the_distance_between_modalities(volumes: list[Volume]) -> None:
    method = built(volumes[0])
    before: dict[str, list[Any]] = {name: [] for name in MODALITIES}
    moves = []
    with torch.inference_mode():
        for volume in volumes:
            for channel, name in enumerate(MODALITIES):
                one = restored(method, volume, channel, CPU, 0)
                before[name].append(one.vector[0].numpy())
                moves.append(
                    np.linalg.norm(method.networks.modality(one.healthy, one.brain)[0].numpy() - before[name][-1])
                )
    apart = np.linalg.norm(np.mean(before["t1"], 0) - np.mean(before["t2"], 0))
    assert figures(asked(method, volumes))["shift of modality vectors"] == pytest.approx(
        np.mean(moves) / apart, rel=1e-4
    )


def test_a_collapsed_anatomy_agrees_with_itself_and_is_found(
    volumes: list[Volume], monkeypatch: pytest.MonkeyPatch
) -> None:
    method = built(volumes[0])
    middle = torch.tensor([0.0, 9.0, 0.0])[None, :, None, None, None]
    monkeypatch.setattr(
        method.networks.anatomy,
        "forward",
        lambda image, brain, modality: middle.expand(len(image), 3, *image.shape[2:]),
    )
    found = asked(method, volumes)
    assert figures(found)["tissue Dice between modalities"] == 1
    assert triggered(found)["anatomy depends on the contrast"] is False
    assert triggered(found)["collapsed anatomy"] is True


def test_a_restorer_that_looks_at_nothing_is_found(volumes: list[Volume], monkeypatch: pytest.MonkeyPatch) -> None:
    method = built(volumes[0])
    whole = method.networks.restorer.forward
    monkeypatch.setattr(method.networks.restorer, "forward", lambda seen: whole(torch.zeros_like(seen)))
    found = asked(method, volumes)
    assert figures(found)["restoration error over that without edges"] == pytest.approx(1)
    assert triggered(found)["edges are not used"] is True


def test_tissue_values_matter_through_the_edges_alone(volumes: list[Volume]) -> None:
    volume = only(volumes[0], "t1")
    leaky = built(volume, restorer_input="intensity")
    assert figures(asked(leaky, [], a=volume))["map change a"] == 0
    assert triggered(asked(leaky, [], a=volume))["tissue values do not transfer"] is False

    method = built(volume)
    images, brain = torch.from_numpy(np.array(volume.image))[None], torch.from_numpy(np.array(volume.brain))[None]
    context = PredictContext(brain, volume.spacing, ("t1",), CPU, 0)
    changes = []
    for index in range(3):
        for step in (STEP, -STEP):
            moved = tuple(value + step * (place == index) for place, value in enumerate(VALUES))
            other = built(volume, tissue_values=moved)
            other.restore(method.tensors())
            with torch.inference_mode():
                one, two = (each.predict(images, context).maps.numpy() for each in (method, other))
            changes.append(np.abs(two - one).sum() / np.abs(one).sum())
    assert figures(asked(method, [], a=volume))["map change a"] == pytest.approx(max(changes), rel=1e-4, abs=1e-7)
    assert method.settings.tissue_values == VALUES


def test_without_scans_nothing_is_claimed(volumes: list[Volume]) -> None:
    found = asked(built(volumes[0]), [])
    assert found.figures == ()
    assert found.pictures == {}
    assert set(triggered(found).values()) == {None}
    assert len(found.findings) == 5
