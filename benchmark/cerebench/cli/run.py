"""``bench run``."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cerebench.text import human_duration

if TYPE_CHECKING:
    from cerebench.request import RunResult


def run(
    methods: Annotated[
        str,
        typer.Option("--methods", "-m", help="all, globs, names with settings, files: 'auto*,x[width=16],my.py:Mine'."),
    ] = "all",
    cohorts: Annotated[str, typer.Option("--cohorts", "-c", help="all, globs or names.")] = "all",
    protocols: Annotated[str, typer.Option("--protocols", "-p", help="all, globs or names.")] = "all",
    preset: Annotated[
        str | None, typer.Option(help="Size of the run: quick, nightly, standard, paper. Default: the protocol's.")
    ] = None,
    data_root: Annotated[
        Path | None,
        typer.Option(help="Folder with one folder a cohort. Default: CEREBENCH_DATA, else in-silico twins."),
    ] = None,
    results: Annotated[Path, typer.Option(help="Results folder.")] = Path("results"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    seeds: Annotated[int, typer.Option(help="Repetitions with seeds 0, 1, …")] = 1,
    shard: Annotated[str | None, typer.Option(help="i/n: only the i-th of n parts of the work.")] = None,
    cards: Annotated[list[Path] | None, typer.Option(help="Folder of local cohort cards; may be repeated.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, run nothing.")] = False,
    in_process: Annotated[bool, typer.Option("--in-process", help="No worker processes; for debugging.")] = False,
    timeout: Annotated[
        float | None, typer.Option(help="Limit of every cell in seconds instead of the preset's.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes on each device.")] = None,
    threads: Annotated[int, typer.Option(help="CPU threads of one worker; the last bit may depend on it.")] = 1,
    memory_limit: Annotated[float | None, typer.Option(help="Resident memory of one worker in GiB.")] = None,
    search: Annotated[
        bool,
        typer.Option(
            "--search", help="Also run the settings that the protocol's search lists; bench leaderboard --chosen."
        ),
    ] = False,
    report: Annotated[
        str, typer.Option(help="Reporters to tell of the run, such as 'jsonl[path=x.jsonl]'; see bench list reporters.")
    ] = "",
) -> None:
    """Evaluate methods on cohorts under a protocol, and print the leaderboard.

    Cells that are there already are not computed again; failed ones are tried again. Exit codes: 0 all cells fine,
    1 finished but some cells failed, 2 usage or configuration, 130 interrupted.
    """
    from cerebench.cli.display import make_display
    from cerebench.request import Request
    from cerebench.runner import execute

    request = Request(
        methods=methods,
        cohorts=cohorts,
        protocols=protocols,
        preset=preset,
        data_root=data_root,
        results=results,
        device=device,
        seeds=seeds,
        shard=shard,
        cards=tuple(cards or ()),
        dry_run=dry_run,
        in_process=in_process,
        timeout_s=timeout,
        workers=workers,
        threads=threads,
        memory_limit_gib=memory_limit,
        search=search,
        reporters=report,
    )
    display = make_display()
    start = time.monotonic()
    try:
        result = execute(request, display)
    except KeyboardInterrupt:
        display.warn("interrupted: what is finished is kept, and the same command goes on from there")
        raise
    finally:
        display.close()
    if dry_run:
        _show_plan(result)
        return
    _summary(result, time.monotonic() - start)
    raise typer.Exit(result.exit_code)


def _show_plan(result: RunResult) -> None:
    from cerebench.cli.output import print_table
    from cerebench.store import Store

    store = Store(result.results)
    for plan in result.plans:
        print(
            f"{plan.protocol.name} v{plan.protocol.version}, preset {plan.preset_name} ({plan.preset.spacing_mm:g} mm)"
        )
        rows = []
        for job in plan.jobs:
            for cell in job.evaluations:
                known = plan.complete and store.done(cell.path)
                state = "done" if known else "to do"
                stages = " > ".join(stage.name for stage in job.stages) or "no training"
                rows.append(_plan_row(cell.identity, state, f"{len(cell.cases)} cases, {stages}"))
        rows += [_plan_row(item.identity, "failed" if item.failed else "skipped", item.reason) for item in plan.skipped]
        print_table(rows, ["method", "cohort", "modality", "seed", "state", "detail"], "nothing to run")
        if not plan.complete:
            print("Data are not prepared yet, so cells that are already done may be listed as to do.")


def _plan_row(identity: object, state: str, detail: str) -> dict[str, object]:
    from dataclasses import asdict

    values = asdict(identity)  # type: ignore[call-overload]
    method = values["method"] + (f"[{values['variant']}]" if values["variant"] else "")
    return {**values, "method": method, "state": state, "detail": detail}


def _summary(result: RunResult, seconds: float) -> None:
    from cerebench.cli.leaderboard import table_text

    for plan in [plan for plan in result.plans if plan.jobs or plan.skipped]:
        print(table_text(result.results, "table", protocol=plan.protocol.name, preset=plan.preset_name))
        print()
    counts = ", ".join(f"{count} {status}" for status, count in sorted(result.counts.items()))
    print(f"Cells: {counts or 'none'}; {result.evaluated} evaluated now, in {human_duration(seconds)}.")
    print(f"Results: {result.results} (see `bench leaderboard --results {result.results}`).")
    for name, reason in result.problems[:20]:
        print(f"Failed: {name}: {reason}", file=sys.stderr)
    if len(result.problems) > 20:
        print(f"… and {len(result.problems) - 20} more", file=sys.stderr)
