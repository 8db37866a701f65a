"""The anatomical prior and the joint loss on cases with known answers."""

from __future__ import annotations

import pytest
import torch

from cerebench_methods.disentangled_anatomy.losses import inside_error, joint_loss, tissue_prior
from cerebench_methods.disentangled_anatomy.method import DisentangledAnatomy
from cerebench_methods.disentangled_anatomy.networks import Disentangler

VALUES = (0.29, 0.48, 0.72)


def hard(labels: list[int]) -> torch.Tensor:
    return torch.eye(3)[torch.tensor(labels)].T[None, :, :, None, None]


def test_prior_is_zero_for_the_nearest_tissue_and_counts_the_excess_otherwise() -> None:
    reference = torch.tensor([0.2, 0.5, 0.9]).view(1, 1, 3, 1, 1)
    inside = torch.ones(1, 1, 3, 1, 1)

    assert tissue_prior(hard([0, 1, 2]), reference, VALUES, inside).item() == pytest.approx(0, abs=1e-6)
    wrong = tissue_prior(hard([0, 1, 1]), reference, VALUES, inside).item()
    half_gap = (0.72 - 0.29) / 4
    assert wrong == pytest.approx(((0.9 - 0.48) ** 2 - (0.9 - 0.72) ** 2) / 3 / half_gap**2, rel=1e-5)


def test_prior_prefers_the_middle_class_to_a_mixture_of_the_others() -> None:
    reference, inside = torch.full((1, 1, 1, 1, 1), 0.5), torch.ones(1, 1, 1, 1, 1)
    mixture = torch.tensor([0.5, 0.0, 0.5]).view(1, 3, 1, 1, 1)

    pure, mixed = (tissue_prior(soft, reference, VALUES, inside) for soft in (hard([1]), mixture))

    assert pure < mixed


def test_error_counts_voxels_inside_only() -> None:
    one, other = torch.zeros(1, 2, 4), torch.ones(1, 2, 4)
    assert inside_error(one, other, torch.tensor([1.0, 1.0, 0.0, 0.0]).view(1, 1, 4)).item() == pytest.approx(1)


def test_equal_scans_of_both_modalities_have_no_inconsistency_and_every_network_learns() -> None:
    torch.manual_seed(0)
    settings = DisentangledAnatomy.settings_for("mock")
    networks = Disentangler(settings).eval()
    image, brain = torch.rand(1, 1, 8, 8, 8), torch.ones(1, 1, 8, 8, 8)

    parts = joint_loss(networks, torch.cat([image, image, brain, image], 1), settings, 4.0)
    parts["loss"].backward()

    assert parts["consistency"].item() == pytest.approx(0, abs=1e-6)
    weights = settings.consistency_weight, settings.similarity_weight, settings.prior_weight
    others = zip(weights, ("consistency", "similarity", "prior"), strict=True)
    total = parts["reconstruction"] + sum(weight * parts[name] for weight, name in others)
    assert parts["loss"].item() == pytest.approx(total.item(), rel=1e-6)
    assert all(parameter.grad is not None for parameter in networks.parameters())


def test_the_similarity_teaches_the_restorer_alone() -> None:
    """With a gradient to the anatomy the easiest code to restore is that of a single tissue."""
    torch.manual_seed(0)
    settings = DisentangledAnatomy.settings_for("mock")
    networks = Disentangler(settings)
    pairs = torch.cat([torch.rand(1, 2, 8, 8, 8), torch.ones(1, 1, 8, 8, 8), torch.rand(1, 1, 8, 8, 8)], 1)

    joint_loss(networks, pairs, settings, 4.0)["similarity"].backward()

    assert all(parameter.grad is not None for parameter in networks.restorer.parameters())
    others = (networks.anatomy, networks.embed, networks.combiner, networks.modality)
    assert all(parameter.grad is None for network in others for parameter in network.parameters())
