"""Classes of labelled lesions, checked."""

from __future__ import annotations

from collections.abc import Sequence

from cerebench.api import MethodError, Volume


def classes(volumes: Sequence[Volume], method: str) -> list[int]:
    """The class (0 or 1) of every training lesion.

    Raises:
        MethodError: a lesion has none, or all have the same.
    """
    labels = [volume.label for volume in volumes]
    without = sum(label is None for label in labels)
    if without:
        raise MethodError(
            f"method {method!r}: {without} of {len(labels)} training lesions have no class; complete the card's table"
        )
    found = [int(label) for label in labels if label is not None]
    if set(found) != {0, 1}:
        raise MethodError(
            f"method {method!r}: {len(found)} training lesions have the classes {sorted(set(found))}, expected 0 and 1"
        )
    return found
