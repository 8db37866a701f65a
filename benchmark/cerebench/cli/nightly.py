"""``bench nightly``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def nightly(
    config: Annotated[Path, typer.Argument(help="YAML file that says what runs; see docs/nightly.md.")],
    night: Annotated[str | None, typer.Option(help="Date that names the night. Default: today in UTC.")] = None,
    summary: Annotated[Path | None, typer.Option(help="Markdown file. Default: summary.md in the results.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would run, run nothing.")] = False,
) -> None:
    """Run, compare with the accepted baseline, append to the history, write a Markdown summary.

    The same night again resumes. Exit codes: 0 fine, 1 regression, 2 harness or configuration, 3 nothing or too little
    measured, or no baseline yet; 130 interrupted.
    """
    from cerebench.cli.display import make_display
    from cerebench.nightly.config import load_config
    from cerebench.nightly.night import run_night, tonight

    settings = load_config(config)
    chosen = night or tonight()
    display = make_display()
    try:
        if dry_run:
            _plan(settings.request(chosen, dry_run=True), display)
            return
        done = run_night(settings, chosen, display, summary)
    except KeyboardInterrupt:
        display.warn(f"interrupted: bench nightly {config} --night {chosen} goes on from there")
        raise
    finally:
        display.close()
    print(f"{settings.name} {chosen}: {done.verdict}.")
    print(f"Summary: {done.page}; history: {done.entry}; results: {settings.folder(chosen)}.")
    raise typer.Exit(done.exit_code)


def _plan(request: object, display: object) -> None:
    from cerebench.runner import execute

    result = execute(request, display)  # type: ignore[arg-type]
    for plan in result.plans:
        cells = sum(len(job.evaluations) for job in plan.jobs)
        print(
            f"{plan.protocol.name} v{plan.protocol.version}, preset {plan.preset_name}: {cells} cells in "
            f"{len(plan.jobs)} jobs, {len(plan.skipped)} skipped; results would go to {result.results}"
        )
