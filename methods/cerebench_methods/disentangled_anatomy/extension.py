"""A further modality for a trained method: new tone curves and a new modality extractor, everything else frozen.

The known limit of the paper is that another modality means training again; this is our way around it.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from cerebench.api import FitRun, MethodError, Volumes
from cerebench.training import train
from cerebench_methods.disentangled_anatomy.losses import classes_of, inside_error, restorer_view
from cerebench_methods.disentangled_anatomy.method import DisentangledAnatomy
from cerebench_methods.disentangled_anatomy.networks import Disentangler, ToneCurves
from cerebench_methods.disentangled_anatomy.operators import anatomical_image

REFERENCE = "t1"
"""The known modality whose anatomy the new one has to show."""


def extend(method: DisentangledAnatomy, modality: str, volumes: Volumes, run: FitRun, steps: int) -> int:
    """Teach a trained method one more modality, in place and in memory: its tensors fit no method that was built anew.

    Args:
        method: trained, on ``run.device``.
        modality: the new one.
        volumes: healthy subjects with T1 and the new modality.
        run: device, seed and scratch folder.
        steps: optimiser steps.

    Returns:
        Number of trained parameters.

    Raises:
        MethodError: the modality is known already, or a subject lacks T1 or the new modality.
    """
    networks: Disentangler = method.networks
    if modality in method.known:
        raise MethodError(f"disentangled-anatomy knows {modality} already: choose another modality")
    settings = method.settings
    for parameter in networks.parameters():
        parameter.requires_grad_(False)
    row = nn.Parameter(ToneCurves.start(modality).to(run.device))
    extractor = deepcopy(networks.modality).requires_grad_(True)
    networks.anatomy.curves.rows.append(row)
    networks.added[modality] = extractor
    method.known = (*method.known, modality)
    crops = method.crops(volumes, (REFERENCE, modality))
    trained = nn.ModuleDict({"curves": nn.ParameterList([row]), "extractor": extractor})
    train(
        run,
        trained,
        crops,
        lambda batch: extension_loss(networks.eval(), batch, settings, method.known.index(modality), extractor),
        steps=steps,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        scheduler=lambda optimizer, total: torch.optim.lr_scheduler.OneCycleLR(
            optimizer, settings.learning_rate, total_steps=total
        ),
        clip_norm=1.0,
        name=f"extend-{modality}",
    )
    with torch.no_grad():
        vectors = [method.vectors(volume, run.device, (modality,)) for volume in volumes]
    method.mean_vectors = torch.cat([method.mean_vectors, torch.stack(vectors).mean(0)])
    return sum(parameter.numel() for parameter in trained.parameters())


def extension_loss(
    networks: Disentangler, crops: Tensor, settings: Any, index: int, extractor: nn.Module
) -> dict[str, Tensor]:
    """Loss of crops ``[B, 4, D, H, W]`` (T1, new modality, brain, scaled T1): the frozen T1 anatomy is the target."""
    known, image, brain = crops[:, :1], crops[:, 1:2], crops[:, 2:3]

    def modality(number: int) -> Tensor:
        return torch.full((len(crops),), number, device=crops.device)

    with torch.no_grad():
        target = networks(known, brain, modality(0)).softmax(1)
    logits = networks(image, brain, modality(index))
    consistency = inside_error(logits.softmax(1), target, brain)
    classes = classes_of(logits, settings) * brain
    seen = restorer_view(image, anatomical_image(classes, settings.tissue_values, brain), settings)
    vector = extractor(image, brain)
    codes = (networks.restorer(seen), networks.embed(classes))
    reconstruction = torch.stack(
        [inside_error(networks.render(code, vector, brain), image, brain) for code in codes]
    ).sum()
    # the reconstruction's pull on the curves is weak beside what the anatomy of T1 says
    loss = reconstruction + (settings.consistency_weight + settings.prior_weight) * consistency
    return {"loss": loss, "reconstruction": reconstruction, "consistency": consistency}
