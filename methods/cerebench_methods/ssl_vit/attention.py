"""Where a transformer looks: attention rollout and gradient-weighted attention, and the share of it in a region."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import interpolate

if TYPE_CHECKING:
    from cerebench_methods.ssl_vit.encoder import Encoder


@contextmanager
def captured(encoder: Encoder) -> Iterator[list[Tensor]]:
    """Attentions ``[B, heads, tokens, tokens]`` of each block, in order, of whatever runs inside."""
    found: list[Tensor] = []

    def keep(module: object, given: tuple[Tensor, ...], output: Tensor) -> None:
        found.append(given[0])

    handles = [layer.register_forward_hook(keep) for layer in encoder.attentions()]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def rollout(attentions: list[Tensor], pool: str) -> Tensor:
    """Attention rollout (Abnar and Zuidema 2020): ``[B, patches]``, adding up to 1.

    Per block the mean over heads with the residual path as the identity; blocks are multiplied.

    Args:
        attentions: ``[B, heads, tokens, tokens]`` per block, the class token first.
        pool: which rows count: that of the class token (``cls``) or the patches' mean (``mean``).
    """
    joint = None
    for attention in attentions:
        mean = attention.mean(dim=1)
        step = (mean + torch.eye(mean.shape[-1], device=mean.device)) / 2
        joint = step if joint is None else step @ joint
    assert joint is not None
    return _normalised(_row(joint, pool))


def gradient_weighted(attentions: list[Tensor], output: Tensor, pool: str) -> Tensor:
    """Relevance of each patch for ``output`` (Chefer, Gur and Wolf, ICCV 2021): ``[B, patches]``, adding up to 1.

    Per block the positive part of attention times its gradient, mean over heads, added to the relevance so far. Where
    no part is positive, the attention is spread evenly.

    Args:
        attentions: as for :func:`rollout`, with gradients.
        output: ``[B]`` logits.
        pool: as for :func:`rollout`.
    """
    slopes = torch.autograd.grad(output.sum(), attentions)
    size = attentions[0].shape[-1]
    relevance = torch.eye(size, device=output.device).expand(len(output), size, size)
    for attention, slope in zip(attentions, slopes, strict=True):
        relevance = relevance + (attention * slope).clamp(min=0).mean(dim=1).detach() @ relevance
    return _normalised(_row(relevance - torch.eye(size, device=output.device), pool))


def _row(joint: Tensor, pool: str) -> Tensor:
    """What reaches the pooled output from each patch."""
    return joint[:, 0, 1:] if pool == "cls" else joint[:, 1:, 1:].mean(dim=1)


def _normalised(patches: Tensor) -> Tensor:
    total = patches.sum(dim=1, keepdim=True)
    even = torch.full_like(patches, 1 / patches.shape[1])
    return torch.where(total > 0, patches / total.clamp(min=torch.finfo(patches.dtype).tiny), even)


def as_volume(patches: Tensor, grid: tuple[int, ...], canvas: tuple[int, ...]) -> Tensor:
    """Patches ``[B, patches]`` as a picture ``[B, *canvas]``, linear between centres, adding up to 1."""
    coarse = patches.reshape(len(patches), 1, *grid)
    fine = interpolate(coarse, size=canvas, mode="trilinear", align_corners=False)[:, 0]
    return fine / fine.flatten(1).sum(dim=1).view(-1, *[1] * len(canvas))


def share(picture: Tensor, region: Tensor) -> Tensor:
    """Share ``[B]`` of a non-negative picture ``[B, D, H, W]`` inside a region; 0 where the picture is empty."""
    inside, whole = ((picture * part).flatten(1).sum(dim=1) for part in (region, torch.ones_like(region)))
    return torch.where(whole > 0, inside / whole.clamp(min=1e-12), torch.zeros_like(whole))


def parts(image: Tensor, lesion: Tensor) -> dict[str, Tensor]:
    """Enhancing and non-enhancing part of lesions ``[B, D, H, W]``, split at Otsu's threshold of each lesion.

    The prepared mask holds the outline alone, so that the necrotic part is what is darker on contrast-enhanced T1.
    """
    bright = torch.zeros_like(lesion)
    for index in range(len(image)):
        inside = image[index][lesion[index]]
        if inside.numel():
            bright[index] = lesion[index] & (image[index] > otsu(inside))
    return {"enhancing": bright, "non-enhancing": lesion & ~bright}


def otsu(values: Tensor) -> float:
    """The threshold that splits values into the two groups with the largest variance between them."""
    ordered = values.double().sort().values
    count = ordered.numel()
    if count < 2 or bool(ordered[0] == ordered[-1]):
        return float(ordered[0])
    below = torch.arange(1, count, device=values.device, dtype=torch.float64)
    sums = ordered.cumsum(0)
    low, high = sums[:-1] / below, (sums[-1] - sums[:-1]) / (count - below)
    between = below * (count - below) * (high - low) ** 2
    # a cut between equal values is none
    between[ordered[1:] == ordered[:-1]] = -1
    return float(ordered[int(between.argmax())])
