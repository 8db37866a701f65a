"""Mock volumes: shapes by unit, reproducible, with a lesion where one is asked for."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from cerebench.api import MethodInfo, Volume
from cerebench.testing import mock_case, mock_volumes

LESION = MethodInfo(
    name="lesion",
    summary="Lesions.",
    task="lesion-classification",
    unit="lesion",
    supervision="labels",
    inputs=frozenset({"lesion-mask", "covariates"}),
)
VOLUME = MethodInfo(name="volume", summary="Volumes.", modalities=frozenset({"t1", "t2"}))


def channels(training: str) -> list[tuple[str, ...]]:
    info = VOLUME.model_copy(update={"training": training})
    return [volume.modalities for volume in mock_volumes(info, 2)]


def test_channels_follow_the_training() -> None:
    assert channels("per-modality") == [("t1",), ("t1",)]
    assert channels("joint") == [("t1",), ("t2",)]
    assert channels("paired") == [("t1", "t2"), ("t1", "t2")]


def test_same_seed_same_case() -> None:
    one, same, other = (mock_case(VOLUME, seed, label=1).volume.image for seed in (1, 1, 2))

    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_volume_is_as_the_contract_says() -> None:
    volume: Volume = mock_case(VOLUME, 0, label=1).volume

    assert volume.image.dtype == np.float32
    assert volume.image.shape == (1, *volume.brain.shape)
    assert np.abs(volume.image[:, ~volume.brain]).max() == 0
    assert 0 < np.percentile(volume.image[0][volume.brain], 1) < np.percentile(volume.image[0][volume.brain], 98) < 1.2
    assert (volume.lesion_mask, volume.covariates, volume.label) == (None, None, None)


def test_planted_lesion_is_inside_and_brighter_than_tissue() -> None:
    case = mock_case(VOLUME, 4, label=1)
    tissue = case.volume.image[0][case.volume.brain & ~case.lesion]

    assert case.lesion.sum() > 20
    assert not (case.lesion & ~case.volume.brain).any()
    assert case.volume.image[0][case.lesion].min() > tissue.max()
    assert not mock_case(VOLUME, 4, label=0).lesion.any()


def test_lesion_crops_have_mask_covariates_and_label() -> None:
    volumes = list(mock_volumes(LESION, 4, labelled=True))

    assert [volume.label for volume in volumes] == [0, 1, 0, 1]
    assert all(volume.lesion_mask is not None and volume.lesion_mask.any() for volume in volumes)
    assert all(volume.covariates is not None and "age" in volume.covariates for volume in volumes)
    assert [volume.label for volume in mock_volumes(LESION, 2)] == [None, None]


@pytest.fixture(scope="module")
def toys() -> object:
    folder = str(Path(__file__).parent.parent / "toys")
    sys.path.insert(0, folder)
    import cerebench_toys.toy_methods as module

    sys.path.remove(folder)
    return module


@pytest.mark.parametrize("name", ["ToyFeatureDistance", "ToyFeatureDecoder", "ToyAdapted", "ToyLesionClassifier"])
def test_toys_conform(toys: object, name: str) -> None:
    from cerebench.testing import check_method

    found = {result.name: result for result in check_method(getattr(toys, name))}

    assert [f"{key}: {result.detail}" for key, result in found.items() if not result.ok] == []
    if name == "ToyLesionClassifier":
        assert float(found["better than random"].detail.split()[1]) > 0.8
