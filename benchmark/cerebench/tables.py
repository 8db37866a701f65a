"""Leaderboard rows as tables for people: methods × columns, intervals, mean rank, provenance line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean
from typing import Any, Literal

Style = Literal["table", "markdown", "latex"]
Row = Mapping[str, Any]

TABULATE = {"table": "simple", "markdown": "pipe", "latex": "latex_raw"}
_BOLD = {"table": "\x1b[1m{}\x1b[0m", "markdown": "**{}**", "latex": r"\textbf{{{}}}"}
_WIDE = 6
"""Columns that fit beside each other."""

_SECTION = ("protocol", "protocol_version", "preset", "provenance", "preparation")


@dataclass(frozen=True)
class Entry:
    """One cell of a table: mean over seeds, or the reason why there is no number."""

    value: float | None
    low: float | None = None
    high: float | None = None
    flagged: bool = False
    reason: str = ""
    status: str = "ok"


def render(
    rows: Sequence[Row],
    banners: Mapping[tuple[Any, ...], str],
    headlines: Mapping[str, Sequence[str]],
    better: Mapping[str, bool],
    *,
    style: Style = "table",
    metric: str | None = None,
    level: str | None = None,
    levels: Mapping[str, str | None] | None = None,
    post: str = "raw",
    bold: bool = False,
) -> str:
    """All tables of a leaderboard: one section per protocol version, preset, provenance and preparation.

    Args:
        rows: leaderboard rows.
        banners: (protocol, version, preset) → banner; a non-empty one means that methods are not ranked.
        headlines: protocol → metrics to show where none is chosen.
        better: metric → higher is better.
        style: text, Markdown or LaTeX.
        metric, level, post: what to show; ``None`` for the headline metrics at their level, and ``fpr`` where a column
            has healthy subjects only.
        levels: protocol → level of its headline metrics; ``None`` for the finest that is there.
        bold: mark the best with terminal bold (text only; Markdown and LaTeX always do).
    """
    blocks = []
    ordered = sorted(rows, key=lambda row: tuple(str(row[name]) for name in _SECTION))
    for key, members in groupby(ordered, key=lambda row: tuple(row[name] for name in _SECTION)):
        section = list(members)
        banner = banners.get((key[0], key[1], key[2]), "")
        blocks.append(_heading(key, banner, style))
        left_out: dict[str, list[str]] = {}
        for name in [metric] if metric else [*headlines.get(str(key[0]), ("ap",)), "fpr"]:
            healthy_only = metric is None and name == "fpr"
            wanted = level or (None if metric or healthy_only else (levels or {}).get(str(key[0])))
            table = _table(
                section, name, wanted, post, better.get(name, True), not banner, style, bold, healthy_only, left_out
            )
            if table:
                blocks.append(table)
        if left_out:
            lines = [f"Not tested: {', '.join(sorted(parts))}: {reason}" for reason, parts in left_out.items()]
            blocks.append("\n".join(lines))
        blocks.append(_footer(section))
    return "\n\n".join(blocks)


def _heading(key: tuple[Any, ...], banner: str, style: Style) -> str:
    text = f"{key[0]} v{key[1]} · preset {key[2]} · {key[3]} data"
    if banner:
        text += f" · {banner.upper()}"
    return {"table": text, "markdown": f"### {text}", "latex": f"% {text}"}[style]


def _table(
    rows: Sequence[Row],
    metric: str,
    level: str | None,
    post: str,
    higher: bool,
    ranked: bool,
    style: Style,
    bold: bool,
    healthy_only: bool,
    skipped: dict[str, list[str]],
) -> str:
    """One metric's table; columns that were skipped for every method go into ``skipped``, by reason."""
    finished = [row for row in rows if row["status"] == "ok"]
    chosen = [row for row in finished if row["metric"] == metric and row["stratum"] == "all"]
    levels = [level] if level else _levels(chosen)
    chosen = [row for row in chosen if row["level"] in levels]
    chosen = [row for row in chosen if row["post"] == _post_of(row["level"], post) or row["value"] is None]
    if healthy_only:
        with_lesions = {_column(row) for row in finished if row["metric"] in ("ap", "best_dice")}
        chosen = [row for row in chosen if _column(row) not in with_lesions]
    chosen += _lost(rows, metric, chosen, healthy_only)
    if not any(row["value"] is not None for row in chosen):
        return "" if healthy_only or chosen == [] else _nothing(chosen, metric)
    columns, left_out = _columns(chosen)
    for reason, parts in left_out.items():
        skipped[reason] = list(dict.fromkeys([*skipped.get(reason, []), *parts]))
    names = sorted({_method(row) for row in chosen})
    table = {(name, column): _entry(chosen, name, column) for name in names for column in columns}
    best = {column: _best([table[name, column] for name in names], higher) for column in columns} if ranked else {}
    ranks = _mean_ranks(table, names, columns, higher) if ranked and len(names) > 1 else {}
    notes: dict[str, int] = {}
    body = []
    for name in names:
        cells = [_text(table[name, column], best.get(column), notes, style, bold) for column in columns]
        body.append([name, *cells, *([f"{ranks[name]:.2f}"] if name in ranks else [])])
    from tabulate import tabulate

    head = ["method", *columns, *(["mean rank"] if ranks else [])]
    if len(columns) > max(_WIDE, len(names)):  # the longer side goes down the page
        turned = [list(line) for line in zip(head, *body, strict=True)]
        head, body = ["column", *turned[0][1:]], turned[1:]
    rule = _post_of(levels[0], post)
    what = f"{metric} ({levels[0]}{', ' + rule if levels[0] == 'voxel' or rule != 'raw' else ''})"
    blocks = _blocks(head, body) if style == "table" else [(head, body)]
    text = "\n\n".join(
        tabulate(lines, headers=names, tablefmt=TABULATE[style], disable_numparse=True) for names, lines in blocks
    )
    legend = [f"[{number}] {reason}" for reason, number in notes.items()]
    if any(entry.flagged for entry in table.values()):
        legend.append("† fewer than 100 patients: the interval may be too narrow")
    drawn = not any(row.get("interval") == "delong" for row in chosen)
    title = f"{what} with {'patient-bootstrap' if drawn else 'DeLong'} interval:"
    return "\n".join([title, "", text, *(["", *legend] if legend else [])])


