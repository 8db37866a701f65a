"""The shared beta-VAE: its loss against torch.distributions, its reconstruction from the mean code."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from cerebench_methods.variational import beta_vae, beta_vae_loss


@pytest.mark.parametrize("beta", [0.0, 1.0, 4.0])
def test_loss_of_the_beta_vae_is_the_closed_form(beta: float) -> None:
    torch.manual_seed(0)
    given, decoded = torch.randn(2, 5, 1, 8, 6)
    mu, logvar = torch.randn(2, 5, 7)
    posterior, prior = Normal(mu, (0.5 * logvar).exp()), Normal(0, 1)
    likelihood = Normal(decoded, 1).log_prob(given) - Normal(0, 1).log_prob(torch.zeros(()))
    expected = (-likelihood.sum((1, 2, 3)) + beta * kl_divergence(posterior, prior).sum(1)).mean()

    found = beta_vae_loss(given, decoded, mu, logvar, beta)

    assert found["loss"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert found["divergence"].item() == pytest.approx(kl_divergence(posterior, prior).sum(1).mean().item(), rel=1e-5)


def test_reconstruction_comes_from_the_mean_code_and_is_not_bounded() -> None:
    torch.manual_seed(0)
    network = beta_vae(2, (16, 24), latent=5, width=4, depth=2).eval()
    images = 10 * torch.randn(3, 2, 16, 24)

    with torch.no_grad():
        decoded, mu, logvar, code = network(images)
        shifted = network.decode_forward(code + 100, use_sigmoid=False)

    assert decoded.shape == images.shape
    assert mu.shape == logvar.shape == (3, 5)
    assert torch.equal(code, mu)
    assert shifted.abs().max() > 1
