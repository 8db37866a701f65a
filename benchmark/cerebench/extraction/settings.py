"""What can be asked of the extraction, and every number that its steps use."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from cerebench.errors import UsageError

EXTRACTION_VERSION = 1
"""Raised whenever the same files would give other voxels; finished cases are then done again."""

REFERENCE_ORDER = ("t1", "t1c", "t2", "flair")
"""The first of these that a case has is registered to the template; the others are registered to it."""

REGISTRATION_ORDER = (*REFERENCE_ORDER, "pd", "dwi", "adc")
"""Of several images on one grid the first is registered and the others go with it."""

QUANTITATIVE = frozenset({"adc"})
"""Values with a unit: a bias field cancels in their ratio, so nothing is corrected and no constant added."""


@dataclass(frozen=True)
class Options:
    """What a user chooses.

    Attributes:
        spacing_mm: voxel size of the output.
        allow_stripped: whether cases that need no brain extraction are brought to the template all the same.
        keep_transforms: whether transforms and the brain mask on the original grid are kept.
    """

    spacing_mm: float = 1.0
    allow_stripped: bool = False
    keep_transforms: bool = False

    def __post_init__(self) -> None:
        if not 0.5 <= self.spacing_mm <= 4:
            raise UsageError(f"--spacing {self.spacing_mm:g} mm: expected 0.5 to 4 mm")


@dataclass(frozen=True)
class Numbers:
    """Parameters of the steps; they enter the fingerprint of every case.

    Attributes:
        seed: of the random sampling of registrations.
        head_level: part of Otsu's threshold above which smoothed voxels belong to the head.
        bias_mm: voxel size on which the bias field is estimated.
        bias_iterations: most iterations of N4 at each level of its B-spline.
        bias_tolerance: N4 stops below this change.
        registration_mm: voxel size of registrations.
        rough_levels: parts of Otsu's threshold inside the head above which voxels may be brain. The first serves T1;
            where it leaves less than a brain (T2: white matter is dark) the next is tried.
        rough_opening_mm: radii of the opening, tried in turn until what is left has the size of a brain.
        rough_ml: size of the first mask, from and to.
        rough_closing_mm: radius of the closing that fills sulci and ventricles of the first mask.
        margin_mm: how far the first mask is grown before the deformable registration.
        syn_iterations: iterations of SyN at each level.
        metric_bins: bins of Mattes' mutual information.
    """

    seed: int = 1
    head_level: float = 0.5
    bias_mm: float = 4.0
    bias_iterations: tuple[int, ...] = (30, 20, 10)
    bias_tolerance: float = 1e-6
    registration_mm: float = 2.0
    rough_levels: tuple[float, ...] = (0.8, 0.6, 0.45, 0.3)
    rough_opening_mm: tuple[float, ...] = (3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
    rough_ml: tuple[float, float] = (900.0, 2100.0)
    rough_closing_mm: float = 8.0
    margin_mm: float = 4.0
    syn_iterations: tuple[int, ...] = (40, 20, 10)
    metric_bins: int = 32

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


NUMBERS = Numbers()
