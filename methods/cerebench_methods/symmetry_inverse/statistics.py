"""The healthy latent distribution, the distance from it, and a subject's score from those of its slices."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor


class Healthy(NamedTuple):
    """Gaussian of healthy latent codes, as tensors.

    Attributes:
        mean: ``[L]``.
        whitener: ``[L, L]``, lower triangular, with precision = whitener · whitenerᵀ.
        distances: ``[101]``: percentiles 0 to 100 of the Mahalanobis distances of the codes it was fitted on.
    """

    mean: Tensor
    whitener: Tensor
    distances: Tensor


def fit_healthy(codes: np.ndarray[Any, Any]) -> Healthy:
    """Mean and Ledoit–Wolf covariance of codes ``[N, L]``; shrinkage keeps it invertible where N < L."""
    from sklearn.covariance import LedoitWolf

    fitted = LedoitWolf().fit(codes.astype(np.float64))
    mean = torch.from_numpy(fitted.location_)
    whitener = torch.linalg.cholesky(torch.from_numpy(fitted.precision_))
    distances = mahalanobis(torch.from_numpy(codes.astype(np.float64)), mean, whitener)
    percentiles = torch.quantile(distances, torch.linspace(0, 1, 101, dtype=torch.float64))
    return Healthy(mean.float(), whitener.float(), percentiles.float())


def mahalanobis(codes: Tensor, mean: Tensor, whitener: Tensor) -> Tensor:
    """Mahalanobis distance of each code ``[N, L]``, ``[N]``: the length of the whitened deviation."""
    distances: Tensor = torch.linalg.vector_norm((codes - mean) @ whitener, dim=1)
    return distances


def healthy_percentile(distances: Tensor, percentiles: Tensor) -> Tensor:
    """Percentile of distances ``[N]`` among those of the healthy training slices, in [0, 100]."""
    return torch.searchsorted(percentiles.contiguous(), distances.contiguous(), right=True).clamp(1, 101).float() - 1


def subject_score(scores: Tensor, share: float) -> Tensor:
    """Mean of the highest ``share`` of a subject's slice scores ``[W]``, of one at least: a scalar.

    One noisy slice does not decide alone, as it would with the maximum, and a small lesion is not averaged away.
    """
    count = max(1, round(share * len(scores)))
    return scores.topk(count).values.mean()
