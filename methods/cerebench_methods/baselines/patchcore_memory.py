"""PatchCore's memory: sampling, greedy coreset, nearest neighbours, the reweighted score of an image."""

from __future__ import annotations

import torch
from torch import Tensor

from cerebench.api import MethodError

_QUERIES = 4096
"""Distances of so many patches to the whole memory are held at once."""


def sampled(patches: Tensor, usable: Tensor, quota: int) -> Tensor:
    """At most ``quota`` random patches of every slice, ``[N, F]``, of ``[B, h, w, F]`` where ``usable [B, h, w]``."""
    chosen = []
    for features, mask in zip(patches.flatten(1, 2), usable.flatten(1), strict=True):
        places = mask.nonzero()[:, 0]
        chosen.append(features[places[torch.randperm(len(places))[:quota].to(places.device)]])
    return torch.cat(chosen)


def coreset(patches: Tensor, size: int, projection: int) -> Tensor:
    """Greedy k-centre selection (Sener and Savarese 2018) in a random projection: indices ``[min(size, N)]``.

    The first is drawn at random; each further one is the patch farthest from those that were chosen.

    Args:
        patches: ``[N, F]``.
        size: patches to choose.
        projection: dimensions of the Gaussian random projection; no projection where F is not larger.

    Raises:
        MethodError: there is no patch.
    """
    if len(patches) == 0:
        raise MethodError("no training slice has a patch with tissue: the memory would be empty")
    points = patches
    if patches.shape[1] > projection:
        matrix = torch.randn(patches.shape[1], projection) / projection**0.5
        points = patches @ matrix.to(patches)
    return farthest_first(points, size, int(torch.randint(len(points), ())))


def farthest_first(points: Tensor, size: int, first: int) -> Tensor:
    """Indices ``[min(size, N)]`` of points ``[N, F]``, from ``first`` on; each next is farthest from all before."""
    count = min(size, len(points))
    chosen = torch.empty(count, dtype=torch.long, device=points.device)
    chosen[0] = first
    squares = points.square().sum(1)
    gaps = torch.full_like(squares, torch.inf)
    for index in range(1, count):
        last = chosen[index - 1]
        torch.minimum(gaps, squares - 2 * (points @ points[last]) + squares[last], out=gaps)
        gaps[last] = -torch.inf
        chosen[index] = gaps.argmax()
    return chosen


def nearest(patches: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """Distance to the nearest patch of ``memory [M, F]`` and its index, both ``[N]``, for patches ``[N, F]``."""
    centre = memory.mean(0)
    centred = memory - centre
    found = [torch.cdist(part - centre, centred).min(1) for part in torch.split(patches, _QUERIES)]
    return torch.cat([one.values for one in found]), torch.cat([one.indices for one in found])


def reweighted(
    patches: Tensor, distances: Tensor, places: Tensor, usable: Tensor, memory: Tensor, neighbours: int
) -> Tensor:
    """Scores of slices ``[B]``: the distance of the worst patch times one minus its share among neighbours.

    The share is the softmax, over the ``neighbours`` patches of the memory around the nearest one (itself among them),
    of their distances from the worst patch: a patch far from the memory in a region that is rare there counts more.

    Args:
        patches: ``[B, P, F]``.
        distances: to the memory, ``[B, P]``.
        places: index of the nearest patch of the memory, ``[B, P]``.
        usable: patches that may be the worst, ``[B, P]`` bool; all of them where there is none.
        memory: ``[M, F]``.
        neighbours: at least 1; 1 leaves the distances as they are.
    """
    allowed = usable | ~usable.any(1, keepdim=True)
    worst = torch.where(allowed, distances, -torch.inf).argmax(1)
    rows = torch.arange(len(patches), device=patches.device)
    scores = distances[rows, worst]
    if neighbours == 1:
        return scores
    anchors = memory[places[rows, worst]]
    around = torch.cdist(anchors, memory).topk(min(neighbours, len(memory)), dim=1, largest=False).indices
    gaps = torch.linalg.vector_norm(patches[rows, worst][:, None] - memory[around], dim=2)
    return scores * (1 - torch.exp(scores - torch.logsumexp(gaps, 1)))
