"""Randomness of a training as a function of (seed, training, epoch), so that a resumed one continues bit for bit."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import device


def derived_seed(*parts: int | str) -> int:
    """A 32-bit seed from any words; equal on every machine."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big")


def seed_all(seed: int) -> None:
    """Seed the global generators of torch (all devices), numpy and random."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - methods and MONAI transforms may draw from the legacy generator
    torch.manual_seed(seed)


def epoch_order(count: int, batch_size: int, seed: int) -> list[list[int]]:
    """Batches of indices of one epoch. A last incomplete batch is left out unless it is the only one."""
    import torch

    order: list[int] = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
    batches = [order[start : start + batch_size] for start in range(0, count, batch_size)]
    if len(batches) > 1 and len(batches[-1]) < batch_size:
        batches.pop()
    return batches


@contextmanager
def deterministic(target: device) -> Iterator[None]:
    """Deterministic kernels wherever torch has them; operations without one run as they are."""
    import torch

    flags: Any = torch.utils.deterministic
    if target.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when the first cuBLAS handle is made
    mode, fill = torch.get_deterministic_debug_mode(), flags.fill_uninitialized_memory
    benchmark = torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True, warn_only=True)
    flags.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        flags.fill_uninitialized_memory = fill
        torch.backends.cudnn.benchmark = benchmark
