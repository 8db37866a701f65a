"""How commands print: JSON for scripts, plain tables for people, warnings on the error stream."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def print_json(value: Any) -> None:
    """Print a value as indented JSON."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], empty: str) -> None:
    """Print rows as aligned text, one line a row, or a sentence where there is none."""
    if not rows:
        print(empty)
        return
    from tabulate import tabulate

    cells = [[cell_text(row.get(column)) for column in columns] for row in rows]
    print(tabulate(cells, headers=list(columns), tablefmt="simple", disable_numparse=True))


def print_fields(fields: Iterable[tuple[str, Any]]) -> None:
    """Print ``name: value`` lines, values aligned; empty values are left out."""
    shown = [(name, cell_text(value)) for name, value in fields if value not in ("", None, (), [], {})]
    width = max((len(name) for name, _ in shown), default=0) + 1
    for name, value in shown:
        print(f"{name + ':':<{width}}  {value}")


def print_warnings(lines: Iterable[str]) -> None:
    """Print warnings on the error stream."""
    for line in lines:
        print(f"Warning: {' '.join(line.split())}", file=sys.stderr)


def cell_text(value: Any) -> str:
    """A value as people read it: yes, no, lists with commas."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {cell_text(part)}" for key, part in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(cell_text(part) for part in value)
    return str(value)
