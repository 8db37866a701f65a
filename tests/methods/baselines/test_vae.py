"""The VAE method and what its relatives share: bounds against torch.distributions, gradients slice by slice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributions import Laplace, Normal, kl_divergence

from cerebench.api import FitRun
from cerebench.testing import assert_conforms, mock_volumes
from cerebench_methods.baselines.vae import VariationalAutoencoder

SHAPE, SPACING = (24, 32), (4.0, 4.0)


def built(**settings: Any) -> VariationalAutoencoder:
    torch.manual_seed(0)
    method = VariationalAutoencoder(VariationalAutoencoder.settings_for("mock", settings))
    method.build(("t2",), SHAPE, SPACING)
    method.network.eval()
    return method


@pytest.mark.parametrize(("loss", "likelihood"), [("mse", Normal), ("l1", Laplace)])
def test_bound_is_that_of_the_named_decoder(loss: str, likelihood: Any) -> None:
    method = built(loss=loss, beta=0.3)
    batch = torch.rand(3, 1, *SHAPE)

    with torch.no_grad():
        found = method.bound(batch)
        decoded, mu, logvar, _ = method.network(batch)

    constant = likelihood(0.0, 1.0).log_prob(torch.zeros(()))
    error = -(likelihood(decoded, 1.0).log_prob(batch) - constant).sum((1, 2, 3))
    divergence = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0)).sum(1)
    assert found["error"].item() == pytest.approx(error.mean().item(), rel=1e-4)
    assert found["loss"].item() == pytest.approx((error + 0.3 * divergence).mean().item(), rel=1e-4)


@pytest.mark.parametrize("part", ["loss", "divergence", "error"])
def test_gradient_is_the_slope_of_each_slice_alone(part: str) -> None:
    """Central differences in double precision along a random direction, also from inside inference mode."""
    method = built(latent=3)
    method.network.double()
    slices = torch.rand(4, 1, *SHAPE, dtype=torch.float64)
    direction = torch.randn(1, 1, *SHAPE, dtype=torch.float64)

    with torch.inference_mode():
        found = method.gradient(slices, part)

    step = 1e-5 * direction
    with torch.no_grad():
        for one, slope in zip(slices[:, None], found, strict=True):
            rise = method.bound(one + step)[part] - method.bound(one - step)[part]
            assert (slope * direction[0]).sum().item() == pytest.approx(rise.item() / 2e-5, rel=1e-3)


def test_a_larger_beta_narrows_the_code(tmp_path: Path) -> None:
    train, validation = (mock_volumes(VariationalAutoencoder.info, count, seed=count) for count in (4, 2))
    divergences = []
    for beta in (0.001, 1.0):
        torch.manual_seed(0)
        method = VariationalAutoencoder(VariationalAutoencoder.settings_for("mock", {"beta": beta, "steps": 30}))
        method.build(("t1",), train[0].image.shape[1:3], SPACING)
        method.fit(train, validation, FitRun(torch.device("cpu"), "32-true", 0, tmp_path / str(beta)))
        with torch.no_grad():
            divergences.append(method.bound(torch.stack(list(validation.slices())))["divergence"].item())

    assert divergences[1] < 0.5 * divergences[0]


@pytest.mark.parametrize("preset", sorted(VariationalAutoencoder.presets))
def test_presets_build(preset: str) -> None:
    method = VariationalAutoencoder(VariationalAutoencoder.settings_for(preset))
    method.build(("t1",), (37, 45), SPACING)

    with torch.no_grad():
        assert method.reconstruct(torch.zeros(1, 1, 37, 45)).shape == (1, 1, 37, 45)


def test_conforms() -> None:
    assert_conforms(VariationalAutoencoder)
