"""The anatomical prior and the joint loss on cases with known answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cerebench_methods.disentangled_anatomy.losses import classes_of, inside_error, joint_loss, tissue_prior
from cerebench_methods.disentangled_anatomy.method import DisentangledAnatomy
from cerebench_methods.disentangled_anatomy.networks import Disentangler
from cerebench_methods.disentangled_anatomy.operators import anatomical_image, canny_edges

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
    networks = Disentangler(settings, ("t1", "t2")).eval()
    with torch.no_grad():
        networks.anatomy.curves.rows[1].copy_(networks.anatomy.curves.rows[0])
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
    networks = Disentangler(settings, ("t1", "t2"))
    pairs = torch.cat([torch.rand(1, 2, 8, 8, 8), torch.ones(1, 1, 8, 8, 8), torch.rand(1, 1, 8, 8, 8)], 1)

    joint_loss(networks, pairs, settings, 4.0)["similarity"].backward()

    assert all(parameter.grad is not None for parameter in networks.restorer.parameters())
    others = (networks.anatomy, networks.embed, networks.combiner, networks.modality)
    assert all(parameter.grad is None for network in others for parameter in network.parameters())


def test_three_modalities_are_rendered_in_every_others_looks() -> None:
    """The reconstruction error is the mean over all nine combinations, counted here one by one."""
    torch.manual_seed(0)
    settings = DisentangledAnatomy.settings_for("mock")
    networks = Disentangler(settings, ("t1", "t2", "flair")).eval()
    images, brain = torch.rand(1, 3, 8, 8, 8), (torch.rand(1, 1, 8, 8, 8) > 0.2).float()

    parts = joint_loss(networks, torch.cat([images, brain, images[:, :1]], 1), settings, 4.0)

    errors, soft = [], []
    with torch.no_grad():
        vectors = [networks.modality(images[:, [at]], brain) for at in range(3)]
        for at in range(3):
            logits = networks(images[:, [at]], brain, torch.tensor([at]))
            soft.append(logits.softmax(1))
            classes = classes_of(logits, settings) * brain
            edges = canny_edges(
                anatomical_image(classes, VALUES, brain), settings.canny_low, settings.canny_high, settings.canny_sigma
            )
            for code in (networks.restorer(edges), networks.embed(classes)):
                for other in range(3):
                    wrong = networks.render(code, vectors[other], brain) - images[:, [other]]
                    errors.append((wrong.abs() * brain).sum() / brain.sum())
        apart = [
            ((soft[one] - soft[other]).abs() * brain).sum() / brain.sum() / 3 for one, other in ((0, 1), (0, 2), (1, 2))
        ]
    assert parts["reconstruction"].item() == pytest.approx(2 * float(np.mean(errors)), rel=1e-4)
    assert parts["consistency"].item() == pytest.approx(float(np.mean(apart)), rel=1e-4)
