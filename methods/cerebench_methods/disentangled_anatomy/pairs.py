"""Training crops of T1/T2 pairs, with the intensity reference of the anatomical prior."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cerebench.api import MethodError, Volumes

Array = np.ndarray[Any, Any]

TAILS = (5, 95)
"""Percentiles of T1 inside the brain that stand for the darkest and the brightest tissue."""


def tissue_scale(t1: Array, brain: Array, values: Sequence[float]) -> Array:
    """T1 ``[D, H, W]`` scaled so that its tails inside the brain have the first and the last tissue value."""
    low, high = np.percentile(t1[brain], TAILS) if brain.any() else (0.0, 1.0)
    scaled: Array = values[0] + (t1 - low) / max(high - low, 1e-6) * (values[-1] - values[0])
    return scaled


class PairedCrops(Sequence[Tensor]):
    """Random crops ``[M + 2, side, side, side]`` float32 around the brain.

    Channels: the M modalities (T1 and T2 unless told), the brain, :func:`tissue_scale` of T1.
    """

    def __init__(
        self,
        volumes: Volumes,
        side: int,
        repeats: int,
        values: Sequence[float],
        modalities: Sequence[str] = ("t1", "t2"),
    ) -> None:
        """``repeats``: crops of every volume an epoch; ``values``: of the tissues in the anatomical image."""
        self.volumes, self.side, self.repeats, self.values = volumes, side, repeats, values
        self.modalities = modalities

    def __len__(self) -> int:
        return len(self.volumes) * self.repeats

    def __getitem__(self, index: int) -> Tensor:  # type: ignore[override]
        """A crop whose centre is a random brain voxel, as near to it as the volume's border allows.

        Raises:
            MethodError: the volume lacks one of the modalities.
        """
        volume = self.volumes[index % len(self.volumes)]
        missing = set(self.modalities) - set(volume.modalities)
        if missing:
            found, needed = "+".join(volume.modalities), "/".join(self.modalities).upper()
            words = ("pairs", "both") if len(self.modalities) == 2 else ("scans", "all")
            raise MethodError(
                f"disentangled-anatomy learns from {needed} {words[0]} of the same subject, found {found}: "
                f"choose training sources with {words[1]}"
            )
        places = np.flatnonzero(volume.brain)
        chosen = places[int(torch.randint(len(places), ()))] if len(places) else 0
        centre = np.unravel_index(chosen, volume.brain.shape)
        starts = [
            max(0, min(int(place) - self.side // 2, size - self.side))
            for place, size in zip(centre, volume.brain.shape, strict=True)
        ]
        window = tuple(slice(start, start + self.side) for start in starts)
        images = [volume.image[volume.modalities.index(name)] for name in self.modalities]
        reference = tissue_scale(images[self.modalities.index("t1")], volume.brain, self.values)
        parts = np.stack([part[window] for part in (*images, volume.brain, reference)]).astype(np.float32)
        margins = [(0, 0), *((0, self.side - size) for size in parts.shape[1:])]
        return torch.from_numpy(np.pad(parts, margins))
