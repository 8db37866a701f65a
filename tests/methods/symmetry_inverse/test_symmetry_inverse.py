"""The whole method: what it flags, what it was fitted on, what it returns and explains, and the contract."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cerebench.api import FitRun, PredictContext, Prediction, Volume
from cerebench.testing import assert_conforms
from cerebench.testing.mock import MemoryVolumes
from cerebench_methods.symmetry_inverse.masks import complementary_masks
from cerebench_methods.symmetry_inverse.method import SymmetryInverse
from cerebench_methods.symmetry_inverse.networks import restore
from cerebench_methods.symmetry_inverse.settings import INPAINTING, VARIANTS

SPACING = (4.0, 4.0, 4.0)
TRAINED = {"width": 8, "steps": 200, "vae_steps": 200}


def batch(*volumes: Volume) -> tuple[torch.Tensor, PredictContext]:
    images = torch.from_numpy(np.stack([volume.image for volume in volumes]))
    brain = torch.from_numpy(np.stack([np.asarray(volume.brain) for volume in volumes]))
    return images, PredictContext(brain, SPACING, ("t1",), torch.device("cpu"), seed=0)


def predicted(method: SymmetryInverse, *volumes: Volume) -> Prediction:
    with torch.inference_mode():
        return method.predict(*batch(*volumes))


def with_lesion(volume: Volume, radius: float = 4.5) -> tuple[Volume, np.ndarray]:
    """The head with a bright ball of 36 mm, or of another radius in voxels, in its right hemisphere, and the ball."""
    brain = np.asarray(volume.brain)
    places = np.indices(brain.shape) - ((np.array(brain.shape) - 1) / 2 + [7, -3, 3])[:, None, None, None]
    ball = (np.sum(np.square(places), axis=0) <= radius**2) & brain
    return Volume(np.where(ball, 1.4, volume.image).astype(np.float32), brain, volume.spacing, ("t1",)), ball


@pytest.fixture(scope="module")
def healthy(head: Callable[..., Volume]) -> MemoryVolumes:
    return MemoryVolumes([head(seed) for seed in range(10)])


@pytest.fixture(scope="module")
def method(healthy: MemoryVolumes, train: Callable, tmp_path_factory: pytest.TempPathFactory) -> SymmetryInverse:
    torch.set_num_threads(1)
    return train(healthy, MemoryVolumes([]), tmp_path_factory.mktemp("trained"), **TRAINED)


SMALLER = pytest.mark.xfail(strict=True, reason="a ball of 28 mm in all its slices: 83 % at this small size")


@pytest.mark.parametrize(("radius", "least"), [(4.5, 32), pytest.param(3.5, 9, marks=SMALLER)])
def test_flags_a_lesion_it_never_saw(
    method: SymmetryInverse, head: Callable[..., Volume], radius: float, least: int
) -> None:
    """Slices through a planted asymmetric lesion lie above the 95th percentile of held-out healthy slices."""
    held_out = [head(seed) for seed in range(20, 26)]
    brains = [np.asarray(volume.brain).sum((0, 1)) > 100 for volume in held_out]
    normal = predicted(method, *held_out)
    scores = np.concatenate([row.numpy()[large] for row, large in zip(normal.slice_scores, brains, strict=True)])

    flagged, hits = [], []
    for volume in held_out:
        damaged, ball = with_lesion(volume, radius)
        found = predicted(method, damaged)
        through = ball.sum((0, 1)) >= least
        flagged += (found.slice_scores[0].numpy()[through] > np.quantile(scores, 0.95)).tolist()
        mirror = np.flip(ball, 0) & np.asarray(volume.brain)
        hits.append(found.maps[0].numpy()[ball].mean() > 2 * found.maps[0].numpy()[mirror & ~ball].mean())

    assert np.mean(flagged) > 0.9
    assert all(hits)


def test_validation_volumes_leave_no_trace(train: Callable, head: Callable[..., Volume], tmp_path: Path) -> None:
    """Thresholds come from validation: no weight and no healthy statistic may know it."""
    volumes = MemoryVolumes([head(seed) for seed in range(2)])
    poison = Volume(np.full((1, *volumes[0].brain.shape), 1e3, np.float32), volumes[0].brain, SPACING, ("t1",))
    short = {"steps": 3, "vae_steps": 3}

    clean = train(volumes, MemoryVolumes([head(9)]), tmp_path / "clean", **short).tensors()
    poisoned = train(volumes, MemoryVolumes([poison]), tmp_path / "poisoned", **short).tensors()

    assert clean.keys() == poisoned.keys()
    assert all(torch.equal(clean[key], poisoned[key]) for key in clean)


def codes_of(method: SymmetryInverse, volumes: MemoryVolumes, folder: Path) -> torch.Tensor:
    from cerebench_methods.symmetry_inverse.slices import upright_differences

    run = FitRun(torch.device("cpu"), "32-true", 0, folder)
    maps = upright_differences(volumes, method.canvas, method.settings.min_brain, run, method._upright_difference)
    with torch.no_grad():
        codes: torch.Tensor = method.vae.encode_forward(maps / method.difference_scale)[0]
    return codes


def test_healthy_statistics_are_those_of_the_training_slices(
    method: SymmetryInverse, healthy: MemoryVolumes, tmp_path: Path
) -> None:
    mean = codes_of(method, healthy, tmp_path).mean(0)

    torch.testing.assert_close(method.healthy_mean, mean, atol=1e-4, rtol=1e-3)


def test_adapting_learns_the_target_and_fits_the_statistics_afresh(
    method: SymmetryInverse, head: Callable[..., Volume], tmp_path: Path
) -> None:
    """On a target with inverted contrast an unseen scan is restored better, and the statistics are the target's."""

    def elsewhere(seed: int) -> Volume:
        volume = head(seed)
        return Volume((1.2 - volume.image) * volume.brain, np.asarray(volume.brain), SPACING, ("t1",))

    target = MemoryVolumes([elsewhere(seed) for seed in range(4)])
    tuned = SymmetryInverse(SymmetryInverse.settings_for("mock", {**TRAINED, "adapt_epochs": 6}))
    tuned.build(("t1",), head(0).brain.shape, SPACING)
    tuned.restore(method.tensors())
    tuned.adapt(target, MemoryVolumes([]), FitRun(torch.device("cpu"), "32-true", 7, tmp_path / "adapt"))

    before, after = (predicted(one, elsewhere(30)).maps.mean().item() for one in (method, tuned))

    assert after < 0.8 * before
    mean = codes_of(tuned, target, tmp_path).mean(0)
    torch.testing.assert_close(tuned.healthy_mean, mean, atol=1e-4, rtol=1e-3)


