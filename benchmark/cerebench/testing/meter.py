"""Seconds and memory of a block of code in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import device

_EVERY_S = 0.005


@dataclass
class Cost:
    """What a block took.

    Attributes:
        seconds: wall time.
        memory_mib: on the CPU by how much the resident memory rose at most, sampled every 5 ms; on a GPU the peak of
            what torch had allocated there.
    """

    seconds: float = 0.0
    memory_mib: float = 0.0


@contextmanager
def metered(target: device) -> Iterator[Cost]:
    """Measure a block; the figures are there when it ends."""
    import torch

    cost = Cost()
    gpu = target.type == "cuda"
    if gpu:
        torch.cuda.synchronize(target)
        torch.cuda.reset_peak_memory_stats(target)
    with _resident() as samples:
        start = time.perf_counter()
        try:
            yield cost
        finally:
            if gpu:
                torch.cuda.synchronize(target)
            cost.seconds = time.perf_counter() - start
    peak = torch.cuda.max_memory_allocated(target) if gpu else max(samples) - samples[0]
    cost.memory_mib = peak / 2**20


@contextmanager
def _resident() -> Iterator[list[int]]:
    """Samples of this process's resident memory in bytes; the first is from before the block."""
    import psutil

    process = psutil.Process()
    samples = [process.memory_info().rss]
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(_EVERY_S):
            samples.append(process.memory_info().rss)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()
        samples.append(process.memory_info().rss)
