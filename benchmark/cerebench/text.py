"""Words for people: suggestions, ``name[key=value]`` selections, sizes and durations."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from cerebench.errors import UsageError

_SHOWN = 12
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)[eE][+-]?\d+")
_CLOSING = {"[": "]", "{": "}", "(": ")"}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A clause for an error message: the nearest known names, or (where none is near) what is known.

    >>> did_you_mean("my-metod", ["my-method", "other"])
    "did you mean 'my-method'?"
    """
    import difflib

    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if not close:
        close = [other for other in names if name and (other.startswith(name) or name.lower() == other.lower())][:3]
    if close:
        return f"did you mean {' or '.join(repr(other) for other in close)}?"
    if not names:
        return "none is known"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"known: {', '.join(names[:_SHOWN])}{more}"


def split_list(text: str) -> list[str]:
    """Split at commas outside brackets and quotes: ``a[x=1,y=2],b*`` → ``["a[x=1,y=2]", "b*"]``.

    Raises:
        UsageError: brackets or quotes do not match.
    """
    parts: list[str] = []
    current = ""
    waiting: list[str] = []
    quote = ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in _CLOSING:
            waiting.append(_CLOSING[character])
        elif character in _CLOSING.values():
            if not waiting or waiting.pop() != character:
                raise UsageError(f"{text!r}: {character!r} closes nothing; write name[key=value,key=value]")
        elif character == "," and not waiting:
            parts.append(current.strip())
            current = ""
            continue
        current += character
    if waiting or quote:
        raise UsageError(f"{text!r}: {quote or waiting[-1]!r} is missing; write name[key=value,key=value]")
    parts.append(current.strip())
    return [part for part in parts if part]


def parse_selection(text: str) -> tuple[str, dict[str, Any]]:
    """Split ``name[key=value,…]`` into the name and its overrides, values typed as in YAML.

    Beyond YAML 1.1, ``1e-4`` is a number, and only ``true`` and ``false`` are booleans (``no``, ``off`` stay words).

    >>> parse_selection("my-method[width=16,lr=1e-4,variant=x]")
    ('my-method', {'width': 16, 'lr': 0.0001, 'variant': 'x'})

    Raises:
        UsageError: malformed brackets, a part without ``=``, a key twice, or a value that is not YAML.
    """
    name, bracket, rest = text.strip().partition("[")
    name = name.strip()
    if not name:
        raise UsageError(f"{text!r} names nothing; write name or name[key=value,key=value]")
    if not bracket:
        return name, {}
    if not rest.endswith("]"):
        raise UsageError(
            f"{text!r}: nothing may follow the closing bracket, and it must be there; write name[key=value]"
        )
    overrides: dict[str, Any] = {}
    for part in split_list(rest[:-1]):
        key, equals, value = part.partition("=")
        key = key.strip()
        if not equals or not key.isidentifier():
            raise UsageError(f"{text!r}: {part!r} is not a setting; write name[key=value,key=value]")
        if key in overrides:
            raise UsageError(f"{text!r}: setting {key!r} is given twice; keep one")
        overrides[key] = _typed(value.strip(), text)
    return name, overrides


def human_size(size: float) -> str:
    """Bytes for people: ``human_size(1536) == "1.5 KiB"``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def human_duration(seconds: float) -> str:
    """Seconds for people: ``0.25 s``, ``12 s``, ``3 min 5 s``, ``2 h 10 min``, ``1 d 4 h``."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    whole = round(seconds)
    for unit, size, smaller, small in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size} {unit} {rest} {smaller}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"


def _typed(value: str, text: str) -> Any:
    import yaml

    from cerebench.yamlio import parse_yaml

    if _FLOAT.fullmatch(value):
        return float(value)
    try:
        parsed = parse_yaml(value)
    except yaml.YAMLError:
        raise UsageError(
            f"{text!r}: the value {value!r} cannot be read; put words with special signs in quotes"
        ) from None
    is_word = isinstance(parsed, bool) and value.lower() not in ("true", "false")
    is_number = isinstance(parsed, (int, float)) and ":" in value  # YAML 1.1 reads 1:30 in base 60
    if is_word or is_number or not isinstance(parsed, (bool, int, float, str, list, dict, type(None))):
        return value
    return parsed
