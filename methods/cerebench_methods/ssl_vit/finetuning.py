"""Fine-tuning: class-weighted loss, learning rates that fall towards the input, early stopping on validation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from cerebench.training import train
from cerebench_methods.ssl_vit.augmentation import flipped, recoloured

if TYPE_CHECKING:
    from cerebench.api import FitRun
    from cerebench_methods.ssl_vit.encoder import Encoder
    from cerebench_methods.ssl_vit.settings import VitSettings

Item = dict[str, Tensor]
_WARM_UP = 0.1


class Classifier(nn.Module):
    """Encoder, second channel and head as one network."""

    def __init__(self, encoder: Encoder, mask_embedding: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.mask_embedding, self.head = encoder, mask_embedding, head

    def forward(self, images: Tensor, masks: Tensor, covariates: Tensor | None = None) -> Tensor:
        """Logits ``[B]`` of scaled images and masks ``[B, 1, *canvas]``."""
        tokens = self.encoder(images, self.mask_embedding(masks))
        found: Tensor = self.head(tokens, covariates)
        return found


def fine_tune(
    run: FitRun,
    network: Classifier,
    items: Sequence[Item],
    held_out: Sequence[Item],
    settings: VitSettings,
    prepare: Any,
) -> float:
    """Train in place; returns the log of the positive class's weight, which predictions take off again.

    Args:
        run: of the stage.
        network: what is trained.
        items: dictionaries of ``image`` and ``mask`` ``[1, *canvas]``, ``label`` and, for fusion, ``covariates``.
        held_out: as ``items``; the weights with the lowest loss on them are kept.
        settings: length and rates.
        prepare: images of the batch → the encoder's input.
    """
    positives = sum(float(item["label"]) for item in items)
    weight = (len(items) - positives) / positives

    def loss(batch: Mapping[str, Tensor]) -> Tensor:
        logits = network(prepare(batch["image"]), batch["mask"], batch.get("covariates"))
        return binary_cross_entropy_with_logits(logits, batch["label"], pos_weight=torch.tensor(weight).to(logits))

    train(
        run,
        network,
        items,
        loss,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        optimizer=lambda parameters, rate: torch.optim.AdamW(
            layer_groups(network, rate, settings.layer_decay), lr=rate, weight_decay=settings.weight_decay
        ),
        scheduler=_warm_cosine,
        clip_norm=1.0,
        augment=augmented,
        validation=held_out,
        patience=settings.patience,
    )
    return math.log(weight)


def augmented(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The batch with lesions mirrored, mask alongside, and intensities changed."""
    both = flipped(torch.cat([batch["image"], batch["mask"]], dim=1))
    return {**batch, "image": recoloured(both[:, :1]), "mask": both[:, 1:]}


def layer_groups(network: Classifier, rate: float, decay: float) -> list[dict[str, Any]]:
    """Parameter groups: the head at ``rate``, each block below at ``decay`` times that of the one above it.

    The patch embedding, the class token and the positions lie below the first block; the mask's embedding is new and
    learns at the head's rate. The last layer norm belongs to the last block.
    """
    encoder = network.encoder
    blocks = list(encoder.blocks[:-1])
    lowest = [*encoder.patch_embedding.parameters(), encoder.cls_token]
    layers = [lowest, *([*block.parameters()] for block in blocks)]
    layers[-1] = [*layers[-1], *encoder.blocks[-1].parameters()]
    new = [*network.mask_embedding.parameters(), *network.head.parameters()]
    groups = [
        {"params": [one for one in layer if one.requires_grad], "lr": rate * decay ** (len(layers) - place)}
        for place, layer in enumerate(layers)
    ]
    return [*groups, {"params": new, "lr": rate}]


def _warm_cosine(optimizer: torch.optim.Optimizer, total: int) -> torch.optim.lr_scheduler.LambdaLR:
    """Linear warm-up over a tenth of the steps, then a cosine to zero, for every group alike."""
    warm = max(1, round(_WARM_UP * total))

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