def _blocks(head: list[str], body: list[list[str]]) -> list[tuple[list[str], list[list[str]]]]:
    """The table in pieces of at most ``_WIDE`` columns beside the first, for terminals."""
    starts = range(1, max(len(head), 2), _WIDE)
    return [([head[0], *head[at : at + _WIDE]], [[line[0], *line[at : at + _WIDE]] for line in body]) for at in starts]


def _lost(rows: Sequence[Row], metric: str, chosen: Sequence[Row], healthy_only: bool) -> list[Row]:
    """Rows of cells without result that belong into the table of a metric, whichever metric they stand for.

    A column that finished elsewhere without this metric does not define it, and is no column of its table.
    """
    lost = [row for row in rows if row["status"] != "ok"]
    if not chosen and all(row["metric"] != metric for row in lost):
        return []
    defined = {_column(row) for row in chosen}
    finished = {_column(row) for row in rows if row["status"] == "ok"}
    return [row for row in lost if _column(row) in defined or not (healthy_only or _column(row) in finished)]


def _columns(rows: Sequence[Row]) -> tuple[list[str], dict[str, list[str]]]:
    """Columns of the table, and reason → columns that were skipped for every method."""
    everything = sorted({_column(row) for row in rows})
    left_out: dict[str, list[str]] = {}
    shown = []
    for column in everything:
        mine = [row for row in rows if _column(row) == column]
        reasons = {row["reason"] for row in mine}
        if len(reasons) == 1 and all(row["status"] == "skipped" for row in mine):
            left_out.setdefault(reasons.pop(), []).append(column)
        else:
            shown.append(column)
    return shown, left_out


def _nothing(rows: Sequence[Row], metric: str) -> str:
    reasons = dict.fromkeys(f"{row['method']} on {row['cohort']} {row['modality']}: {row['reason']}" for row in rows)
    return "\n".join([f"{metric}: no value", *(f"  {reason}" for reason in reasons)])


