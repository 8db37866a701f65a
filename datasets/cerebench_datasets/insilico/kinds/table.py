"""Lesion kinds by name."""

from __future__ import annotations

from cerebench.api import UsageError
from cerebench_datasets.insilico.kinds import (
    atrophy,
    glioma,
    healthy,
    meningioma,
    metastases,
    necrosis,
    paediatric,
    plaques,
    stroke,
    treated,
    wmh,
)
from cerebench_datasets.insilico.kinds.kind import Kind

KINDS: dict[str, Kind] = {
    module.KIND.name: module.KIND
    for module in (
        healthy,
        glioma,
        plaques,
        metastases,
        necrosis,
        wmh,
        atrophy,
        meningioma,
        paediatric,
        treated,
        stroke,
    )
}


def kind_named(name: str) -> Kind:
    """The kind of lesion of that name.

    Raises:
        UsageError: the phantom does not model it.
    """
    if name not in KINDS:
        raise UsageError(f"the phantom has no lesion {name!r}; it offers: {', '.join(KINDS)}")
    return KINDS[name]
