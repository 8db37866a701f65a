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


def joint_loss(networks: Disentangler, crops: Tensor, settings: Any, spacing: float) -> dict[str, Tensor]:
    """Loss of crops ``[B, M + 2, D, H, W]`` of :class:`PairedCrops` with M modalities; named parts beside ``loss``.

    All images go through every network as one batch of M·B; rendering covers every combination of anatomies and
    modality vectors, so that swapping vectors has to render the other contrast.
    """
    count, kinds = len(crops), crops.shape[1] - 2
    images = torch.cat([crops[:, at : at + 1] for at in range(kinds)])
    brain, reference = (crops[:, at : at + 1].repeat(kinds, 1, 1, 1, 1) for at in (kinds, kinds + 1))
    modality = torch.arange(kinds, device=crops.device).repeat_interleave(count)
    logits = networks(images, brain, modality)
    classes = classes_of(logits, settings) * brain
    anatomy = anatomical_image(classes, settings.tissue_values, brain)
    seen = restorer_view(images, anatomy, settings)
    if settings.edges == "normative":
        seen = warp(seen, settings.warp_mm / spacing)
    restored, direct = networks.restorer(seen), networks.embed(classes)
    vectors = networks.modality(images, brain)

    targets, looks = (
        torch.cat([part.roll(turn * count, dims=0) for turn in range(kinds)]) for part in (images, vectors)
    )
    masks = brain.repeat(kinds, 1, 1, 1, 1)
    rendered = [networks.render(code.repeat(kinds, 1, 1, 1, 1), looks, masks) for code in (restored, direct)]
    reconstruction = torch.stack([inside_error(one, targets, masks) for one in rendered]).sum()
    soft = logits.softmax(1)
    # for a pair: the mean absolute difference of the two
    consistency = inside_error(soft, soft.roll(count, dims=0), brain)
    # the anatomy is the target: otherwise the easiest code to restore from edges is that of a single tissue
    truth = classes.detach()
    likelihood = networks.tissues(restored).log_softmax(1)
    similarity = l1_loss(restored, direct.detach()) - (truth * likelihood).sum() / brain.sum().clamp(min=1)
    prior = tissue_prior(soft, reference, settings.tissue_values, brain)
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