def test_scores_belong_to_native_slices(method: SymmetryInverse, head: Callable[..., Volume]) -> None:
    """A lesion in a tilted head raises the slices that hold it, not those that the symmetric frame puts there."""
    volume, ball = with_lesion(head(21, pose_deg=0.0))
    found = predicted(method, volume)

    scores = found.slice_scores[0].numpy() - predicted(method, head(21, pose_deg=0.0)).slice_scores[0].numpy()

    inside = ball.any((0, 1))
    assert found.slice_scores.shape == (1, volume.brain.shape[2])
    assert inside[np.argmax(scores)]
    assert scores[inside].mean() > 3 * np.abs(scores[~inside]).mean()


def test_pictures_explain_the_scores(method: SymmetryInverse, head: Callable[..., Volume]) -> None:
    volume, ball = with_lesion(head(22))
    images, context = batch(volume)
    with torch.inference_mode():
        pictures = method.explain(images, context)
        found = method.predict(images, context)

    assert set(pictures) == {
        "input",
        "masked input",
        "reconstruction",
        "difference",
        "mirrored difference",
        "latent distance",
        "latent percentile",
    }
    assert all(picture.shape == context.brain.shape for picture in pictures.values())
    torch.testing.assert_close(pictures["difference"], found.maps)
    inner = torch.from_numpy(ball)
    other = torch.from_numpy(np.flip(ball, 0) & np.asarray(volume.brain))
    assert pictures["mirrored difference"][0][other].mean() > pictures["mirrored difference"][0][inner].mean()
    assert torch.equal(pictures["latent distance"].amax((0, 1, 2)) > 0, context.brain.any(1).any(1)[0])
    place = int(ball.sum((0, 1)).argmax())
    assert pictures["latent distance"][0, ..., place].max() == pytest.approx(found.slice_scores[0, place].item())
    assert 0 <= pictures["latent percentile"].min() <= pictures["latent percentile"].max() <= 100
    hidden = (pictures["masked input"] < 0.5 * pictures["input"])[0].float().sum()
    assert 0.1 < hidden / (pictures["input"] > 0).sum() < 0.7


def test_every_pixel_is_restored_without_having_been_seen() -> None:
    """A network that copies what it sees and answers 7 where it does not: only sevens may remain."""

    def copies(seen: torch.Tensor) -> torch.Tensor:
        assert (seen[:, :1] * seen[:, 1:]).abs().max() == 0
        return seen[:, :1] + 7 * seen[:, 1:]

    for strategy in ("random", "symmetric-pairs", "hemisphere", "mixed"):
        masks = complementary_masks(strategy, (32, 48), 4, 0.5, torch.device("cpu"))
        slices = torch.rand(5, 1, 32, 48)

        assert (restore(copies, slices, masks, batch=8) == 7).all()


def test_second_stage_settings_leave_the_first_valid() -> None:
    fields = set(SymmetryInverse.Settings.model_fields)
    second = {name for name in fields if name.startswith(("vae_", "adapt_")) or name in ("latent", "beta")}

    assert SymmetryInverse.info.stages[0].settings == INPAINTING
    assert set(INPAINTING) < fields
    assert not set(INPAINTING) & second
    assert fields - set(INPAINTING) - second == {"difference", "subject_share"}


def test_variants_differ_in_what_their_names_say() -> None:
    settings = {name: SymmetryInverse.settings_for("quick", values) for name, values in VARIANTS.items()}

    assert settings["ab1-mse"].loss == "mse"
    assert settings["random-masks"].masking == "random"
    assert settings["random-masks"] == SymmetryInverse.settings_for("quick", {"masking": "random"})
    assert len({value.model_dump_json() for value in settings.values()}) == len(settings)


@pytest.mark.parametrize("preset", sorted(SymmetryInverse.presets))
def test_presets_build_networks_of_the_published_size(preset: str) -> None:
    method = SymmetryInverse(SymmetryInverse.settings_for(preset))
    method.build(("t1",), (48, 56, 40), SPACING)
    widths = [part.out_channels for part in method.unet.modules() if isinstance(part, torch.nn.Conv2d)]

    assert max(widths) == 16 * method.settings.width
    assert method.vae.mu.out_features == method.settings.latent
    if preset in ("standard", "paper"):
        assert (max(widths), method.settings.latent) == (512, 1024)


def test_conforms() -> None:
    assert_conforms(SymmetryInverse)
