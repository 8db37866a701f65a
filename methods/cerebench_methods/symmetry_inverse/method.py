"""Symmetry-informed inverse learning (Wang et al. 2026), rebuilt from its public description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from cerebench.api import FitRun, Method, MethodInfo, PredictContext, Prediction, Stage, Volumes
from cerebench.training.canvas import canvas_shape
from cerebench_methods.symmetry_inverse.settings import (
    ASSUMPTIONS,
    INPAINTING,
    PRESETS,
    VARIANTS,
    SymmetryInverseSettings,
)

if TYPE_CHECKING:
    from torch import Tensor

    from cerebench_methods.symmetry.frame import Frame


@dataclass(frozen=True)
class _Inverse:
    """One volume taken through both networks, on the symmetric grid ``[C, D', H', W]`` unless said otherwise.

    Attributes:
        frame: between the native and the symmetric grid.
        image: the aligned volume.
        restored: what the U-Net makes of it.
        distances: Mahalanobis distance of each native axial slice, ``[W]``.
    """

    frame: Frame
    image: Tensor
    restored: Tensor
    distances: Tensor


class SymmetryInverse(Method):
    """A masked 2D U-Net restores healthy slices; a beta-VAE embeds what it fails to restore.

    Stage ``fit`` trains the U-Net, ``embed`` the beta-VAE and the healthy latent distribution, ``adapt`` continues both
    on the tested cohort. Validation volumes are not used at all: the harness takes its thresholds from them.
    """

    info = MethodInfo(
        name="symmetry-inverse",
        summary="U-Net with symmetry-aware masking restores slices; Mahalanobis distance of the embedded difference.",
        supervision="healthy",
        unit="volume",
        stages=(
            Stage(name="fit", settings=INPAINTING, keeps=("unet",)),
            Stage(name="embed"),
            Stage(name="adapt", data="target"),
        ),
        citation=(
            "Wang S, Ayubcha C, Hua Y, Beam A. Normal is all you need: symmetry-informed inverse learning. "
            "medRxiv 2026.04.10.26350553, 2026."
        ),
        reimplementation=True,
        assumptions=ASSUMPTIONS,
    )

    class Settings(SymmetryInverseSettings):
        """Those of the module ``settings``."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = VARIANTS

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        """Create both networks for axial slices of ``shape``, padded to a multiple of their strides."""
        import torch

        from cerebench_methods.symmetry_inverse.networks import UNET_STRIDE, beta_vae, inpainting_unet

        settings, channels = self.settings, len(modalities)
        sides = canvas_shape(shape[:2], max(UNET_STRIDE, 2**settings.vae_depth))
        self.canvas = (sides[0], sides[1])
        self.patch = max(1, round(settings.patch_mm / spacing[0]))
        self.unet: Any = inpainting_unet(channels, settings.width)
        self.vae: Any = beta_vae(channels, self.canvas, settings.latent, settings.vae_width, settings.vae_depth)
        self.difference_scale = torch.ones(())
        self.healthy_mean = torch.zeros(settings.latent)
        self.healthy_whitener = torch.eye(settings.latent)
        self.healthy_distances = torch.zeros(101)

    def fit(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        """Stage 1: the U-Net learns to restore hidden patches of healthy slices."""
        self._train_unet(train, run, self.settings.learning_rate, steps=self.settings.steps)

    def embed(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        """Stage 2: the beta-VAE learns healthy difference maps, then where their codes lie."""
        from cerebench_methods.symmetry_inverse.slices import root_mean_square

        maps = self._differences(train, run)
        self.difference_scale = root_mean_square(maps).to(run.device)
        self._train_vae(maps, run, self.settings.vae_learning_rate, steps=self.settings.vae_steps)

    def adapt(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        """Continue both trainings on the tested cohort's training split and fit the healthy distribution afresh."""
        settings = self.settings
        rate, epochs = settings.adapt_rate, settings.adapt_epochs
        self._train_unet(train, run, rate * settings.learning_rate, epochs=epochs)
        self._train_vae(self._differences(train, run), run, rate * settings.vae_learning_rate, epochs=epochs)

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        """Difference maps ``[B, D, H, W]``, distances of axial slices ``[B, W]``, subject scores ``[B]``."""
        import torch

        from cerebench_methods.symmetry_inverse.statistics import subject_score

        maps, slice_scores, scores = [], [], []
        for image, brain in zip(images, context.brain, strict=True):
            found = self._invert(image, brain, context.spacing)
            maps.append(found.frame.to_native((found.image - found.restored).abs()).mean(0) * brain)
            areas = brain.sum((0, 1))
            large = areas >= min(self.settings.min_brain * brain.shape[0] * brain.shape[1], int(areas.max()))
            slice_scores.append(found.distances)
            scores.append(subject_score(found.distances[large], self.settings.subject_share))
        return Prediction(maps=torch.stack(maps), scores=torch.stack(scores), slice_scores=torch.stack(slice_scores))

    def explain(self, images: Tensor, context: PredictContext) -> dict[str, Tensor]:
        """Pictures of the first channel, ``[B, D, H, W]``: what goes in, what comes out, and what is made of it.

        ``latent distance`` is a slice's Mahalanobis distance all over the slice's brain, ``latent percentile`` the
        place of that distance among those of the healthy training slices.
        """
        import torch

        from cerebench_methods.symmetry_inverse.statistics import healthy_percentile

        sheets: dict[str, list[Tensor]] = {}
        for image, brain in zip(images, context.brain, strict=True):
            found = self._invert(image, brain, context.spacing)
            visible = 1 - self._masks(image.device)[0, 0, :, :, None]
            difference = (found.image - found.restored).abs()
            pictures = {
                "input": found.image,
                "masked input": found.image * visible,
                "reconstruction": found.restored,
                "difference": difference,
                "mirrored difference": difference.flip(1),
            }
            flat = {name: found.frame.to_native(picture)[0] * brain for name, picture in pictures.items()}
            flat["latent distance"] = found.distances * brain
            flat["latent percentile"] = healthy_percentile(found.distances, self.healthy_distances) * brain
            for name, picture in flat.items():
                sheets.setdefault(name, []).append(picture)
        return {name: torch.stack(parts) for name, parts in sheets.items()}

    def _train_unet(self, volumes: Volumes, run: FitRun, rate: float, **length: int) -> None:
        from cerebench_methods.symmetry_inverse.slices import aligned_slices
        from cerebench_methods.symmetry_inverse.trainings import train_unet

        slices = aligned_slices(volumes, self.canvas, self.settings.min_brain, run)
        train_unet(self.unet, slices, self.settings, self.patch, run, rate, **length)

    def _differences(self, volumes: Volumes, run: FitRun) -> Tensor:
        from cerebench_methods.symmetry_inverse.slices import upright_differences

        return upright_differences(volumes, self.canvas, self.settings.min_brain, run, self._upright_difference)

    def _train_vae(self, maps: Tensor, run: FitRun, rate: float, **length: int) -> None:
        import torch

        from cerebench_methods.symmetry_inverse.statistics import fit_healthy
        from cerebench_methods.symmetry_inverse.trainings import train_vae

        train_vae(self.vae, maps, self.difference_scale, self.settings, run, rate, **length)
        with torch.no_grad():
            codes = torch.cat([self._codes(part.to(run.device)).cpu() for part in torch.split(maps, 256)])
        healthy = fit_healthy(codes.numpy())
        self.healthy_mean = healthy.mean.to(run.device)
        self.healthy_whitener = healthy.whitener.to(run.device)
        self.healthy_distances = healthy.distances.to(run.device)

    def _masks(self, device: Any) -> Tensor:
        from cerebench_methods.symmetry_inverse.masks import complementary_masks

        settings = self.settings
        return complementary_masks(settings.masking, self.canvas, self.patch, settings.ratio, device)

    def _restore(self, image: Tensor) -> Tensor:
        """Aligned volume ``[C, *canvas, W]`` as the U-Net restores it."""
        from cerebench_methods.symmetry_inverse.networks import restore

        self.unet.eval()
        slices, masks = image.permute(3, 0, 1, 2), self._masks(image.device)
        return restore(self.unet, slices, masks).permute(1, 2, 3, 0)

    def _upright_difference(self, frame: Frame, image: Tensor, restored: Tensor | None = None) -> Tensor:
        """Difference maps of the native axial slices of an aligned volume, mid-line upright: ``[W, C, *canvas]``."""
        difference = image - (self._restore(image) if restored is None else restored)
        if self.settings.difference == "absolute":
            difference = difference.abs()
        return frame.to_upright(difference).permute(3, 0, 1, 2)

    def _codes(self, maps: Tensor) -> Tensor:
        """Posterior means of difference maps ``[N, C, *canvas]``, ``[N, L]``."""
        import torch

        self.vae.eval()
        parts = (part / self.difference_scale for part in torch.split(maps, 64))
        return torch.cat([self.vae.encode_forward(part)[0].float() for part in parts])

    def _invert(self, image: Tensor, brain: Tensor, spacing: tuple[float, ...]) -> _Inverse:
        from cerebench_methods.symmetry.frame import Frame
        from cerebench_methods.symmetry_inverse.statistics import mahalanobis

        frame = Frame.of(image, brain, spacing, self.canvas)
        aligned = frame.to_symmetric(image)
        restored = self._restore(aligned)
        codes = self._codes(self._upright_difference(frame, aligned, restored).contiguous())
        return _Inverse(frame, aligned, restored, mahalanobis(codes, self.healthy_mean, self.healthy_whitener))
