"""The checks behind ``bench doctor``. Imports torch."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

from cerebench.errors import BenchError
from cerebench.paths import cache_root
from cerebench.paths import data_root as resolve_data_root
from cerebench.plugins.registry import Registry
from cerebench.text import human_size

State = Literal["ok", "failed", "note"]


@dataclass(frozen=True)
class Finding:
    """One line of the report: ``failed`` keeps the benchmark from running, ``note`` is for information."""

    area: str
    name: str
    state: State
    detail: str


def checkup(results: Path, data_root: Path | None) -> list[Finding]:
    """Run every check; none of them raises.

    Args:
        results: folder that results would go to; it need not exist.
        data_root: folder of the cohorts, or ``None``.
    """
    return [
        *_python(),
        *_packages(),
        *_torch(),
        _writable("cache", cache_root()),
        _writable("results", results.absolute()),
        _data(data_root),
        *_plugins(),
    ]


def _python() -> Iterator[Finding]:
    yield Finding("system", "python", "ok", f"{platform.python_version()} on {platform.platform()}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    import psutil

    yield Finding("system", "processor", "ok", f"{cores} cores, {human_size(psutil.virtual_memory().total)} memory")


def _packages() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    for text in ["cerebench", *(requires("cerebench") or [])]:
        wanted = Requirement(text)
        if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
            continue
        advice = f"pip install '{wanted.name}{wanted.specifier}'"
        try:
            found = version(wanted.name)
        except PackageNotFoundError:
            yield Finding("package", wanted.name, "failed", f"not installed; {advice}")
            continue
        if wanted.specifier.contains(found, prereleases=True):
            yield Finding("package", wanted.name, "ok", found)
        else:
            yield Finding("package", wanted.name, "failed", f"{found} found, {wanted.specifier} needed; {advice}")


def _torch() -> Iterator[Finding]:
    try:
        import torch
    except Exception as error:
        yield Finding("device", "torch", "failed", f"cannot be imported: {_first_line(error)}; install it again")
        return
    yield vision_finding()
    yield Finding("device", "cpu", "ok", f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    try:
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        for index in range(count):
            properties = torch.cuda.get_device_properties(index)
            yield Finding("device", f"cuda:{index}", "ok", f"{properties.name}, {human_size(properties.total_memory)}")
    except Exception as error:
        yield Finding("device", "cuda", "failed", f"the driver does not answer: {_first_line(error)}")
        return
    if not count:
        built = torch.version.cuda
        reason = f"no GPU is visible (torch is built for CUDA {built})" if built else "torch is built for the CPU only"
        yield Finding("device", "cuda", "note", f"{reason}; runs use the CPU")


def vision_finding() -> Finding:
    """Whether torchvision fits the installed torch. Where it does not, importing it (as timm does) fails in C++."""
    try:
        installed = version("torchvision")
    except PackageNotFoundError:
        return Finding("package", "torchvision", "note", "not installed; methods built on timm need it")
    try:
        import_module("torchvision")
    except Exception as error:
        return Finding(
            "package",
            "torchvision",
            "failed",
            f"torchvision {installed} does not fit torch {version('torch')} ({_first_line(error)}); "
            "install both together from one index: pip install --upgrade torch torchvision",
        )
    return Finding("package", "torchvision", "ok", installed)


def _writable(name: str, folder: Path) -> Finding:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        advice = "set CEREBENCH_CACHE to a folder of yours" if name == "cache" else "choose another with --results"
        return Finding("folder", name, "failed", f"{existing} cannot be written ({error.strerror}); {advice}")
    import shutil

    return Finding("folder", name, "ok", f"{folder}, {human_size(shutil.disk_usage(existing).free)} free")


def _data(option: Path | None) -> Finding:
    try:
        root = resolve_data_root(option)
    except BenchError as error:
        return Finding("folder", "data", "failed", str(error))
    if root is None:
        return Finding("folder", "data", "note", "no data root (--data-root, CEREBENCH_DATA); cohorts are simulated")
    present = [entry.name for entry in Registry.discover().cohorts() if entry.available(root) == "real"]
    return Finding("folder", "data", "ok", f"{root}: {', '.join(present) or 'no known cohort'}")


def _plugins() -> Iterator[Finding]:
    try:
        registry = Registry.discover()
    except BenchError as error:
        yield Finding("plugin", "all", "failed", str(error))
        return
    for state in registry.load_all():
        name = f"{state.name} ({state.distribution} {state.version})"
        if state.state == "ok":
            provides = ", ".join(f"{count} {kind}" for kind, count in state.provides.items())
            yield Finding("plugin", name, "ok", provides or "provides nothing")
        else:
            severity: State = "note" if state.state == "blocked" else "failed"
            yield Finding("plugin", name, severity, f"{state.state}: {state.error}")


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
