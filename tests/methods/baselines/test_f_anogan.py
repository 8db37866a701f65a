"""f-AnoGAN: gradient penalty in closed form, who is trained when, the two residuals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from cerebench.api import FitRun, PredictContext
from cerebench.testing import assert_conforms, mock_volumes
from cerebench_methods.baselines.f_anogan import ADVERSARIES, FAnogan
from cerebench_methods.baselines.f_anogan_losses import critic_loss, gradient_penalty

SHAPE, SPACING = (32, 40), (4.0, 4.0)


def built(shape: tuple[int, ...] = SHAPE, **settings: Any) -> FAnogan:
    torch.manual_seed(0)
    method = FAnogan(FAnogan.settings_for("mock", settings))
    method.build(("t1",), shape, SPACING)
    return method


def run(folder: Path) -> FitRun:
    return FitRun(torch.device("cpu"), "32-true", 0, folder)


@pytest.mark.parametrize("norm", [0.0, 1.0, 3.0])
def test_penalty_of_a_linear_critic_is_that_of_its_weights(norm: float) -> None:
    torch.manual_seed(0)
    weights = torch.randn(1, 4, 5)
    weights *= norm / weights.norm()
    real, fake = torch.randn(2, 6, 1, 4, 5)

    found = gradient_penalty(lambda images: (images * weights).flatten(1).sum(1, keepdim=True), real, fake)

    assert found.item() == pytest.approx((norm - 1) ** 2, abs=1e-5)


def test_penalty_is_taken_between_real_and_fake() -> None:
    """The gradient of x²/2 is x, here everywhere between 2 and 4; every item draws a place of its own."""
    torch.manual_seed(0)
    norms = [
        1
        + gradient_penalty(lambda images: images.square() / 2, torch.full((1, 1), 2.0), torch.full((1, 1), 4.0)).sqrt()
        for _ in range(200)
    ]

    assert min(norms).item() == pytest.approx(2, abs=0.1)
    assert max(norms).item() == pytest.approx(4, abs=0.1)


def test_critic_loss_rewards_high_values_of_real_images() -> None:
    weights = torch.zeros(1, 2, 2)
    weights[0, 0, 0] = 2.0
    real, fake = torch.full((3, 1, 2, 2), 5.0), torch.full((3, 1, 2, 2), 1.0)

    found = critic_loss(lambda images: (images * weights).flatten(1).sum(1, keepdim=True), real, fake, 10.0)

    assert found["distance"].item() == pytest.approx(2 * (5 - 1))
    assert found["loss"].item() == pytest.approx(-8 + 10 * (2 - 1) ** 2)


def test_first_stage_trains_the_adversaries_and_second_the_encoder_alone(tmp_path: Path) -> None:
    volumes = mock_volumes(FAnogan.info, 2)
    method = built(volumes[0].image.shape[1:3], steps=2, encoder_steps=2)
    states = [{key: value.clone() for key, value in method.tensors().items()}]
    for stage in FAnogan.info.stages:
        getattr(method, stage.name)(volumes, volumes, run(tmp_path))
        states.append({key: value.clone() for key, value in method.tensors().items()})

    def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
        return {key.partition(".")[0] for key in before if not torch.equal(before[key], after[key])}

    assert changed(states[0], states[1]) == {"generator", "critic"}
    assert changed(states[1], states[2]) == {"encoder"}


def test_generated_slices_come_to_resemble_healthy_ones(tmp_path: Path) -> None:
    """The critic's estimate aside: mean and deviation of made slices approach those of the training slices."""
    volumes = mock_volumes(FAnogan.info, 4)
    slices = torch.stack(list(volumes.slices()))
    method = built(volumes[0].image.shape[1:3], steps=80)
    codes = torch.randn(64, method.settings.latent)

    def gap() -> float:
        with torch.no_grad():
            return (method.generator.eval()(codes).mean(0) - slices.mean(0)).abs().mean().item()

    before = gap()
    method.fit(volumes, volumes, run(tmp_path))

    assert gap() < 0.6 * before


def test_slice_score_is_both_residuals() -> None:
    """A generator that adds 1 to one slice: the image's residual is 1, the features' that of a linear critic."""
    method = built(kappa=0.5)
    method.encoder = torch.nn.Identity()

    class Adds(torch.nn.Module):
        def forward(self, given: torch.Tensor) -> torch.Tensor:
            return given + torch.tensor([0.0, 1.0])[:, None, None, None]

    class Critic(torch.nn.Module):
        net = staticmethod(lambda images: 3 * images.mean((1, 2, 3))[:, None])

    method.generator, method.critic = Adds(), Critic()
    images, brain = torch.rand(2, 1, *SHAPE), torch.ones(2, *SHAPE, dtype=torch.bool)

    found = method.predict(images, PredictContext(brain, SPACING, ("t1",), torch.device("cpu"), seed=0))

    torch.testing.assert_close(found.scores, torch.tensor([0.0, 1 + 0.5 * 9]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.maps[1], torch.ones(SHAPE))


def test_second_stage_settings_leave_the_first_valid() -> None:
    fields = set(FAnogan.Settings.model_fields)

    assert set(ADVERSARIES) < fields
    assert fields - set(ADVERSARIES) == {"loss", "polarity", "kappa", "encoder_steps", "encoder_learning_rate"}


@pytest.mark.parametrize("preset", sorted(FAnogan.presets))
def test_presets_build(preset: str) -> None:
    method = FAnogan(FAnogan.settings_for(preset))
    method.build(("t1",), (37, 45), SPACING)

    with torch.no_grad():
        assert method.reconstruct(torch.zeros(1, 1, 37, 45)).shape == (1, 1, 37, 45)
        assert method.critic(torch.zeros(2, 1, *method.canvas)).shape == (2, 1)


def test_conforms() -> None:
    assert_conforms(FAnogan)
