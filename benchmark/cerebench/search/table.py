"""Candidates of a search as text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from cerebench.search.choices import Candidate

NAMES = {"lesion": "selection cohorts", "balanced": "balanced over kinds"}


def render_choices(found: Sequence[Candidate], style: str = "simple") -> str:
    """One table for each protocol version, preset, provenance and method; the chosen variant of a selection is marked.

    Args:
        found: as :func:`cerebench.search.choices.candidates` gives them.
        style: a format of ``tabulate``.
    """
    from tabulate import tabulate

    def section(one: Candidate) -> tuple[str, ...]:
        return one.protocol, str(one.protocol_version), one.preset, one.provenance, one.method

    blocks = []
    for key, group in groupby(sorted(found, key=section), key=section):
        members = list(group)
        selections = [name for name in NAMES if any(one.selection == name for one in members)]
        body = []
        for variant in sorted({one.variant for one in members}):
            mine = {one.selection: one for one in members if one.variant == variant}
            judged = [
                f"{mine[name].validation_ap:.3f}{' chosen' if mine[name].chosen else ''}" if name in mine else "–"
                for name in selections
            ]
            first = next(iter(mine.values()))
            body.append([variant or "(preset)", *judged, _number(first.ap), _number(first.best_dice)])
        title = f"{key[0]} v{key[1]} · preset {key[2]} · {key[3]} data · {key[4]}:"
        heads = ["variant", *(f"validation ap, {NAMES[name]}" for name in selections), "test ap", "test best_dice"]
        table = tabulate(body, headers=heads, tablefmt=style, disable_numparse=True)
        note = f"Test: mean over {members[0].n_columns} columns that all variants have; nothing is chosen by it."
        blocks.append("\n".join([title, "", table, "", note]))
    return "\n\n".join(blocks)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
