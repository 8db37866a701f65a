"""Write the published in-silico leaderboards of a results folder, and the README's excerpt of one.

``python docs/make_leaderboard.py RESULTS`` writes ``results/leaderboards/<protocol>@<version>-<preset>-in-silico.md``,
one file a protocol version and preset, and replaces what stands in README.md between the two markers.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

from cerebench.compare.reading import read_results
from cerebench.compare.snapshot import CellFacts, Snapshot
from cerebench.errors import UsageError
from cerebench.nightly.night import tonight
from cerebench.nightly.summary import board

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- leaderboard: python docs/make_leaderboard.py RESULTS -->", "<!-- /leaderboard -->"
LINES = 26
"""Lines of the first table that the README shows."""
COLUMNS = 7
"""Columns of it: the names, and the best methods where methods are columns, else the first columns and the last."""


def pages(results: Path, date: str) -> dict[str, str]:
    """File name → page, for every protocol version and preset with finished in-silico cells.

    Raises:
        UsageError: there is none.
    """
    snapshot = read_results(results)
    found = {}
    for table in sorted({cell.table for cell in _finished(snapshot)}, key=str):
        protocol, version, preset, _ = table
        cells = [cell for cell in _finished(snapshot) if cell.table == table]
        text = board(results, protocol, preset, protocol_version=version, provenance="in-silico")
        head = f"# IN SILICO: {protocol} v{version}, preset {preset}\n\n{_about(snapshot, cells, date)}"
        found[f"{protocol}@{version}-{preset}-in-silico.md"] = f"{head}\n\n{text}\n"
    if not found:
        raise UsageError(f"{results} has no finished in-silico cell; run `bench run --preset nightly` first")
    return found


def _finished(snapshot: Snapshot) -> list[CellFacts]:
    return [cell for cell in snapshot.cells if cell.status == "ok" and cell.identity["provenance"] == "in-silico"]


def _about(snapshot: Snapshot, cells: list[CellFacts], date: str) -> str:
    git: dict[str, Any] = dict(snapshot.origin.get("git") or {})
    commit = f"commit {git['commit'][:8]}{' with local changes' if git['dirty'] else ''}" if git else "no commit known"
    methods = len({cell.method for cell in cells})
    columns = len({cell.column for cell in cells})
    return (
        f"{date}, cerebench {snapshot.origin.get('cerebench', '?')}, {commit}. Methods: {methods}; columns: {columns}, "
        "all of simulated scans: these numbers say how methods do on phantoms, not on patients. "
        "Written by `python docs/make_leaderboard.py RESULTS`."
    )


def excerpt(name: str, page: str) -> str:
    """What the README shows of a page: its headings and the beginning of its first table."""
    title, about, *rest = page.split("\n\n")
    position = next(index for index, block in enumerate(rest) if block.startswith("|"))
    cells = [line.split("|")[1:-1] for line in rest[position].splitlines()]
    shown = _shown(cells)
    lines = [f"|{'|'.join(row[index] for index in shown)}|" for row in cells]
    left = {"rows": len(lines) - LINES, "columns": len(cells[0]) - len(shown)}
    more = [f"{count} more {what}" for what, count in left.items() if count > 0]
    table = "\n".join([*lines[:LINES], *(["", f"… and {' and '.join(more)}."] if more else [])])
    link = f"The whole: [{name}](results/leaderboards/{name})."
    return "\n\n".join([f"**{title.removeprefix('# ')}**", about, rest[position - 1], table, link])


def _shown(cells: list[list[str]]) -> list[int]:
    """Indices of the table's columns that the README has room for."""
    width, last = len(cells[0]), cells[-1]
    if width <= COLUMNS:
        return list(range(width))
    if last[0].strip() != "mean rank":  # then it is the last column, and methods are rows
        return [*range(COLUMNS - 1), width - 1]
    return [0, *sorted(range(1, width), key=lambda index: float(last[index]))[: COLUMNS - 1]]


def put(readme: str, text: str) -> str:
    """The README with another excerpt.

    Raises:
        UsageError: the markers are not there.
    """
    if readme.count(BEGIN) != 1 or readme.count(END) != 1:
        raise UsageError(f"README.md lacks the markers: put the lines {BEGIN!r} and {END!r} where the excerpt belongs")
    block = f"{BEGIN}\n\n{text}\n\n{END}"
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: block, readme, flags=re.DOTALL)


def main(words: list[str]) -> None:
    """Write the pages and the excerpt."""
    parser = argparse.ArgumentParser(description="Write the published in-silico leaderboards.")
    parser.add_argument("results", type=Path, help="results folder of the run to publish")
    parser.add_argument("--root", type=Path, default=ROOT, help="where README.md and results/ lie")
    parser.add_argument("--date", default=tonight(), help="date on the pages; default: today in UTC")
    parser.add_argument("--excerpt", help="protocol whose table the README shows; default: the longest page's")
    given = parser.parse_args(words)
    found = pages(given.results, given.date)
    chosen = [name for name in found if given.excerpt in (None, name.partition("@")[0])]
    if not chosen:
        raise UsageError(f"--excerpt {given.excerpt!r}: {given.results} has {', '.join(found)}")
    name = max(chosen, key=lambda each: len(found[each]))
    readme = given.root / "README.md"
    text = put(readme.read_text(encoding="utf-8"), excerpt(name, found[name]))
    folder = given.root / "results" / "leaderboards"
    folder.mkdir(parents=True, exist_ok=True)
    for each, page in found.items():
        (folder / each).write_text(page, encoding="utf-8")
        print(folder / each)
    readme.write_text(text, encoding="utf-8")
    print(f"{readme}: excerpt of {name}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UsageError as error:
        sys.exit(f"Error: {error}")
