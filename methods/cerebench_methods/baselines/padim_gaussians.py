"""Gaussians of many positions at once: running moments, whitening, Mahalanobis distance."""

from __future__ import annotations

import torch
from torch import Tensor

from cerebench.api import MethodError


class RunningGaussians:
    """First and second moments of features at P positions, summed about the mean of the first batch."""

    def __init__(self) -> None:
        self._count = 0
        self._centre: Tensor | None = None
        self._sum: Tensor
        self._outer: Tensor

    def add(self, features: Tensor) -> None:
        """Take in features ``[P, B, F]`` of B slices."""
        if self._centre is None:
            self._centre = features.mean(1, keepdim=True)
            self._sum = torch.zeros_like(self._centre)
            self._outer = features.new_zeros(len(features), features.shape[2], features.shape[2])
        centred = features - self._centre
        self._count += features.shape[1]
        self._sum += centred.sum(1, keepdim=True)
        self._outer.baddbmm_(centred.transpose(1, 2), centred)

    def whitened(self, shrinkage: float) -> tuple[Tensor, Tensor]:
        """Means ``[P, F]`` and whiteners ``[P, F, F]``: inverse Cholesky factors of the shrunk covariances.

        Args:
            shrinkage: added to every diagonal, in units of the mean variance of all positions and features.

        Raises:
            MethodError: fewer than two slices.
        """
        if self._centre is None or self._count < 2:
            raise MethodError(f"a covariance needs at least two training slices (found {self._count})")
        shift = self._sum / self._count
        covariance = (self._outer - self._count * shift.transpose(1, 2) @ shift) / (self._count - 1)
        scale = covariance.diagonal(dim1=1, dim2=2).mean().clamp(min=torch.finfo(torch.float32).tiny)
        covariance.diagonal(dim1=1, dim2=2).add_(shrinkage * scale)
        factor = torch.linalg.cholesky(covariance)
        identity = torch.eye(covariance.shape[1], device=covariance.device).expand_as(covariance)
        whitener = torch.linalg.solve_triangular(factor, identity, upper=False)
        return (self._centre + shift)[:, 0], whitener


def mahalanobis(features: Tensor, mean: Tensor, whitener: Tensor) -> Tensor:
    """Mahalanobis distance of features ``[P, B, F]`` at each position, ``[P, B]``: length of the whitened deviation."""
    deviation = features - mean[:, None]
    distances: Tensor = torch.linalg.vector_norm(deviation @ whitener.transpose(1, 2), dim=2)
    return distances
