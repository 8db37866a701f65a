"""Prefetching reader: the next case is read and moved to the device while the current one is predicted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cerebench.plan.cells import CaseRef
from cerebench.prepare.cache import Prepared

if TYPE_CHECKING:
    from torch import Tensor, device


@dataclass(frozen=True)
class Loaded:
    """One case on the device.

    Attributes:
        ref: what the plan says of the case.
        image: ``[C, D, H, W]`` float32.
        brain: ``[D, H, W]`` bool.
        labels: ``[D, H, W]`` uint8 (0 normal, 1 anomaly, 2 ignore) or ``None``.
        spacing: mm along D, H, W.
    """

    ref: CaseRef
    image: Tensor
    brain: Tensor
    labels: Tensor | None
    spacing: tuple[float, float, float]


def prepared(ref: CaseRef) -> Prepared:
    """The prepared arrays of a case."""
    return Prepared(ref.key, Path(ref.folder))


def load_case(ref: CaseRef, target: device) -> Loaded:
    """Read one case and move it to the device."""
    import numpy as np
    import torch

    entry = prepared(ref)
    labels = entry.labels()

    def move(array: np.ndarray[Any, Any]) -> Tensor:
        # stored with slices contiguous; methods get the usual order, and memory of their own
        tensor = torch.from_numpy(np.asarray(array)).clone(memory_format=torch.contiguous_format)
        return tensor.pin_memory().to(target, non_blocking=True) if target.type == "cuda" else tensor

    return Loaded(
        ref=ref,
        image=move(entry.image()),
        brain=move(entry.brain()),
        labels=None if labels is None else move(labels),
        spacing=entry.spacing,
    )


def feed(cases: Sequence[CaseRef], target: device) -> Iterator[Loaded]:
    """Cases in order, one ahead of the consumer."""
    if not cases:
        return
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="feed") as pool:
        following: Future[Loaded] = pool.submit(load_case, cases[0], target)
        for index in range(len(cases)):
            current = following.result()
            if index + 1 < len(cases):
                following = pool.submit(load_case, cases[index + 1], target)
            yield current
