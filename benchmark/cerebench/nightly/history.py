"""The history: one immutable small file a night; a second attempt with another outcome gets a file of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cerebench.errors import UsageError
from cerebench.jsonio import canonical, read_json, write_json

SCHEMA_VERSION = 1
_NAME = re.compile(r"(\d{4}-\d\d-\d\d)(?:-(\d+))?\.json")
_VOLATILE = ("written", "attempt", "wall_s", "seconds")
"""Fields in which two attempts of equal outcome may differ."""


def append(folder: Path, entry: Mapping[str, Any]) -> Path:
    """Write an entry as ``<night>.json``, or ``<night>-2.json`` and so on where the night has another outcome already.

    An equal outcome keeps its file. No file is ever changed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    night = str(entry["night"])
    attempts = [(number, path) for found, number, path in _files(folder) if found == night]
    if attempts and _outcome(_read(attempts[-1][1])) == _outcome(entry):
        return attempts[-1][1]
    number = attempts[-1][0] + 1 if attempts else 1
    path = folder / (f"{night}.json" if number == 1 else f"{night}-{number}.json")
    scratch = folder / f".{path.name}.{os.getpid()}"
    write_json(scratch, {"schema_version": SCHEMA_VERSION, **entry, "attempt": number})
    try:
        os.link(scratch, path)  # fails where the file exists, unlike a rename
    except FileExistsError:
        raise UsageError(f"{path} was written by another nightly run at the same time; run one at a time") from None
    finally:
        scratch.unlink()
    return path


def entries(folder: Path, newest: int | None = None) -> list[dict[str, Any]]:
    """The last attempt of every night, oldest first.

    Args:
        folder: of the history; may be absent.
        newest: only so many nights.

    Raises:
        UsageError: a file of the history is damaged.
    """
    last = {night: path for night, _, path in _files(folder)}
    nights = sorted(last)
    return [_read(last[night]) for night in (nights if newest is None else nights[-newest:])]


def _files(folder: Path) -> list[tuple[str, int, Path]]:
    found = []
    for path in folder.glob("*.json") if folder.is_dir() else ():
        match = _NAME.fullmatch(path.name)
        if match:
            found.append((match[1], int(match[2] or 1), path))
    return sorted(found)


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(read_json(path))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read ({error}); restore or remove it") from None


def _outcome(entry: Mapping[str, Any]) -> str:
    return canonical({name: value for name, value in entry.items() if name not in (*_VOLATILE, "schema_version")})
