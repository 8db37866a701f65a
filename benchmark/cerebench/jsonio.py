"""Canonical JSON, content hashes and atomic writes: the ground that keys and the store stand on."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from pathlib import Path
from typing import Any


def canonical(value: Any) -> str:
    """JSON text that depends on the value alone: sorted keys, no spaces, NaN refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False, default=_plain)


def digest(value: Any, length: int = 64) -> str:
    """SHA-256 of the canonical JSON of a value, as ``length`` hex digits."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:length]


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old or the new content, never a part of it."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with temporary.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False, default=_plain) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def _plain(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, (tuple, list)):
        return list(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"not JSON: {type(value).__name__}")
