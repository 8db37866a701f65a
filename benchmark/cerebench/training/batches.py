"""Batches from a sequence of training items: gathered from one tensor where the data fit in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, device

HOST_BYTES = 1 << 30
"""Slices up to this size are stacked once in host memory; a larger set is read batch by batch."""

DEVICE_SHARE = 0.25
"""Share of the free GPU memory that stacked training data may take."""


class Batches:
    """Delivers batches by index, on the device.

    Args:
        data: tensors of one shape, or anything ``default_collate`` understands (tuples, dicts). A tensor, a list, a
            tuple and the loop's slice lists are stacked once if they fit; other sequences may be random and are asked
            for every item of every epoch.
        device: where batches go.
    """

    def __init__(self, data: Sequence[Any] | Tensor, device: device) -> None:
        self.data = data
        self.device = device
        self.stacked = _stack(data, device)

    def __len__(self) -> int:
        return len(self.data)

    def batch(self, indices: list[int]) -> Any:
        """The items as one batch on the device."""
        import torch
        from torch.utils.data import default_collate

        if self.stacked is not None:
            chosen = torch.tensor(indices, device=self.stacked.device)
            return self.stacked.index_select(0, chosen).to(self.device)
        return _to_device(default_collate([self.data[index] for index in indices]), self.device)

    def in_order(self, batch_size: int) -> Iterator[tuple[Any, int]]:
        """All items in order, as (batch, size)."""
        for start in range(0, len(self), batch_size):
            indices = list(range(start, min(start + batch_size, len(self))))
            yield self.batch(indices), len(indices)


def _stack(data: Sequence[Any] | Tensor, target: device) -> Tensor | None:
    import torch

    from cerebench.contract.volumes import SliceList

    if isinstance(data, torch.Tensor):
        return data
    if not isinstance(data, list | tuple | SliceList) or not isinstance(data[0], torch.Tensor):
        return None
    first = data[0]
    size = first.numel() * first.element_size() * len(data)
    limit = HOST_BYTES
    if target.type == "cuda":
        limit = int(DEVICE_SHARE * torch.cuda.mem_get_info(target)[0])
    if size > limit:
        return None
    stacked = torch.empty((len(data), *first.shape), dtype=first.dtype, device=target)
    for index in range(len(data)):
        item = data[index]
        if not isinstance(item, torch.Tensor) or item.shape != first.shape:
            return None
        stacked[index] = item
    return stacked


def _to_device(batch: Any, target: device) -> Any:
    from lightning_fabric.utilities import move_data_to_device

    return move_data_to_device(batch, target)
