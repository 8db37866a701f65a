"""Brains and the frame they are aligned to; imported with the first brain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from cerebench.api import Volume
from cerebench_methods.baselines.healthy_atlas_registration import (
    by_moments,
    grid_places,
    inverse,
    levels,
    moments,
    moved,
    register,
    sample,
)

if TYPE_CHECKING:
    from cerebench_methods.baselines.healthy_atlas_statistics import Sums


@dataclass(frozen=True)
class Brain:
    """A volume on a device.

    Attributes:
        image: ``[C, D, H, W]``, 0 outside the brain.
        inside: ``[D, H, W]`` bool.
        spacing: ``[3]`` mm.
    """

    image: Tensor
    inside: Tensor
    spacing: Tensor

    @classmethod
    def of_volume(cls, volume: Volume, device: Any) -> Brain:
        """A copy of a volume of the harness."""
        image = torch.from_numpy(np.array(volume.image, dtype=np.float32))
        inside = torch.from_numpy(np.array(volume.brain, dtype=bool))
        return cls(image.to(device), inside.to(device), torch.tensor(volume.spacing, device=device))


@dataclass(frozen=True)
class Frame:
    """The grid of an atlas.

    Attributes:
        template: mean brain ``[D, H, W]``, 0 outside; all 0 as long as there is none.
        share: share of brains at each place, ``[D, H, W]``.
        spacing: ``[3]`` mm.
        extent: centre and standard deviations of the brains that are not yet aligned to a template, ``None`` later.
    """

    template: Tensor
    share: Tensor
    spacing: Tensor
    extent: tuple[Tensor, Tensor] | None = None

    def transform_to(self, brain: Brain) -> Tensor:
        """The transform ``[3, 4]`` from places of the frame to places of a brain."""
        theirs = moments(brain.inside, brain.spacing)
        if self.extent is not None:
            return by_moments(self.extent, theirs).double()
        inside = self.share > 0.5
        start = by_moments(moments(inside, self.spacing), theirs)
        image = brain.image.mean(0) * brain.inside
        return register(levels(self.template, inside, self.spacing), levels(image, brain.inside, brain.spacing), start)

    def delivered(self, brain: Brain) -> tuple[Tensor, Tensor]:
        """Intensities ``[C, D, H, W]`` (0 outside the brain) and weights ``[D, H, W]`` of a brain in the frame."""
        places = moved(self.transform_to(brain), grid_places(tuple(self.share.shape), self.spacing).double())
        inside = brain.inside.to(brain.image.dtype)
        both = sample(torch.cat([brain.image * inside, inside[None]]), places, brain.spacing.double())
        both = both.view(-1, *self.share.shape)
        return both[:-1], both[-1]

    def brought_to(self, brain: Brain, volume: Tensor) -> Tensor:
        """A volume ``[C, D, H, W]`` of the frame at the places of a brain; beyond the grid its nearest values."""
        shape = tuple(brain.inside.shape)
        places = moved(inverse(self.transform_to(brain)), grid_places(shape, brain.spacing).double())
        return sample(volume, places, self.spacing.double(), outside="border").view(-1, *shape)

    def sharpened(self, sums: Sums) -> Frame:
        """The frame with the mean of the brains that were delivered to it."""
        template, share = sums.template()
        return replace(self, template=template, share=share, extent=None)
