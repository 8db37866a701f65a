"""Globs over public names: ``*`` and ``?`` only, because square brackets carry settings (``name[width=16]``)."""

from __future__ import annotations

import re
from functools import lru_cache


def is_glob(pattern: str) -> bool:
    """Whether the part before any settings holds a wildcard."""
    return any(sign in pattern.partition("[")[0] for sign in "*?")


def matches(name: str, pattern: str) -> bool:
    """Whether a name matches a glob."""
    return _compiled(pattern).fullmatch(name) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    signs = {"*": ".*", "?": "."}
    return re.compile("".join(signs.get(character) or re.escape(character) for character in pattern))
