"""The Markdown page of a night: verdict, differences, trends, leaderboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from cerebench.boards import leaderboard_rows, tables_about
from cerebench.compare.report import STATES
from cerebench.errors import UsageError
from cerebench.scoring.metrics import METRICS
from cerebench.tables import render as render_tables


def summary(
    name: str, entry: Mapping[str, Any], comparison: str, nights: Sequence[Mapping[str, Any]], results: Path
) -> str:
    """The page.

    Args:
        name: of the configuration.
        entry: of this night.
        comparison: the comparison as Markdown, or why there is none.
        nights: entries of the history, this night's among them.
        results: this night's results folder.
    """
    parts = [
        f"# {name}, {entry['night']}: {STATES[entry['exit_code']]}",
        _about(entry),
        "## Comparison",
        comparison,
        "## Trend",
        trend(nights),
        "## Leaderboard",
        board(results),
    ]
    return "\n\n".join(parts) + "\n"


def _about(entry: Mapping[str, Any]) -> str:
    origin = entry["origin"]
    git = origin.get("git") or {}
    commit = f"commit {git['commit'][:8]}{' with local changes' if git['dirty'] else ''}" if git else "no commit known"
    machine = origin.get("machine") or {}
    where = f", on {machine['name']}" if machine else ""
    cells = ", ".join(f"{count} {status}" for status, count in sorted(entry["cells"].items())) or "none"
    return f"cerebench {origin.get('cerebench', '?')}, {commit}{where}. Cells: {cells}."


def trend(nights: Sequence[Mapping[str, Any]]) -> str:
    """Headline figures by night as Markdown, one table a section: mean over a method's columns and seeds.

    A value over another number of columns than the night before is marked with ``*``.
    """
    if not nights:
        return "No night is recorded yet."
    from tabulate import tabulate

    table: dict[tuple[str, str, str], dict[str, tuple[float, int]]] = {}
    for entry in nights:
        for item in entry["headline"]:
            key = (item["section"], item["method"], item["metric"])
            table.setdefault(key, {})[entry["night"]] = (item["value"], item["columns"])
    blocks = []
    states = ["state", "", *(entry["state"] for entry in nights)]
    header = ["method", "metric", *(entry["night"] for entry in nights)]
    if not table:
        blocks.append(tabulate([states], header, tablefmt="pipe", disable_numparse=True))
    for section, keys in groupby(sorted(table), key=lambda key: key[0]):
        rows = [states]
        for key in keys:
            rows.append([key[1], key[2], *_cells([table[key].get(entry["night"]) for entry in nights])])
        blocks += [f"### {section}", tabulate(rows, header, tablefmt="pipe", disable_numparse=True)]
    return "\n\n".join(blocks)


def _cells(values: Sequence[tuple[float, int] | None]) -> list[str]:
    texts = []
    columns: int | None = None
    for item in values:
        if item is None:
            texts.append("")
            continue
        value, count = item
        texts.append(f"{value:.4f}{'*' if columns not in (None, count) else ''}")
        columns = count
    return texts


def board(results: Path, protocol: str | None = None, preset: str | None = None, **only: Any) -> str:
    """The leaderboard as Markdown, or a sentence where there is none.

    Args:
        results: results folder.
        protocol, preset: only this one.
        only: further fields of a row with their values, such as ``provenance="in-silico"``.
    """
    try:
        rows = [row for row in leaderboard_rows(results, protocol) if preset in (None, row["preset"])]
    except UsageError as error:
        return f"{error}."
    rows = [row for row in rows if all(row[name] == value for name, value in only.items())]
    banners, headlines, levels = tables_about(results)
    better = {name: metric.higher_is_better for name, metric in METRICS.items()}
    return render_tables(rows, banners, headlines, better, style="markdown", levels=levels)
