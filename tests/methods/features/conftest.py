"""One thread, and a small encoder of slices."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from cerebench_methods.features.encoder import SliceEncoder


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def encoder() -> Callable[..., SliceEncoder]:
    def make(
        name: str = "resnet18", channels: int = 1, width: int = 8, shape: tuple[int, int] = (40, 48)
    ) -> SliceEncoder:
        torch.manual_seed(0)
        return SliceEncoder(name, channels, width, shape, 64)

    return make
