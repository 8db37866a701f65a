"""The kinds of lesion that the phantom models."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cerebench.api import UsageError
from cerebench_datasets.insilico.anatomy import Tissue
from cerebench_datasets.insilico.glioma import grow_glioma
from cerebench_datasets.insilico.lesion import Lesion
from cerebench_datasets.insilico.parameters import PhantomParameters
from cerebench_datasets.insilico.plaques import grow_plaques

PARTS: Mapping[str, tuple[str, ...]] = {"none": (), "glioma": ("ncr", "ed", "et"), "ms": ("plaque",)}
"""Lesion kind → its parts, in the order in which label values are given out by default."""


def grow(kind: str, rng: np.random.Generator, tissue: Tissue, parameters: PhantomParameters) -> Lesion:
    """The lesion on the tissue's grid; a mass effect changes ``tissue`` in place.

    Raises:
        UsageError: the kind is not modelled.
    """
    if kind == "none":
        return Lesion({}, {})
    if kind == "glioma":
        return grow_glioma(rng, tissue, parameters.glioma, parameters.lesion_contrast > 0)
    if kind == "ms":
        return grow_plaques(rng, tissue, parameters.plaques)
    raise UsageError(f"the phantom has no lesion {kind!r}; it offers: {', '.join(PARTS)}")
