"""Clinical variables of irradiated metastases, modestly related to the outcome (1 progression, 0 necrosis)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PRIMARIES = {"lung": (0.45, -0.15), "breast": (0.25, 0.45), "melanoma": (0.15, -0.35), "other": (0.15, 0.1)}
"""Primary tumour → share of patients and log-odds that it adds to progression (assumed)."""
DOSES_GY = (15, 16, 18, 20, 21, 22, 24)

_AGE_YEARS, _AGE_SPREAD, _AGE_LIMITS, _AGE_ODDS = 61.0, 11.0, (25.0, 90.0), -0.15
_MONTHS, _MONTHS_SPREAD, _MONTHS_LIMITS = 9.0, 0.6, (2.0, 60.0)
_GROWTH, _GROWTH_SPREAD = 0.45, 0.8
_SHIFTS = {"months": -0.5, "dose": -0.3, "growth": -0.5}
"""Standardised mean difference progression − necrosis at ``covariate_effect`` 1."""


@dataclass(frozen=True)
class History:
    """What all lesions of a patient share: age in years and primary tumour."""

    age: float
    primary: str


def draw_history(rng: np.random.Generator) -> History:
    """Draw one patient."""
    age = float(np.clip(_AGE_YEARS + _AGE_SPREAD * rng.standard_normal(), *_AGE_LIMITS))
    shares = np.cumsum([share for share, _ in PRIMARIES.values()])
    return History(round(age, 1), list(PRIMARIES)[int(np.searchsorted(shares[:-1], rng.random()))])


def progression_chance(history: History, share: float, effect: float) -> float:
    """Chance that a lesion of this patient is progression; ``share`` for everybody where ``effect`` is 0."""
    odds = np.log(share / (1 - share))
    years = (history.age - _AGE_YEARS) / _AGE_SPREAD
    odds += effect * (PRIMARIES[history.primary][1] + _AGE_ODDS * years)
    return float(1 / (1 + np.exp(-odds)))


def lesion_row(
    rng: np.random.Generator, history: History, outcome: int, effect: float, missing: float
) -> dict[str, float | str]:
    """Clinical variables of one lesion by name; a missing one has no entry.

    ``age`` in years, ``primary``, ``months_since_radiotherapy``, ``dose_gy`` (single fraction) and ``growth_per_month``
    (relative volume growth before the examination).

    Args:
        rng: takes the same number of values whatever the outcome.
        history: of the patient.
        outcome: 1 progression, 0 necrosis.
        effect: factor on the differences between the outcomes.
        missing: chance of each variable but age to be absent.
    """
    normal = {name: rng.standard_normal() + effect * shift * (outcome - 0.5) for name, shift in _SHIFTS.items()}
    dose = int(np.clip(np.round(3 + 1.5 * normal["dose"]), 0, len(DOSES_GY) - 1))
    months = float(np.clip(_MONTHS * np.exp(_MONTHS_SPREAD * normal["months"]), *_MONTHS_LIMITS))
    values: dict[str, float | str] = {
        "primary": history.primary,
        "months_since_radiotherapy": round(months, 1),
        "dose_gy": float(DOSES_GY[dose]),
        "growth_per_month": round(_GROWTH * float(np.exp(_GROWTH_SPREAD * normal["growth"])), 3),
    }
    absent = rng.random(len(values)) < missing
    recorded = {name: value for (name, value), gone in zip(values.items(), absent, strict=True) if not gone}
    return {"age": history.age} | recorded
