"""No lesion at all."""

from __future__ import annotations

from cerebench_datasets.insilico.kinds.kind import Block, Draw, Kind
from cerebench_datasets.insilico.lesion import Lesion


class Nothing(Block):
    """A healthy subject has no parameters."""


def grow_nothing(draw: Draw, block: Nothing) -> Lesion:
    """The empty lesion."""
    return Lesion({}, {})


KIND = Kind("none", {}, Nothing, grow_nothing)
