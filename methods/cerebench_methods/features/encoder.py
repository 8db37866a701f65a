"""The encoder: a timm network that gives features of slices at four strides."""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from cerebench.api import MethodError
from cerebench.training.canvas import canvas_shape

STRIDES = (2, 4, 8, 16)
"""Of levels 0 to 3, the only ones that are computed."""

_SIDE = 32
_PUBLISHED_WIDTH = 64
_TISSUE, _LEAST_MEDIAN = 0.5, 0.05
_MEAN, _STD = 0.449, 0.226  # of ImageNet in grey, so that weights from the hub see what they know


def input_size(shape: tuple[int, ...], longer: int) -> tuple[int, int]:
    """Size of the network's input for slices of ``shape``: longer side about ``longer``, both multiples of 32."""
    scale = longer / max(shape)
    height, width = canvas_shape(tuple(max(1, round(side * scale)) for side in shape), _SIDE)
    return height, width


class SliceEncoder(nn.Module):
    """Features of slices.

    Args:
        name: timm's name of the network.
        channels: of the slices.
        width: channels of the first residual level.
        shape: (D, H) of the slices.
        image_size: longer side of the network's input.

    Attributes:
        channels: of levels 0 to 3.
        size: of the network's input.

    Raises:
        MethodError: timm has no such network, or it does not give features at strides 2, 4, 8 and 16.
    """

    def __init__(self, name: str, channels: int, width: int, shape: tuple[int, ...], image_size: int) -> None:
        super().__init__()
        options: dict[str, Any] = {}
        if width != _PUBLISHED_WIDTH:
            options["channels"] = tuple(width * 2**level for level in range(4))
        self.size = input_size(shape, image_size)
        try:
            self.network: Any = timm.create_model(
                name,
                features_only=True,
                in_chans=channels,
                out_indices=tuple(range(len(STRIDES))),
                pretrained=False,
                **options,
            )
        except Exception as error:  # timm raises whatever the network's constructor does
            raise MethodError(
                f"setting encoder={name!r} with width={width}: timm cannot build it ({type(error).__name__}: {error}); "
                "choose a ResNet such as resnet18, or width=64 for other networks"
            ) from None
        self.network.to(memory_format=torch.channels_last)  # several times faster on the CPU
        about: Any = self.network.feature_info
        found = tuple(about.reduction())
        if found != STRIDES:
            raise MethodError(
                f"setting encoder={name!r}: it gives features at strides {found}, expected {STRIDES}; "
                "choose a convolutional network such as resnet18"
            )
        self.channels: list[int] = list(about.channels())

    def resized(self, slices: Tensor) -> Tensor:
        """Slices ``[B, C, D, H]`` with the same typical intensity, at the network's input size."""
        return interpolate(same_tissue(slices), self.size, mode="bilinear", antialias=True)

    def standardised(self, inputs: Tensor) -> Tensor:
        """Resized slices as the network sees them."""
        return ((inputs - _MEAN) / _STD).contiguous(memory_format=torch.channels_last)

    def features(self, inputs: Tensor) -> list[Tensor]:
        """Levels 0 to 3 ``[B, C_l, h_l, w_l]`` of slices that were resized."""
        levels: list[Tensor] = self.network(self.standardised(inputs))
        return levels

    def forward(self, slices: Tensor) -> list[Tensor]:
        """Levels 0 to 3 of slices ``[B, C, D, H]`` of any size."""
        return self.features(self.resized(slices))

    def grid(self, level: int) -> tuple[int, int]:
        """Height and width of a level's feature maps."""
        return self.size[0] // STRIDES[level], self.size[1] // STRIDES[level]


def same_tissue(slices: Tensor) -> Tensor:
    """Slices ``[B, C, D, H]``, each channel scaled so that the median of its tissue (what is not 0) is 0.5.

    A large bright lesion sets the scale of its whole volume and makes healthy tissue darker than in training; the
    median of a slice hardly moves.
    """
    flat = slices.flatten(2)
    counts = (flat != 0).sum(2, keepdim=True)
    ordered = torch.where(flat != 0, flat, torch.inf).sort(2).values
    middle = ordered.gather(2, (counts // 2).clamp(max=flat.shape[2] - 1))
    middle = torch.where(counts > 0, middle, 1.0).clamp(min=_LEAST_MEDIAN)
    return slices * (_TISSUE / middle)[..., None]


def brain_cells(slices: Tensor, grid: tuple[int, int]) -> Tensor:
    """Cells of a feature grid that hold any tissue of slices ``[B, C, D, H]``: ``[B, *grid]`` bool."""
    tissue = (slices != 0).any(1, keepdim=True).float()
    return torch.nn.functional.adaptive_max_pool2d(tissue, grid)[:, 0] > 0
