"""Device choice, precision, timing with synchronisation, peak memory."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cerebench.errors import UsageError

if TYPE_CHECKING:
    from torch import device as Device


def devices(word: str) -> list[str]:
    """Devices that cells are spread over: ``auto`` (all GPUs, else the CPU), ``cpu``, ``cuda`` or ``cuda:1``.

    Raises:
        UsageError: the word is unknown or the GPU asked for is not there.
    """
    if word == "cpu":
        return ["cpu"]
    if word not in ("auto", "cuda") and not (word.startswith("cuda:") and word[5:].isdigit()):
        raise UsageError(f"--device {word!r} is unknown; expected auto, cpu, cuda or cuda:N")
    count = _gpu_count()
    if word == "auto":
        return [f"cuda:{index}" for index in range(count)] or ["cpu"]
    if count == 0:
        raise UsageError(f"--device {word}: torch sees no CUDA device; use --device cpu or run `bench doctor`")
    if word == "cuda":
        return [f"cuda:{index}" for index in range(count)]
    if int(word[5:]) >= count:
        raise UsageError(f"--device {word}: torch sees {count} CUDA device(s), numbered from 0")
    return [word]


def _gpu_count() -> int:
    """GPUs as the driver lists them: asking torch would cost seconds in a process that trains nothing."""
    folder = Path("/proc/driver/nvidia/gpus")
    present = len(list(folder.iterdir())) if folder.is_dir() else len(list(Path("/dev").glob("nvidia[0-9]*")))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return present
    return min(present, len([part for part in visible.split(",") if part.strip() not in ("", "-1")]))


def autocast(device: Device, precision: str) -> AbstractContextManager[Any]:
    """Autocast for prediction; full precision on the CPU and for ``32-true``."""
    import torch

    if device.type == "cuda" and precision.startswith(("bf16", "16")):
        dtype = torch.bfloat16 if precision.startswith("bf16") else torch.float16
        return torch.autocast("cuda", dtype=dtype)
    return nullcontext()


class StageTimer:
    """Seconds spent per named stage; on a GPU the device is synchronised at both ends.

    ``waiting`` is the part of them in which the thread was ready but other processes had the CPU: what a busy machine
    adds to a stage.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.seconds: dict[str, float] = defaultdict(float)
        self.waiting: dict[str, float] = defaultdict(float)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block under a name; blocks of one name add up."""
        self._synchronise()
        start, queued = time.perf_counter(), _queued()
        try:
            yield
        finally:
            self._synchronise()
            self.seconds[name] += time.perf_counter() - start
            self.waiting[name] += _queued() - queued

    def _synchronise(self) -> None:
        if self.device.type == "cuda":
            import torch

            torch.cuda.synchronize(self.device)


def _queued() -> float:
    """Seconds that this thread has waited for a CPU so far, as Linux counts them; 0 elsewhere."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def peak_memory(device: Device) -> dict[str, int]:
    """Peak memory of this process in bytes: resident set, and allocated on the GPU."""
    import resource

    peaks = {"rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}
    if device.type == "cuda":
        import torch

        peaks["cuda"] = int(torch.cuda.max_memory_allocated(device))
    return peaks
