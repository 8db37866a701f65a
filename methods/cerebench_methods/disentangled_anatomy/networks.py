"""The four networks: anatomy extractor, modality extractor, anatomy restorer, combiner."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from monai.networks.blocks.convolutions import Convolution
from monai.networks.nets.unet import UNet
from torch import Tensor, nn


def unet_stride(depth: int) -> int:
    """Sides of a volume must be multiples of it."""
    return int(2**depth)


VIEWS = ((3.0, -1.0), (-3.0, 2.0), (2.0, 0.5))
"""Gains and offsets of the views from which tone curves start: rising above the dark tissue, falling below the bright
one, and rising throughout. From gains near 0 the extractor stays for hundreds of steps at one class for all."""
KNOTS = (0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.05)
"""Intensities at which a tone curve bends."""
INVERTED = frozenset({"t2"})
"""Modalities with dark white matter and bright fluid, whose curves start as those of the negative."""


def unet(inputs: int, outputs: int, width: int, depth: int) -> nn.Module:
    """MONAI's 3D U-Net; the first level keeps the full resolution."""
    return UNet(
        spatial_dims=3,
        in_channels=inputs,
        out_channels=outputs,
        channels=[width, *(width * 2**level for level in range(depth + 1))][: depth + 2],
        strides=[1, *[2] * depth],
        num_res_units=1,
        norm="BATCH",
    )


def coarse_unet(inputs: int, outputs: int, width: int, depth: int) -> nn.Module:
    """MONAI's 3D U-Net whose first level has half the resolution already, and twice the filters.

    To tell which side of an edge is which tissue takes a wide view; this learns it in a third of the time.
    """
    return UNet(
        spatial_dims=3,
        in_channels=inputs,
        out_channels=outputs,
        channels=[width * 2 ** (level + 1) for level in range(depth + 1)],
        strides=[2] * depth,
        num_res_units=1,
        norm="BATCH",
    )


class ModalityExtractor(nn.Module):
    """What an image looks like, without where anything is: ``[B, 1, D, H, W]`` to ``[B, size]``."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        sides = [1, width, 2 * width, 2 * width]
        self.layers = nn.Sequential(
            *(Convolution(3, one, other, strides=2, act="LEAKYRELU", norm=None) for one, other in pairwise(sides))
        )
        self.vector = nn.Linear(sides[-1], size)

    def forward(self, image: Tensor, brain: Tensor) -> Tensor:
        """Vector of the features' mean inside the brain ``[B, 1, D, H, W]``."""
        found = self.layers(image)
        share = nn.functional.interpolate(brain.to(found.dtype), size=found.shape[2:], mode="area")
        pooled = (found * share).sum((2, 3, 4)) / share.sum((2, 3, 4)).clamp(min=1e-6)
        vector: Tensor = self.vector(pooled)
        return vector


class ToneCurves(nn.Module):
    """Piecewise linear curves of the intensity, a few for each modality: ``[B, 1, …]`` to ``[B, views, …]``.

    With the same curves for all, small networks learn the tissues of one contrast and fail on the inverse one.
    """

    def __init__(self, modalities: Sequence[str]) -> None:
        super().__init__()
        self.rows = nn.ParameterList([nn.Parameter(self.start(name)) for name in modalities])
        self.register_buffer("knots", torch.tensor(KNOTS), persistent=False)

    @staticmethod
    def start(modality: str) -> Tensor:
        """Curves ``[views, 1 + knots]`` of a new modality: an offset, then the change of slope at every knot."""
        gains, offsets = torch.tensor(VIEWS).T
        if modality in INVERTED:
            gains, offsets = -gains, offsets + gains
        curves = torch.zeros(len(VIEWS), 1 + len(KNOTS))
        curves[:, 0], curves[:, 1] = offsets, gains
        return curves

    knots: Tensor

    def forward(self, image: Tensor, modality: Tensor) -> Tensor:
        """Curves of images with modality indices ``[B]``."""
        chosen = torch.stack(list(self.rows))[modality]
        ramps = nn.functional.relu(image - self.knots.view(1, -1, 1, 1, 1))
        return torch.einsum("bvk,bkxyz->bvxyz", chosen[:, :, 1:], ramps) + chosen[:, :, 0, None, None, None]


class AnatomyExtractor(nn.Module):
    """Tissue logits ``[B, 3, …]`` of an image, whatever its contrast: one U-Net behind the modality's tone curves."""

    def __init__(self, width: int, depth: int, modalities: Sequence[str]) -> None:
        super().__init__()
        self.curves = ToneCurves(modalities)
        self.unet = unet(len(VIEWS), 3, width, depth)

    def forward(self, image: Tensor, brain: Tensor, modality: Tensor) -> Tensor:
        """Logits of images ``[B, 1, D, H, W]`` with brain masks of the same shape and modality indices ``[B]``."""
        views = nn.functional.leaky_relu(self.curves(image, modality), 0.2)
        logits: Tensor = self.unet(views * brain)
        return logits


class Combiner(nn.Module):
    """Renders an anatomical code ``[B, code, …]`` in the looks of a modality vector ``[B, size]``: ``[B, 1, …]``."""

    def __init__(self, code: int, width: int, size: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(code, width, 3, padding=1)
        self.second = nn.Conv3d(width, width, 1)
        self.last = nn.Conv3d(width, 1, 1)
        self.modulation = nn.Linear(size, 4 * width)

    def forward(self, code: Tensor, vector: Tensor) -> Tensor:
        """Feature-wise affine modulation after either convolution (Perez et al. 2018)."""
        scales = self.modulation(vector)[..., None, None, None].chunk(4, dim=1)
        found = nn.functional.leaky_relu(self.first(code) * (1 + scales[0]) + scales[1], 0.1)
        found = nn.functional.leaky_relu(self.second(found) * (1 + scales[2]) + scales[3], 0.1)
        image: Tensor = self.last(found)
        return image


class Disentangler(nn.Module):
    """All four networks, trained together; ``embed`` codes an anatomical image itself, ``tissues`` decodes a code."""

    def __init__(self, settings: Any, modalities: Sequence[str]) -> None:
        super().__init__()
        self.anatomy = AnatomyExtractor(settings.width, settings.depth, modalities)
        self.modality = ModalityExtractor(settings.render_width, settings.modality_size)
        self.added = nn.ModuleDict()  # modality extractors of modalities that came later
        self.restorer = coarse_unet(1, settings.code, settings.width, settings.depth)
        self.embed = nn.Conv3d(3, settings.code, 1)
        self.tissues = nn.Conv3d(settings.code, 3, 1)
        self.combiner = Combiner(settings.code, settings.render_width, settings.modality_size)
        self.to(memory_format=torch.channels_last_3d)  # halves the time of narrow convolutions on a CPU

    def forward(self, image: Tensor, brain: Tensor, modality: Tensor) -> Tensor:
        """Tissue logits ``[B, 3, …]``: the one part that is used alone."""
        logits: Tensor = self.anatomy(image, brain, modality)
        return logits

    def vector(self, image: Tensor, brain: Tensor, modality: str) -> Tensor:
        """Modality vectors ``[B, size]`` of images of one modality."""
        extractors = dict(self.added.items())
        found: Tensor = extractors.get(modality, self.modality)(image, brain)
        return found

    def render(self, code: Tensor, vector: Tensor, brain: Tensor) -> Tensor:
        """Image ``[B, 1, …]`` of a code and a modality vector, 0 outside the brain."""
        return torch.mul(self.combiner(code, vector), brain)
