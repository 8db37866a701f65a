"""``bench baseline list`` without typer, as :mod:`cerebench.cli.plugins_list`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from cerebench.cli.output import print_json, print_table

DEFAULT = Path("results/baseline")


def shortcut(words: list[str]) -> bool:
    """Print the listing if there is no word but ``--json``; else say no."""
    if not set(words) <= {"--json"}:
        return False
    print_baselines(DEFAULT, bool(words))
    return True


def print_baselines(baselines: Path, as_json: bool) -> None:
    """Print accepted baselines, oldest first."""
    from cerebench.compare.accepted import baselines_in

    found = [asdict(item) for item in baselines_in(baselines)]
    if as_json:
        print_json({"schema_version": 1, "baselines": found})
        return
    rows = [{**item, "commit": _commit(item["origin"]), "date": item["date"][:10]} for item in found]
    print_table(rows, ["version", "date", "commit", "ok", "cells", "reason"], f"no baseline in {baselines}")


def _commit(origin: dict[str, object]) -> str:
    git = origin.get("git")
    if not isinstance(git, dict):
        return ""
    return f"{git['commit'][:8]}{'+' if git['dirty'] else ''}"
