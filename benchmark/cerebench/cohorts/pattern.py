"""The pattern language of cards: relative POSIX paths with ``{field}`` placeholders.

A placeholder stands for the regular expression that the card gives the field (default: anything but a slash, as short
as possible); a repeated placeholder must match the same text. ``.nii.gz`` and ``.nii`` at the end accept each other.
A pattern that ends in ``/*.png`` stands for a folder of slices.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
DEFAULT_FIELD = r"[^/]+?"
SLICES = "/*.png"


def field_names(template: str) -> tuple[str, ...]:
    """Placeholders of a template in order of first appearance."""
    return tuple(dict.fromkeys(PLACEHOLDER.findall(template)))


def render(template: str, values: Mapping[str, str]) -> str:
    """Replace every placeholder. A value that is absent raises ``KeyError``."""
    return PLACEHOLDER.sub(lambda match: values[match.group(1)], template)


def check_template(template: str) -> str:
    """Refuse braces that are no placeholder. Raises ``ValueError``."""
    rest = PLACEHOLDER.sub("", template)
    if "{" in rest or "}" in rest:
        raise ValueError(f"{template!r} has a brace that is no {{field}} (lower-case letters, digits, underscore)")
    return template


def check_pattern(pattern: str) -> str:
    """Refuse what is no relative path inside its root. Raises ``ValueError``."""
    check_template(pattern)
    parts = pattern.split("/")
    if pattern.startswith("/") or "\\" in pattern or ":" in parts[0]:
        raise ValueError(f"{pattern!r} must be a path relative to the cohort's folder, with forward slashes")
    if any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{pattern!r} must not contain '..', '.' or empty parts")
    if "*" in pattern.removesuffix(SLICES):
        raise ValueError(f"{pattern!r} may have a '*' only in a last part '*.png' (a folder of slices)")
    return pattern


def check_field(name: str, expression: str) -> None:
    """Refuse a field's regular expression that is broken or captures. Raises ``ValueError``."""
    if not PLACEHOLDER.fullmatch(f"{{{name}}}"):
        raise ValueError(f"field name {name!r} must be lower-case letters, digits and underscores")
    try:
        compiled = re.compile(expression)
    except re.error as error:
        raise ValueError(f"the expression {expression!r} of field {name!r} is broken: {error}") from None
    if compiled.groups:
        raise ValueError(f"the expression {expression!r} of field {name!r} must use (?:…) instead of (…)")


@lru_cache(maxsize=1024)
def _compiled(pattern: str, expressions: tuple[tuple[str, str], ...]) -> re.Pattern[str]:
    lookup, seen, out, position = dict(expressions), set[str](), [], 0
    for match in PLACEHOLDER.finditer(pattern):
        out.append(re.escape(pattern[position : match.start()]))
        name = match.group(1)
        out.append(f"(?P={name})" if name in seen else f"(?P<{name}>{lookup.get(name, DEFAULT_FIELD)})")
        seen.add(name)
        position = match.end()
    tail = re.escape(pattern[position:])
    if pattern.endswith(SLICES):
        tail = tail.removesuffix(re.escape("*.png")) + r"[^/]+\.png"
    elif pattern.endswith((".nii.gz", ".nii")):
        tail = tail.removesuffix(re.escape(".gz")) + r"(?:\.gz)?"
    return re.compile("".join([*out, tail]))


def match(pattern: str, expressions: Mapping[str, str], relative: str) -> dict[str, str] | None:
    """Fields of a relative path that fits the pattern, else ``None``."""
    found = _compiled(pattern, tuple(sorted(expressions.items()))).fullmatch(relative)
    return found.groupdict() if found else None
