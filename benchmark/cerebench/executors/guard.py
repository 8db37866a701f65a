"""Keeps what a method writes inside the folders that are meant for it, in a worker process.

An audit hook of Python sees every file that Python code opens for writing, makes, moves or removes. It is there against
accidents: code in C (``torch.save`` with a path among it) and processes that a method starts are not seen.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cerebench.errors import BenchError
from cerebench.paths import cache_root

WRITABLE = "CEREBENCH_WRITABLE"
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PATHS = {
    "open": (0,),
    "os.mkdir": (0,),
    "os.rmdir": (0,),
    "os.remove": (0,),
    "os.rename": (0, 1),
    "os.truncate": (0,),
    "os.link": (1,),
    "os.symlink": (1,),
    "shutil.rmtree": (0,),
}
"""Audit event → which of its arguments are paths that it changes."""
_DIR_FDS = {"os.mkdir": (2,), "os.rmdir": (1,), "os.remove": (1,), "os.rename": (2, 3), "os.symlink": (2,)}
_CACHES = ("XDG_CACHE_HOME", "TORCH_HOME", "HF_HOME", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "NUMBA_CACHE_DIR")


class OutsideWriteError(BenchError, PermissionError):
    """A method wrote where it may not; a ``PermissionError``, so that libraries with an optional cache go on."""


def allowed_folders(results: Path, scratch: Path) -> list[str]:
    """Real paths of the folders below which a worker may write.

    They are the results, the cache, the worker's temporary folder, caches of the user and of libraries, devices, and
    what ``CEREBENCH_WRITABLE`` names (folders separated as in ``PATH``).
    """
    folders = [results, cache_root(), scratch, Path("/dev"), Path("/proc"), Path.home() / ".cache"]
    folders += [Path(os.environ[name]) for name in _CACHES if os.environ.get(name)]
    folders += [Path(part).expanduser() for part in os.environ.get(WRITABLE, "").split(os.pathsep) if part]
    folders += [Path(sys.pycache_prefix)] if sys.pycache_prefix else []
    return [os.path.realpath(folder) for folder in folders]


def guard_writes(method: str, allowed: Sequence[str]) -> None:
    """From now on refuse this process's writes outside of ``allowed`` (real paths), for as long as it lives.

    Bytecode that an import leaves in ``__pycache__`` is always fine.
    """
    starts = tuple(f"{folder.rstrip('/')}/" for folder in allowed)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _PATHS or (event == "open" and not arguments[2] & _WRITES):
            return
        for path in _changed(event, arguments):
            real = _real(path, follow=event == "open")
            if not real.startswith(starts) and "/__pycache__/" not in real:
                raise OutsideWriteError(
                    f"method {method!r} tried to write {path}, outside the results folder, the cache and its temporary "
                    f"folder: write below run.folder or tempfile.gettempdir(), or name the folder in {WRITABLE}"
                )

    sys.addaudithook(hook)


def _changed(event: str, arguments: tuple[Any, ...]) -> Iterator[str]:
    """Paths that an event changes; those relative to an open folder are left out, as are open files."""
    places = _DIR_FDS.get(event, ())
    for number, place in enumerate(_PATHS[event]):
        relative = len(places) > number and len(arguments) > places[number] and arguments[places[number]] != -1
        if isinstance(arguments[place], (str, bytes, os.PathLike)) and not relative:
            yield os.fsdecode(arguments[place])


def _real(path: str, follow: bool) -> str:
    """The path with links resolved (the last one only if ``follow``), and a slash after it."""
    if follow:
        return f"{os.path.realpath(path)}/"
    folder, _, name = os.path.abspath(path).rpartition("/")  # noqa: PTH100 - text
    return f"{os.path.realpath(folder or '/')}/{name}/"
