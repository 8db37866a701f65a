"""The Wasserstein critic's loss with gradient penalty (Gulrajani et al. 2017); imported while training."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """Mean over the batch of (gradient norm − 1)² of the critic at random places between real and fake ``[B, …]``."""
    share = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device)
    between = (share * real + (1 - share) * fake).detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    excess: Tensor = slope.flatten(1).norm(dim=1) - 1
    return excess.square().mean()


def critic_loss(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, penalty: float) -> dict[str, Tensor]:
    """What the critic minimises: ``loss``, with the estimated Wasserstein ``distance`` of fake from real."""
    distance = critic(real).mean() - critic(fake).mean()
    return {"loss": penalty * gradient_penalty(critic, real, fake) - distance, "distance": distance.detach()}
