"""One thread, and a small encoder of slices."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from cerebench_methods.features.encoder import SliceEncoder


@pytest.fixture
def encoder() -> Callable[..., SliceEncoder]:
    def make(
        name: str = "resnet18", channels: int = 1, width: int = 8, shape: tuple[int, int] = (40, 48)
    ) -> SliceEncoder:
        torch.manual_seed(0)
        return SliceEncoder(name, channels, width, shape, 64)

    return make
