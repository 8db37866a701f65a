"""A lesion as maps, and from maps to the values of a mask file."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from cerebench.api import UsageError


@dataclass(frozen=True)
class Finding:
    """What a table says of one lesion, or of the whole examination (number 0).

    Attributes:
        number: lesion number in the mask.
        outcome: class, 0 or 1.
        covariates: clinical variables by name.
    """

    number: int
    outcome: int
    covariates: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Lesion:
    """Maps by lesion part, ``[X, Y, Z]`` float32 in [0, 1].

    Attributes:
        extent: share of the voxel that the part takes; the mask comes from it.
        shown: share in which the part's signal replaces the tissue's: extent times severity.
        numbers: ``[X, Y, Z]`` int16, number of the lesion that a voxel belongs to (0: none), for kinds of several
            lesions that are told apart; else ``None``.
        findings: what tables say, one a numbered lesion or one of the examination.
    """

    extent: Mapping[str, np.ndarray]
    shown: Mapping[str, np.ndarray]
    numbers: np.ndarray | None = None
    findings: tuple[Finding, ...] = ()

    def mapped(self, change: Callable[[np.ndarray], np.ndarray], numbers: Callable[[np.ndarray], np.ndarray]) -> Lesion:
        """The lesion with every map changed alike; ``numbers`` changes the map of lesion numbers."""
        return replace(
            self,
            extent={part: change(values) for part, values in self.extent.items()},
            shown={part: change(values) for part, values in self.shown.items()},
            numbers=None if self.numbers is None else numbers(self.numbers),
        )


def label_values(
    kind: str,
    parts: tuple[str, ...],
    anomalies: list[int],
    known: Container[int],
    chosen: Mapping[str, int] | None,
    name: str,
) -> dict[str, int]:
    """Lesion part → value in the mask file.

    Args:
        kind: lesion kind, for the message.
        parts: its parts, in the order in which values are given out.
        anomalies: the layout's anomaly labels.
        known: all labels of the layout; a chosen one may also be one that does not count as anomaly.
        chosen: the card's ``tissue_labels``, or ``None`` for the default; 0 shows a part without labelling it.
        name: the card, for the message.

    Raises:
        UsageError: the layout's labels do not fit the lesion's parts, or a value is not one of the layout's labels.
    """
    ordered = sorted(anomalies)
    if chosen is None and len(ordered) == 1:
        chosen = dict.fromkeys(parts, ordered[0])
    elif chosen is None and len(ordered) == len(parts):
        chosen = dict(zip(parts, ordered, strict=True))
    if chosen is None or set(chosen) != set(parts) or not all(value in known for value in chosen.values() if value):
        raise UsageError(
            f"card {name!r}: the parts of a {kind} lesion ({', '.join(parts)}) do not fit the labels of its layout "
            f"(anomaly: {ordered}); set simulate.parameters.tissue_labels to one of these labels "
            "for each part, or to 0 for none"
        )
    return dict(chosen)


def label_map(
    extent: Mapping[str, np.ndarray],
    brain: np.ndarray,
    values: Mapping[str, int],
    numbers: np.ndarray | None = None,
) -> np.ndarray:
    """Voxels that are at least half lesion, with the value of the largest part: ``[X, Y, Z]`` uint8 or uint16.

    Parts of value 0 are left out. With ``numbers`` the value is the lesion's number followed by the part's digit, as
    uint16. Where no voxel is half lesion, the one that holds most of it is marked, so that no patient, and no numbered
    lesion, is left without.
    """
    names = [name for name in extent if values[name]]
    stack = np.stack([extent[name] for name in names])
    total = np.where(brain, stack.sum(0), 0)
    codes = np.array([values[name] for name in names], np.uint8)[stack.argmax(0)]
    if numbers is None:
        marked = (total >= min(0.5, float(total.max()))) & (total > 0)
        return np.where(marked, codes, 0).astype(np.uint8)
    marked = (total >= 0.5) & (numbers > 0)
    every = np.unique(numbers[total > 0])
    for missing in np.setdiff1d(every[every > 0], numbers[marked]):
        marked.ravel()[np.where(numbers == missing, total, 0).argmax()] = True
    return np.where(marked, 10 * numbers.astype(np.uint16) + codes, 0).astype(np.uint16)
