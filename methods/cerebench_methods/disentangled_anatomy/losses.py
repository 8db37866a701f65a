"""The four losses of the joint training on T1/T2 pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import l1_loss

from cerebench_methods.disentangled_anatomy.operators import anatomical_image, canny_edges, one_hot, warp

if TYPE_CHECKING:
    from cerebench_methods.disentangled_anatomy.networks import Disentangler


def classes_of(logits: Tensor, settings: Any) -> Tensor:
    """Tissue classes ``[B, 3, …]``, hard or soft as the settings say."""
    return one_hot(logits) if settings.one_hot else logits.softmax(1)


def restorer_view(image: Tensor, anatomy: Tensor, settings: Any) -> Tensor:
    """What the restorer sees of images ``[B, 1, …]`` with anatomical images of the same shape."""
    if settings.restorer_input == "intensity":
        return image
    return canny_edges(anatomy, settings.canny_low, settings.canny_high, settings.canny_sigma)


def tissue_prior(soft: Tensor, reference: Tensor, values: Sequence[float], inside: Tensor) -> Tensor:
    """Expected squared distance between a voxel's tissue value and its T1 intensity, over that of the best class.

    The expectation over classes, not the distance of the expected value: the latter never chooses the middle class.

    Args:
        soft: tissue probabilities ``[B, K, …]``.
        reference: T1 on the scale of the tissue values, ``[B, 1, …]``.
        values: of the tissues.
        inside: ``[B, 1, …]``, 0 or 1.

    Returns:
        0 where every voxel has the tissue nearest to its intensity; in units of the values' mean squared half gap.
    """
    levels = torch.tensor(values, dtype=soft.dtype, device=soft.device).view(1, -1, *[1] * (soft.dim() - 2))
    distances = (levels - reference).square()
    excess = ((soft * distances).sum(1, keepdim=True) - distances.amin(1, keepdim=True)) * inside
    gap = (max(values) - min(values)) / (2 * (len(values) - 1))
    found: Tensor = excess.sum() / inside.sum().clamp(min=1) / max(gap, 1e-3) ** 2
    return found


def joint_loss(networks: Disentangler, pairs: Tensor, settings: Any, spacing: float) -> dict[str, Tensor]:
    """Loss of crops ``[B, 4, D, H, W]`` of :class:`PairedCrops`; named parts beside ``loss``.

    Both images go through every network as one batch of 2B; rendering covers the four combinations of two anatomies
    and two modality vectors, so that swapping vectors has to render the other contrast.
    """
    count = len(pairs)
    images, brain = torch.cat([pairs[:, :1], pairs[:, 1:2]]), pairs[:, 2:3].repeat(2, 1, 1, 1, 1)
    logits = networks(images, brain)
    classes = classes_of(logits, settings) * brain
    anatomy = anatomical_image(classes, settings.tissue_values, brain)
    seen = restorer_view(images, anatomy, settings)
    if settings.edges == "normative":
        seen = warp(seen, settings.warp_mm / spacing)
    restored, direct = networks.restorer(seen), networks.embed(classes)
    vectors = networks.modality(images, brain)

    swapped = torch.cat([vectors[count:], vectors[:count]])
    others = torch.cat([images[count:], images[:count]])
    targets, looks, masks = (torch.cat(parts) for parts in ((images, others), (vectors, swapped), (brain, brain)))
    rendered = [networks.render(torch.cat([code, code]), looks, masks) for code in (restored, direct)]
    reconstruction = torch.stack([inside_error(one, targets, masks) for one in rendered]).sum()
    soft = logits.softmax(1)
    consistency = inside_error(soft[:count], soft[count:], brain[:count])
    # the anatomy is the target: otherwise the easiest code to restore from edges is that of a single tissue
    similarity = l1_loss(restored, direct.detach())
    prior = tissue_prior(soft, pairs[:, 3:].repeat(2, 1, 1, 1, 1), settings.tissue_values, brain)
    total = (
        reconstruction
        + settings.consistency_weight * consistency
        + settings.similarity_weight * similarity
        + settings.prior_weight * prior
    )
    return {
        "loss": total,
        "reconstruction": reconstruction,
        "consistency": consistency,
        "similarity": similarity,
        "prior": prior,
    }


def inside_error(one: Tensor, other: Tensor, inside: Tensor) -> Tensor:
    """Mean absolute difference inside a mask ``[B, 1, …]``."""
    error: Tensor = ((one - other).abs() * inside).sum() / (inside.sum() * one.shape[1]).clamp(min=1)
    return error
