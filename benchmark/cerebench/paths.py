"""Folders outside a run's results: the cache, and the root under which released cohorts lie."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cerebench.errors import UsageError


def cache_root() -> Path:
    """Folder for prepared volumes and in-silico cohorts: ``CEREBENCH_CACHE``, else the platform's cache folder."""
    chosen = os.environ.get("CEREBENCH_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "cerebench" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "cerebench"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cerebench"


def data_root(option: str | Path | None = None) -> Path | None:
    """Folder that holds one folder a cohort: the option, else ``CEREBENCH_DATA``, else ``None`` (in-silico only).

    Raises:
        UsageError: the folder that was named does not exist.
    """
    chosen = option or os.environ.get("CEREBENCH_DATA")
    if not chosen:
        return None
    source = "--data-root" if option else "CEREBENCH_DATA"
    folder = Path(chosen).expanduser().absolute()
    if not folder.is_dir():
        raise UsageError(f"{source} {folder} is not a folder; name the folder that holds one folder for each cohort")
    return folder
