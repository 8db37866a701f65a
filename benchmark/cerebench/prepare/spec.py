"""What preparation is to produce: everything that changes its output and is not in the files or the card."""

from __future__ import annotations

import hashlib
import json
from math import ceil

from pydantic import BaseModel, ConfigDict, Field, model_validator

PREPARE_VERSION = 1
"""Version of the steps; raised whenever the same files and spec would give other arrays."""

MULTIPLE = 8
"""Grid sides are multiples of this, so that networks with three halvings need no padding."""


class PrepareSpec(BaseModel):
    """Grid and intensity scale shared by all cases of a run.

    Attributes:
        spacing_mm: isotropic voxel size in mm.
        field_of_view_mm: extent along left-right, posterior-anterior and inferior-superior, centred on the brain; the
            default holds adult brains (about 140 x 180 x 140 mm) with a margin.
        low_percentile: percentile of the brain's intensities that becomes 0.
        high_percentile: percentile that becomes 1.
        clip_low: smallest scaled value kept.
        clip_high: largest scaled value kept.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    spacing_mm: float = Field(default=1.0, gt=0.0, le=20.0, allow_inf_nan=False)
    field_of_view_mm: tuple[float, float, float] = (160.0, 192.0, 160.0)
    low_percentile: float = Field(default=1.0, ge=0.0, lt=100.0)
    high_percentile: float = Field(default=99.0, gt=0.0, le=100.0)
    clip_low: float = Field(default=-0.5, allow_inf_nan=False, le=0.0)
    clip_high: float = Field(default=3.0, allow_inf_nan=False, ge=1.0)

    @model_validator(mode="after")
    def _ordered(self) -> PrepareSpec:
        if self.low_percentile >= self.high_percentile:
            raise ValueError("low_percentile must be below high_percentile")
        if not all(0 < side <= 1000 for side in self.field_of_view_mm):
            raise ValueError("field_of_view_mm must be three lengths in mm, each above 0 and at most 1000")
        return self

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along D, H, W: the field of view, rounded up to a multiple of eight."""
        d, h, w = (ceil(round(side / self.spacing_mm / MULTIPLE, 9)) * MULTIPLE for side in self.field_of_view_mm)
        return d, h, w

    def digest(self) -> str:
        """Hexadecimal fingerprint of spec and steps version; part of every cache key."""
        text = json.dumps({"version": PREPARE_VERSION, **self.model_dump(mode="json")}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
