"""Disentangled anatomy learning (Yang et al. 2026), rebuilt from its public description."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from cerebench.api import (
    DiagnoseContext,
    Diagnosis,
    FitRun,
    Method,
    MethodError,
    MethodInfo,
    PredictContext,
    Prediction,
    Stage,
    Volumes,
)
from cerebench.training.canvas import canvas_shape, crop_to, pad_to
from cerebench_methods.disentangled_anatomy.settings import (
    ASSUMPTIONS,
    PRESETS,
    TRAINED,
    VARIANTS,
    DisentangledAnatomySettings,
)

if TYPE_CHECKING:
    from torch import Tensor

    from cerebench_methods.disentangled_anatomy.pairs import PairedCrops

MODALITIES = ("t1", "t2")


class Restoration(NamedTuple):
    """Everything on the way from images to pseudo-healthy images, all ``[B, 1, D, H, W]`` on the padded grid.

    Attributes:
        image: what went in.
        brain: 0 or 1.
        anatomy: anatomical image.
        seen: what the restorer saw.
        healthy: pseudo-healthy image.
        vector: modality vectors ``[B, size]`` of the images.
    """

    image: Tensor
    brain: Tensor
    anatomy: Tensor
    seen: Tensor
    healthy: Tensor
    vector: Tensor


class DisentangledAnatomy(Method):
    """A volume becomes a three-tissue image, that becomes edges, and from these alone a healthy brain is rendered."""

    info = MethodInfo(
        name="disentangled-anatomy",
        summary="Restores a healthy volume from the edges of its three-tissue anatomy; |difference| × (1 − SSIM).",
        supervision="healthy",
        unit="volume",
        training="paired",
        modalities=frozenset(MODALITIES),
        stages=(Stage(name="fit", settings=TRAINED),),
        citation=(
            "Yang T, Wang X, Liu H, Gong G, Wu L-M, Wang Y-P, Wang L. Disentangled anatomy learning for unsupervised "
            "anomaly detection in multi-centre brain MRI. Medical Image Analysis 109:103922, 2026."
        ),
        reimplementation=True,
        assumptions=ASSUMPTIONS,
    )

    class Settings(DisentangledAnatomySettings):
        """Those of the module ``settings``."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = VARIANTS

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        """Create the networks; ``modalities`` are those of the training pairs.

        Raises:
            MethodError: T1 or T2 is missing.
        """
        import torch

        from cerebench_methods.disentangled_anatomy.networks import Disentangler

        if not set(modalities) >= set(MODALITIES):
            raise MethodError(
                f"disentangled-anatomy learns from T1/T2 pairs of the same subject, found {'+'.join(modalities)}: "
                "choose training sources and columns with both"
            )
        self.spacing = spacing
        self.known = (*MODALITIES, *sorted(set(modalities) - set(MODALITIES)))
        self.networks: Any = Disentangler(self.settings, self.known)
        self.mean_vectors = torch.zeros(len(self.known), self.settings.modality_size)

    def fit(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        """All networks together on crops of healthy pairs; then the mean modality vector of either modality."""
        import torch
        from torch.optim.lr_scheduler import OneCycleLR

        from cerebench.training import train as train_modules
        from cerebench_methods.disentangled_anatomy.losses import joint_loss

        settings = self.settings
        train_modules(
            run,
            self.networks,
            self.crops(train, self.known),
            lambda batch: joint_loss(self.networks, batch, settings, train[0].spacing[0]),
            steps=settings.steps,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            scheduler=lambda optimizer, total: OneCycleLR(optimizer, settings.learning_rate, total_steps=total),
            clip_norm=1.0,
        )
        with torch.no_grad():
            vectors = [self.vectors(volume, run.device, self.known) for volume in train]
        self.mean_vectors = torch.stack(vectors).mean(0)

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        """Hybrid score ``[B, D, H, W]`` of one modality, 0 outside the brain."""
        from cerebench_methods.disentangled_anatomy.score import hybrid_score

        found = self.restoration(images, context)
        score = hybrid_score(found.image, found.healthy, self.settings, context.spacing)
        return Prediction(maps=crop_to(score[:, 0], tuple(context.brain.shape[1:])).float() * context.brain)

    def explain(self, images: Tensor, context: PredictContext) -> dict[str, Tensor]:
        """Pictures of every step, ``[B, D, H, W]``."""
        from cerebench_methods.disentangled_anatomy.score import dissimilarity

        found = self.restoration(images, context)
        pictures = {
            "anatomy": found.anatomy,
            "edges" if self.settings.restorer_input == "edges" else "restorer input": found.seen,
            "pseudo-healthy": found.healthy,
            "difference": (found.image - found.healthy).abs(),
            "SSIM distance": dissimilarity(found.image, found.healthy, self.settings.ssim_window),
        }
        shape = tuple(context.brain.shape[1:])
        return {name: crop_to(picture[:, 0], shape).float() * context.brain for name, picture in pictures.items()}

    def diagnose(self, context: DiagnoseContext) -> Diagnosis:
        """The authors' checks: tissues of pairs, edges alone, modality vectors, tissue values across centres."""
        from cerebench_methods.disentangled_anatomy.diagnosis import diagnose

        return diagnose(self, context)

    def with_tissue_values(self, values: tuple[float, ...]) -> DisentangledAnatomy:
        """The trained method with other tissue values in its anatomical image; the networks are shared."""
        other = copy(self)
        other.settings = self.settings.model_copy(update={"tissue_values": values})
        return other

    def looks(self, vectors: Tensor, modality: str) -> Tensor:
        """The modality vectors ``[B, size]`` that images with these ``vectors`` are rendered with."""
        if self.settings.reuse_modality:
            return vectors
        mean: Tensor = self.mean_vectors[self.known.index(modality)]
        return mean.to(vectors.device).expand_as(vectors)

    def restoration(self, images: Tensor, context: PredictContext) -> Restoration:
        """Everything on the way from images of one modality to pseudo-healthy images.

        One by one: a class or an edge flips with the last bit, which depends on the size of a batch.

        Raises:
            MethodError: the images are of a modality that was not trained.
        """
        import torch

        parts = [
            self._restore_one(image[None], brain[None], context.modalities)
            for image, brain in zip(images, context.brain, strict=True)
        ]
        return Restoration(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))

    def _restore_one(self, images: Tensor, inside: Tensor, modalities: tuple[str, ...]) -> Restoration:
        import torch

        from cerebench_methods.disentangled_anatomy.losses import classes_of, restorer_view
        from cerebench_methods.disentangled_anatomy.operators import anatomical_image

        if len(modalities) != 1 or modalities[0] not in self.known:
            allowed = " or ".join(name.upper() for name in self.known)
            raise MethodError(f"disentangled-anatomy tests {allowed} alone, found {'+'.join(modalities)}")
        networks = self.networks.eval()
        canvas = canvas_shape(tuple(images.shape[2:]), self.stride())
        image, brain = pad_to(images, canvas), pad_to(inside[:, None].to(images.dtype), canvas)
        if image.device.type == "cpu":  # torch has a 3D convolution for batches of one that is several times slower
            image, brain = (part.expand(2, *part.shape[1:]) for part in (image, brain))
        image = image * brain
        modality = torch.full((len(image),), self.known.index(modalities[0]), device=image.device)
        classes = classes_of(networks(image, brain, modality), self.settings) * brain
        anatomy = anatomical_image(classes, self.settings.tissue_values, brain)
        seen = restorer_view(image, anatomy, self.settings)
        vector = networks.vector(image, brain, modalities[0])
        healthy = networks.render(networks.restorer(seen), self.looks(vector, modalities[0]), brain)
        return Restoration(*(part[:1] for part in (image, brain, anatomy, seen, healthy, vector)))

    def vectors(self, volume: Any, device: Any, modalities: tuple[str, ...]) -> Tensor:
        """Modality vectors ``[M, size]`` of a training subject, in the order of ``modalities``."""
        import numpy as np
        import torch

        brain = torch.from_numpy(np.array(volume.brain, dtype=np.float32))[None, None].to(device)
        found = []
        for name in modalities:
            image = torch.from_numpy(np.array(volume.image[[volume.modalities.index(name)]]))[None].to(device)
            found.append(self.networks.vector(image * brain, brain, name)[0])
        return torch.stack(found).float()

    def crops(self, volumes: Volumes, modalities: tuple[str, ...]) -> PairedCrops:
        """Training crops; an epoch has at least eight batches."""
        from cerebench_methods.disentangled_anatomy.pairs import PairedCrops

        settings, stride = self.settings, self.stride()
        side = -(-settings.crop // stride) * stride
        repeats = max(1, -(-8 * settings.batch_size // len(volumes)))
        return PairedCrops(volumes, side, repeats, settings.tissue_values, modalities)

    def stride(self) -> int:
        """Sides of a padded volume are multiples of it."""
        from cerebench_methods.disentangled_anatomy.networks import unet_stride

        return unet_stride(self.settings.depth)
