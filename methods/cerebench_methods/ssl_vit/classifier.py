"""Lesion classification with a vision transformer: what all three methods share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cerebench.api import ANOMALY, FitRun, Method, PredictContext, Prediction, Volume, Volumes

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cerebench_methods.ssl_vit.finetuning import Item


class VitClassifier(Method):
    """A 3D transformer on two channels, contrast-enhanced T1 and the lesion's mask.

    Attributes:
        encoder, mask_embedding, head: the network.
        prior: log of the class weight of training, taken off every logit so that scores are probabilities.
    """

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        """The network for cubes of this shape, padded to whole patches; the encoder first, whatever the head."""
        import torch

        from cerebench.training.canvas import canvas_shape
        from cerebench_methods.ssl_vit.encoder import Encoder
        from cerebench_methods.ssl_vit.heads import MaskEmbedding

        self.canvas = canvas_shape(shape, self.settings.patch)
        self.encoder = Encoder(self.canvas, self.settings)
        self.mask_embedding = MaskEmbedding(self.settings)
        self.head = self.new_head()
        self.prior = torch.zeros(())

    def new_head(self) -> nn.Module:
        """The classifier of the tokens."""
        from cerebench_methods.ssl_vit.heads import ImageHead

        return ImageHead(self.settings)

    def learn_covariates(self, volumes: list[Volume]) -> None:
        """Called once with the training lesions, before any is encoded."""

    def covariates(self, cases: Iterable[Volume | PredictContext]) -> Tensor | None:
        """Clinical features ``[B, features]`` of volumes or of contexts, or ``None``; ``cases`` are not looked at."""
        return None

    def fit(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        """Fine-tune on labelled lesions.

        Raises:
            MethodError: a lesion has no class, or all have the same.
        """
        import torch

        from cerebench_methods.clinical.labels import classes
        from cerebench_methods.ssl_vit.encoder import scaled
        from cerebench_methods.ssl_vit.finetuning import fine_tune

        lesions = list(train)
        labels = classes(lesions, self.info.name)
        self.learn_covariates(lesions)
        held_out = [volume for volume in validation if volume.label is not None]
        items = [self._item(volume, label) for volume, label in zip(lesions, labels, strict=True)]
        others = [self._item(volume, int(volume.label or 0)) for volume in held_out]
        prior = fine_tune(run, self._network(), items, others, self.settings, scaled)
        self.prior = torch.tensor(prior, device=run.device)

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        """Probability of class 1."""
        return Prediction(scores=(self._logits(images, context) - self.prior).sigmoid().float())

    def explain(self, images: Tensor, context: PredictContext) -> dict[str, Tensor]:
        """Attention rollout and gradient-weighted attention, and their shares in the lesion and its parts."""
        import torch

        from cerebench.training.canvas import crop_to
        from cerebench_methods.ssl_vit import attention

        with torch.inference_mode(False), torch.enable_grad():
            with attention.captured(self.encoder) as attentions:
                logits = self._logits(images.clone(), context)
            patches = {
                "attention gradient": attention.gradient_weighted(attentions, logits, self.settings.pool),
                "attention rollout": attention.rollout([one.detach() for one in attentions], self.settings.pool),
            }
        grid = tuple(side // self.settings.patch for side in self.canvas)
        shape = tuple(images.shape[2:])
        lesion = _mask(context) == ANOMALY
        regions = {"lesion": lesion, **attention.parts(images[:, 0], lesion)}
        found: dict[str, Tensor] = {}
        for name, values in patches.items():
            picture = crop_to(attention.as_volume(values.float(), grid, self.canvas), shape)
            found[name] = picture
            for place, region in regions.items():
                found[f"{name}, share in {place} part" if place != "lesion" else f"{name}, share in lesion"] = (
                    attention.share(picture, region)
                )
        return found

    def _network(self) -> Any:
        from cerebench_methods.ssl_vit.finetuning import Classifier

        return Classifier(self.encoder, self.mask_embedding, self.head)

    def _logits(self, images: Tensor, context: PredictContext) -> Tensor:
        from cerebench.training.canvas import pad_to
        from cerebench_methods.ssl_vit.encoder import scaled

        masks = (_mask(context) == ANOMALY).to(images.dtype)[:, None].clone()
        covariates = self.covariates([context])
        found: Tensor = self._network()(
            scaled(pad_to(images, self.canvas)),
            pad_to(masks, self.canvas),
            None if covariates is None else covariates.to(images.device),
        )
        return found

    def _item(self, volume: Volume, label: int) -> Item:
        import numpy as np
        import torch

        from cerebench.training.canvas import pad_to

        assert volume.lesion_mask is not None
        mask = (np.asarray(volume.lesion_mask) == ANOMALY).astype(np.float32)[None]
        item = {
            "image": pad_to(torch.from_numpy(volume.image.copy()), self.canvas),
            "mask": pad_to(torch.from_numpy(mask), self.canvas),
            "label": torch.tensor(float(label)),
        }
        covariates = self.covariates([volume])
        return item if covariates is None else {**item, "covariates": covariates[0]}


def _mask(context: PredictContext) -> Tensor:
    assert context.lesion_mask is not None
    return context.lesion_mask
