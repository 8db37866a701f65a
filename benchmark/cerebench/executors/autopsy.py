"""What can be said of a worker process from outside: its memory, how it ended, the end of its output."""

from __future__ import annotations

import signal
from pathlib import Path


def crash_words(code: int | None) -> str:
    """How a process ended, for "the worker process …"."""
    if code is not None and code < 0:
        known = {item.value: item.name for item in signal.Signals}
        name = known.get(-code, f"signal {-code}")
        hint = " (perhaps the system's memory ran out)" if name == "SIGKILL" else ""
        return f"was ended by {name}{hint}"
    return f"ended with exit code {code}"


def resident_bytes(pid: int | None) -> int:
    """Resident memory of a process; 0 if it has gone."""
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def tail(path: Path, size: int = 20_000) -> str:
    """The last ``size`` bytes of a log; empty where there is none."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - size))
            return stream.read().decode(errors="replace")
    except OSError:
        return ""
