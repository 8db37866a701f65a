"""The whole method: the contract, the edges-only path, tissues of either contrast, what unpaired data get."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cerebench.api import FitRun, MethodError, PredictContext, Volume
from cerebench.testing import assert_conforms
from cerebench.testing.mock import MemoryVolumes
from cerebench.training.canvas import canvas_shape, pad_to
from cerebench.training.seeding import seed_all
from cerebench_methods.disentangled_anatomy.method import MODALITIES, DisentangledAnatomy
from cerebench_methods.disentangled_anatomy.pairs import PairedCrops, tissue_scale

VALUES = (0.29, 0.48, 0.72)


def context_of(volume: Volume, modality: str) -> PredictContext:
    brain = torch.from_numpy(np.array(volume.brain))[None]
    return PredictContext(brain, volume.spacing, (modality,), torch.device("cpu"), seed=0)


def channel(volume: Volume, modality: str) -> torch.Tensor:
    return torch.from_numpy(volume.image[[volume.modalities.index(modality)]])[None]


def trained(volumes: list[Volume], folder: Path, preset: str = "mock", **settings: Any) -> DisentangledAnatomy:
    seed_all(0)
    method = DisentangledAnatomy(DisentangledAnatomy.settings_for(preset, settings))
    method.build(MODALITIES, volumes[0].brain.shape, volumes[0].spacing)
    method.fit(MemoryVolumes(volumes), MemoryVolumes([]), FitRun(torch.device("cpu"), "32-true", 0, folder))
    return method


@pytest.fixture(scope="module")
def method(pair: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> DisentangledAnatomy:
    torch.set_num_threads(1)
    return trained([pair(seed)[0] for seed in range(3)], tmp_path_factory.mktemp("trained"))


def test_conforms() -> None:
    assert_conforms(DisentangledAnatomy)


def test_no_intensity_reaches_the_restorer(
    method: DisentangledAnatomy, pair: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the anatomy held still, intensities may change as they like: the code is the same to the bit."""
    volume, _ = pair(20)
    image, context = channel(volume, "t1"), context_of(volume, "t1")
    with torch.inference_mode():
        canvas = canvas_shape(volume.brain.shape, method.stride())
        parts = [pad_to(part, canvas) for part in (image, context.brain[:, None].float())]
        logits = method.networks(*parts, torch.zeros(1, dtype=torch.long))
        monkeypatch.setattr(method.networks.anatomy, "forward", lambda image, brain, modality: logits)
        before, after = (method.restoration(one, context) for one in (image, image.square() + 0.3 * image))
        codes = [method.networks.restorer(found.seen) for found in (before, after)]

    assert before.seen.unique().tolist() == [0.0, 1.0]
    assert torch.equal(before.seen, after.seen)
    assert torch.equal(*codes)
    assert not torch.equal(before.vector, after.vector)


def test_the_intensity_ablation_lets_intensities_through(pair: Callable[..., Any], tmp_path: Path) -> None:
    volume, _ = pair(20)
    leaky = trained([pair(0)[0]], tmp_path, restorer_input="intensity", steps=2)
    with torch.inference_mode():
        found = leaky.restoration(channel(volume, "t1"), context_of(volume, "t1"))
    assert torch.equal(found.seen, found.image)


def test_mean_looks_replace_those_of_the_input(method: DisentangledAnatomy, pair: Callable[..., Any]) -> None:
    volume, _ = pair(20)
    other = DisentangledAnatomy(method.settings.model_copy(update={"reuse_modality": False}))
    other.build(MODALITIES, volume.brain.shape, volume.spacing)
    other.restore(method.tensors())
    with torch.inference_mode():
        own, mean = (
            one.restoration(channel(volume, "t2"), context_of(volume, "t2")).healthy for one in (method, other)
        )
    assert other.mean_vectors.shape == (2, method.settings.modality_size)
    assert not torch.equal(other.mean_vectors[0], other.mean_vectors[1])
    assert not torch.equal(own, mean)


def test_unpaired_training_data_are_refused(pair: Callable[..., Any], tmp_path: Path) -> None:
    method = DisentangledAnatomy(DisentangledAnatomy.settings_for("mock"))
    with pytest.raises(MethodError, match="T1/T2 pairs of the same subject, found t1: choose"):
        method.build(("t1",), (16, 16, 16), (4.0, 4.0, 4.0))
    volume, _ = pair(0)
    alone = Volume(volume.image[:1], volume.brain, volume.spacing, ("t1",))
    with pytest.raises(MethodError, match="found t1: choose training sources with both"):
        PairedCrops(MemoryVolumes([alone]), 8, 1, VALUES)[0]


def test_other_modalities_are_refused(method: DisentangledAnatomy, pair: Callable[..., Any]) -> None:
    volume, _ = pair(20)
    with pytest.raises(MethodError, match="tests T1 or T2 alone, found flair"):
        method.predict(channel(volume, "t1"), context_of(volume, "flair"))


def test_crops_lie_around_the_brain_and_carry_the_scaled_reference(pair: Callable[..., Any]) -> None:
    volume, _ = pair(0)
    crops = PairedCrops(MemoryVolumes([volume]), 16, 3, VALUES)

    crop = crops[2]

    assert (len(crops), tuple(crop.shape)) == (3, (4, 16, 16, 16))
    assert crop[2].any()
    scaled = tissue_scale(volume.image[0], volume.brain, VALUES)[volume.brain]
    assert np.percentile(scaled, [5, 95]) == pytest.approx([VALUES[0], VALUES[-1]], abs=1e-5)
    small = PairedCrops(MemoryVolumes([volume]), 128, 1, VALUES)[0]
    assert tuple(small.shape) == (4, 128, 128, 128)


@pytest.mark.slow
def test_tissues_of_both_contrasts_agree_with_each_other_and_with_the_truth(
    pair: Callable[..., Any], tmp_path: Path
) -> None:
    """A collapsed map agrees with itself, so both are asked for (mean Dice over the three tissues)."""
    method = trained([pair(seed, 3.0)[0] for seed in range(24)], tmp_path, "nightly")
    agreement, truth = [], []
    for seed in range(40, 44):
        volume, tissue = pair(seed, 3.0)
        brain = np.asarray(volume.brain)
        labels = []
        for modality in MODALITIES:
            with torch.inference_mode():
                pictures = method.explain(channel(volume, modality), context_of(volume, modality))
            labels.append(np.digitize(pictures["anatomy"][0].numpy(), (0.38, 0.6))[brain])
        true = tissue.argmax(0)[brain]
        agreement.append(np.mean([dice(labels[0] == at, labels[1] == at) for at in range(3)]))
        truth += [np.mean([dice(one == at, true == at) for at in range(3)]) for one in labels]
    assert np.mean(agreement) >= 0.85
    assert np.mean(truth) >= 0.7


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / max(one.sum() + other.sum(), 1))
