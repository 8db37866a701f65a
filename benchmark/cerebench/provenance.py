"""Where numbers come from: versions, code, machine, command line; collected once a run."""

from __future__ import annotations

import os
import platform
import re
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cerebench
from cerebench.contract.info import API_VERSION
from cerebench.digest import git_revision, library_versions

if TYPE_CHECKING:
    from torch import device

LIBRARIES = ("torch", "monai", "timm", "numpy", "scipy", "scikit-learn", "nibabel", "lightning-fabric")
KEYED_LIBRARIES = ("torch", "monai", "timm")
"""Libraries whose version is part of every key: they change what a trained method predicts."""


def run_provenance(arguments: list[str] | None = None) -> dict[str, Any]:
    """Versions, commit, platform and command of this run."""
    return {
        "schema_version": 1,
        "cerebench": cerebench.__version__,
        "api_version": API_VERSION,
        "libraries": library_versions(LIBRARIES),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "git": git_revision(Path(cerebench.__file__).parent),
        "command": sys.argv if arguments is None else arguments,
    }


def machine(target: device) -> dict[str, Any]:
    """What a cell ran on, and how exactly that repeats: device, its software, threads, flags of determinism.

    ``capability`` is the instruction set that torch's CPU kernels use, or the GPU's compute capability: results may
    differ in the last bit where it differs.
    """
    import torch

    cuda = target.type == "cuda"
    return {
        "device": target.type,
        "name": torch.cuda.get_device_name(target) if cuda else processor(),
        "capability": ".".join(map(str, torch.cuda.get_device_capability(target)))
        if cuda
        else torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda if cuda else None,
        "cudnn": torch.backends.cudnn.version() if cuda else None,  # type: ignore[no-untyped-call]
        "driver": _driver() if cuda else None,
        "determinism": {
            "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
            "cublas_workspace": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
        },
    }


@cache
def processor() -> str:
    """Name of the CPU as its maker writes it; the architecture where the system does not tell."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


@cache
def _driver() -> str | None:
    try:
        text = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(r"Kernel Module.*?\s(\d+\.[\d.]+)\s", text)
    return found[1] if found else None