def _levels(rows: Iterable[Row]) -> list[str]:
    present = [row["level"] for row in rows]
    return next(([level] for level in ("voxel", "lesion", "subject", "slice") if level in present), ["voxel"])


def _post_of(level: str, post: str) -> str:
    """The rows that stand for ``post``: only voxels have a filtered map, only slices and subjects percentile rules."""
    filtered = post in ("raw", "median")
    return post if (level == "voxel") == filtered else "raw"


def _column(row: Row) -> str:
    return f"{row['cohort']} {row['modality']}"


def _method(row: Row) -> str:
    return f"{row['method']}[{row['variant']}]" if row["variant"] else str(row["method"])


def _entry(rows: Sequence[Row], name: str, column: str) -> Entry:
    mine = [row for row in rows if _method(row) == name and _column(row) == column]
    good = [row for row in mine if row["value"] is not None]
    if not good:
        first = mine[0] if mine else None
        return Entry(
            None, reason=first["reason"] if first else "not run", status=first["status"] if first else "missing"
        )
    seeds, others = {row["seed"] for row in good}, [row for row in mine if row["value"] is None]
    total = len(seeds | {row["seed"] for row in others})
    return Entry(
        reason=f"{len(seeds)} of {total} seeds: {others[0]['reason']}" if len(seeds) < total else "",
        value=fmean(row["value"] for row in good),
        low=_mean(row["low"] for row in good),
        high=_mean(row["high"] for row in good),
        flagged=any(row["flagged"] for row in good),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return fmean(found) if found else None


def _best(entries: Sequence[Entry], higher: bool) -> float | None:
    values = [entry.value for entry in entries if entry.value is not None]
    return (max(values) if higher else min(values)) if len(values) > 1 else None


def _mean_ranks(
    table: Mapping[tuple[str, str], Entry], names: Sequence[str], columns: Sequence[str], higher: bool
) -> dict[str, float]:
    """Mean over columns of the rank among all methods; ties share a rank, a missing value ranks last."""
    ranks: dict[str, list[float]] = {name: [] for name in names}
    for column in columns:
        values = {name: table[name, column].value for name in names}
        if all(value is None for value in values.values()):
            continue
        worst = float("-inf")
        keyed = {name: worst if value is None else (value if higher else -value) for name, value in values.items()}
        for name in names:
            above = sum(other > keyed[name] for other in keyed.values())
            equal = sum(other == keyed[name] for other in keyed.values())
            ranks[name].append(above + (equal + 1) / 2)
    return {name: fmean(found) for name, found in ranks.items() if found}


def _text(entry: Entry, best: float | None, notes: dict[str, int], style: Style, bold: bool) -> str:
    if entry.value is None:
        number = notes.setdefault(entry.reason, len(notes) + 1)
        word = "–" if entry.status == "skipped" else entry.status
        return f"{word} [{number}]"
    text = f"{entry.value:.3f}"
    if best is not None and entry.value == best:
        text = {"markdown": f"**{text}**", "latex": rf"\textbf{{{text}}}"}.get(
            style, f"\x1b[1m{text}\x1b[0m" if bold else text
        )
    if entry.low is not None and entry.high is not None:
        text += f" [{entry.low:.2f}, {entry.high:.2f}]"
    text += "†" if entry.flagged else ""
    return f"{text} [{notes.setdefault(entry.reason, len(notes) + 1)}]" if entry.reason else text


def _footer(rows: Sequence[Row]) -> str:
    sources = sorted({row["training_source"] for row in rows if row["training_source"]})
    seeds = len({row["seed"] for row in rows})
    cases: dict[str, int] = {}
    for row in rows:
        if row["n_cases"] and row["level"] != "subject":  # subjects include the healthy controls of another cohort
            cases[row["cohort"]] = max(row["n_cases"], cases.get(row["cohort"], 0))
    tested = ", ".join(f"{name} ({count})" for name, count in sorted(cases.items()))
    lines = [f"Provenance: {rows[0]['provenance']} test cases: {tested or 'none'}; {seeds} seed{'s' * (seeds != 1)}."]
    lines += [f"Trained on: {source}." for source in sources]
    return "\n".join(lines)
