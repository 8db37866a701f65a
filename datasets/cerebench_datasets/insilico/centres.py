"""Scanners of a multi-centre cohort: fixed for a cohort and centre name, whatever the seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cerebench_datasets.insilico.parameters import Scanner
from cerebench_datasets.insilico.streams import stream

_GAINS = ("t1", "t1c", "t2", "flair", "pd", "dwi")
"""Drawn in this order from one stream: new modalities go last, so that no earlier one changes. ADC has no gain."""


@dataclass(frozen=True)
class Centre:
    """Values of :class:`Scanner`, all decided.

    Attributes:
        modality_gain: factor on ``gain`` for each modality.
    """

    field_strength: float
    gain: float
    snr: float
    bias: float
    blur_mm: float
    slice_mm: float
    grey_contrast: float
    echo_scale: float
    modality_gain: Mapping[str, float]


def make_centre(cohort: str, name: str | None, general: Scanner, own: Scanner | None) -> Centre:
    """Draw a centre from its name; what the card fixes replaces what was drawn.

    Args:
        cohort: name of the cohort.
        name: name of the centre, ``None`` for a cohort without.
        general: the card's values for all centres.
        own: the card's values for this one.
    """
    rng = stream("centre", cohort, name or "")
    drawn = {
        "field_strength": float(rng.choice([1.5, 3.0])),
        "gain": float(rng.uniform(200, 900)),
        "snr": float(rng.uniform(15, 35)),
        "bias": float(rng.uniform(0.05, 0.2)),
        "blur_mm": float(rng.uniform(0.9, 1.5)),
        "slice_mm": float(rng.uniform(1.0, 3.0)),
        "grey_contrast": float(rng.uniform(0.85, 1.1)),
        "echo_scale": float(rng.uniform(0.9, 1.1)),
    }
    gains = {modality: float(rng.lognormal(0, 0.3)) for modality in _GAINS}
    for block in (general, own or Scanner()):
        drawn |= block.model_dump(exclude_none=True)
    return Centre(**drawn, modality_gain=gains)
