"""``bench claims``: the claims ledger against what has been measured."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cerebench.errors import UsageError

if TYPE_CHECKING:
    from cerebench.claims.check import Checked
    from cerebench.claims.ledger import Claim, Ledger, Side
    from cerebench.claims.verdicts import Finding, Judged, Verdict

SCHEMA_VERSION = 1
_PROVENANCE = {"in-silico": "in silico", "real": "on patients"}


def claims(
    results: Annotated[Path, typer.Option(metavar="DIR", help="Results folder.")] = Path("results"),
    preset: Annotated[str | None, typer.Option(help="Only this preset.")] = None,
    claim: Annotated[
        list[str] | None, typer.Option("--claim", metavar="ID", help="Only this claim; may be repeated.")
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option("--ledger", metavar="FILE", help="Another ledger than the one that is shipped.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print an object.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Judge made-up results instead: none may be supported by no effect.")
    ] = False,
) -> None:
    """Print every claim with its published figures, the measured effect with its interval, and the verdict.

    With --check each claim meets simulated results without any effect and with a gross one; ends with exit code 1 if
    the first is supported too often or the second is not.
    """
    from cerebench.claims.ledger import load_ledger

    chosen = _only(load_ledger(ledger), claim or [])
    if check:
        _check(chosen, as_json)
        return
    from cerebench.claims.verdicts import command, judge
    from cerebench.cli.output import print_json, print_warnings
    from cerebench.store import Store

    if not results.is_dir():
        print_warnings([f"there is no results folder {results}: nothing is measured"])
    judged = judge(chosen, Store(results), preset)
    if as_json:
        found = [{**_described(item), "command": command(item.claim, preset)} for item in judged]
        print_json({"schema_version": SCHEMA_VERSION, "claims": found})
        return
    print("\n\n".join("\n".join(_text(item, command(item.claim, preset))) for item in judged))
    print(
        "\nIn silico is not on patients: a verdict on phantoms says nothing about scans. "
        "Published figures come from other data and other code."
    )


def _only(ledger: Ledger, wanted: list[str]) -> list[Claim]:
    from cerebench.text import did_you_mean

    known = [claim.id for claim in ledger.claims]
    for name in wanted:
        if name not in known:
            raise UsageError(f"no claim {name!r} in the ledger: {did_you_mean(name, known)}")
    return [claim for claim in ledger.claims if not wanted or claim.id in wanted]


def _described(judged: Judged) -> dict[str, Any]:
    """A claim and its verdicts as JSON values."""
    verdicts = [
        {
            "verdict": verdict.word,
            "reason": verdict.reason,
            **verdict.group,
            "contrasts": [
                {
                    **finding.contrast.model_dump(mode="json"),
                    "state": finding.state,
                    "reason": finding.reason,
                    "seeds": list(finding.seeds),
                    "effect": None if finding.effect is None else asdict(finding.effect),
                }
                for finding in verdict.findings
            ],
        }
        for verdict in judged.verdicts
    ]
    return {**judged.claim.model_dump(mode="json", exclude={"contrasts"}), "verdicts": verdicts}


def _text(judged: Judged, measure: str) -> Iterator[str]:
    claim = judged.claim
    yield from _wrapped(f"{claim.id}  {claim.sentence}", "    ")
    yield from _wrapped(f"    source: {claim.source}; ours: {claim.kind}", "      ")
    yield from _wrapped(f"    published: {_figures(claim)}", "      ")
    if claim.note:
        yield from _wrapped(f"    note: {claim.note}", "      ")
    for verdict in judged.verdicts:
        yield f"    {_head(verdict)}"
        for finding in verdict.findings:
            yield from _wrapped(f"      {_measured(finding)}", "        ")
    if all(verdict.word == "not measured" for verdict in judged.verdicts):
        yield f"    measure it: {measure}"


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, 118, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _figures(claim: Claim) -> str:
    shown = [f"{item.what}: {item.value:g}" + (f" (p = {item.p:g})" if item.p else "") for item in claim.published]
    return "; ".join(shown) or "no figure"


def _head(verdict: Verdict) -> str:
    group = verdict.group
    if not group["preset"]:
        return f"NOT MEASURED: {verdict.reason}"
    where = _PROVENANCE.get(group["provenance"], group["provenance"])
    reason = f": {_short(verdict.reason)}" if verdict.reason else ""
    table = f"{group['protocol']} v{group['protocol_version']}, preset {group['preset']}"
    return f"{verdict.word.upper()} {where} ({table}){reason}"


def _short(reason: str) -> str:
    """A failure's reason may quote a whole traceback; the leaderboard has it in full."""
    return textwrap.shorten(reason, 200, placeholder=" …")


def _measured(finding: Finding) -> str:
    contrast, effect = finding.contrast, finding.effect
    metric = f"{contrast.metric} ({contrast.level}{'' if contrast.post == 'raw' else ', ' + contrast.post})"
    sides = [_side(contrast.higher), _side(contrast.lower)]
    claimed = f" + {contrast.margin:g}" if contrast.margin else ""
    if effect is None:
        return f"{metric}: {sides[0]} > {sides[1]}{claimed}: {_short(finding.reason)}"
    values = [f"{name} {value:.3f}" for name, value in zip(sides, effect.sides, strict=True)]
    limits = "" if effect.low is None else f" [{effect.low:+.3f}, {effect.high:+.3f}]"
    who = f"{effect.n_patients[0]} and {effect.n_patients[1]} patients, {effect.shared} on both sides"
    seeds = f"{min(finding.seeds)} seed{'s' * (min(finding.seeds) != 1)}"
    few = ", few" if effect.flagged else ""
    reason = f"; {finding.reason}" if finding.reason else ""
    difference = f"difference {effect.value:+.3f}{limits}"
    return f"{metric}: {values[0]} > {values[1]}{claimed}: {difference}, {finding.state} ({who}{few}, {seeds}{reason})"


def _side(side: Side) -> str:
    columns = [f"{cohort} {modality}" for cohort, modality in side.columns]
    return f"{side.row} on {columns[0]}" if len(columns) == 1 else f"{side.row}, mean over {', '.join(columns)}"


def _check(claims: list[Claim], as_json: bool) -> None:
    from cerebench.claims.check import check
    from cerebench.cli.bar import Bar
    from cerebench.cli.output import print_json, print_table

    with Bar("simulating ledgers") as bar:
        found = list(check(claims, progress=bar.show))
    rows = [_checked(item) for item in found]
    if as_json:
        print_json({"schema_version": SCHEMA_VERSION, "claims": rows})
    else:
        print_table(rows, ("claim", "null", "gross", "sound"), "no claim")
    if not all(item.sound for item in found):
        raise typer.Exit(1)


def _checked(item: Checked) -> dict[str, Any]:
    return {"claim": item.claim.id, "null": dict(item.null), "gross": dict(item.gross), "sound": item.sound}
