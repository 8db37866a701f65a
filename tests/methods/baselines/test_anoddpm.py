"""AnoDDPM: the steps back against the closed form, the noise that is used, the score."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from cerebench.api import PredictContext, UsageError
from cerebench.testing import assert_conforms
from cerebench_methods.baselines.anoddpm import AnoDdpm
from cerebench_methods.baselines.diffusion_network import noise_schedule

SHAPE, SPACING = (24, 32), (4.0, 4.0)


def built(**settings: Any) -> AnoDdpm:
    torch.manual_seed(0)
    method = AnoDdpm(AnoDdpm.settings_for("mock", settings))
    method.build(("t1",), SHAPE, SPACING)
    return method


def kept_share(time: int) -> float:
    """Product of 1 − β up to a time step (Ho et al. 2020)."""
    return float(np.prod(1 - np.linspace(1e-4, 0.02, 1000)[: time + 1]))


class Knows(torch.nn.Module):
    """A perfect network: it knows the clean slices, in [-1, 1], and gives the noise that was added."""

    def __init__(self, clean: torch.Tensor) -> None:
        super().__init__()
        self.clean = clean
        self.times: list[int] = []

    def forward(self, noised: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        self.times.append(int(times[0]))
        share = kept_share(int(times[0]))
        return torch.as_tensor((noised - share**0.5 * self.clean) / (1 - share) ** 0.5)


def test_schedule_is_linear() -> None:
    schedule = noise_schedule("epsilon")

    np.testing.assert_allclose(
        schedule.alphas_cumprod[[0, 250, 999]], [kept_share(t) for t in (0, 250, 999)], rtol=1e-4
    )


@pytest.mark.parametrize("jump", [10, 50, 125, 250])
def test_way_back_leads_to_what_a_perfect_network_knows(jump: int) -> None:
    """Every step of the way must be taken at the right level of noise, or the network would be asked wrongly."""
    method, healthy = built(jump=jump), torch.rand(2, 1, *SHAPE)
    network = Knows(2 * healthy - 1)
    method.network = network

    restored = method.restored(healthy + 0.3, seed=0)

    assert network.times == list(range(250, 0, -jump))
    torch.testing.assert_close(restored, healthy, atol=1e-3, rtol=0)


def test_noised_slices_lie_where_the_schedule_says() -> None:
    """The first thing that the network sees is √ā x + √(1 − ā) n with simplex noise of the seed."""
    method, images, seen = built(), torch.rand(2, 1, *SHAPE), []

    class Looks(torch.nn.Module):
        def forward(self, noised: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
            seen.append(noised)
            return torch.zeros_like(noised)

    method.network = Looks()
    method.restored(images, seed=4)

    share, noise = kept_share(250), method.noise((1, 1, *SHAPE), torch.Generator().manual_seed(4))
    expected = share**0.5 * (2 * images - 1) + (1 - share) ** 0.5 * noise
    torch.testing.assert_close(seen[0], expected, atol=1e-4, rtol=1e-4)
    assert noise[..., 1:].mul(noise[..., :-1]).mean() > 0.3, "neighbours of simplex noise resemble each other"


def test_noise_of_a_prediction_follows_the_seed() -> None:
    method, images = built(), torch.rand(1, 1, *SHAPE)

    with torch.inference_mode():
        first, again, other = (method.restored(images, seed) for seed in (0, 0, 1))

    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_loss_is_that_of_the_noise() -> None:
    method, batch = built(), torch.rand(4, 1, *SHAPE)
    method.network = Knows(2 * batch - 1)
    perfect = []
    for one in batch:  # the perfect network takes one time step at a time
        method.network.clean = 2 * one[None] - 1
        perfect.append(method.training_loss(one[None]).item())

    assert max(perfect) < 1e-4
    assert max(method.network.times) <= 250
    assert len(set(method.network.times)) > 1


@pytest.mark.parametrize("polarity", ["absolute", "bright"])
def test_score_is_the_squared_difference(polarity: str, monkeypatch: pytest.MonkeyPatch) -> None:
    method, images = built(polarity=polarity), torch.rand(2, 1, *SHAPE)
    monkeypatch.setattr(method, "restored", lambda given, seed: torch.full_like(given, 0.5))
    brain = torch.rand(2, *SHAPE) < 0.7

    maps = method.predict(images, PredictContext(brain, SPACING, ("t1",), torch.device("cpu"), seed=0)).maps

    difference = images[:, 0] - 0.5
    if polarity == "bright":
        difference = difference.clamp(min=0)
    torch.testing.assert_close(maps, difference**2 * brain)


def test_jump_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="jump is 100, expected a divisor of start"):
        built(jump=100)


@pytest.mark.parametrize("preset", sorted(AnoDdpm.presets))
def test_presets_build(preset: str) -> None:
    method = AnoDdpm(AnoDdpm.settings_for(preset, {"jump": 250}))
    method.build(("t1", "t2"), (21, 29), SPACING)

    with torch.inference_mode():
        assert method.restored(torch.zeros(1, 2, 21, 29), 0).shape == (1, 2, 21, 29)


def test_conforms() -> None:
    assert_conforms(AnoDdpm)
