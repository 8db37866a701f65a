"""From the words of ``bench diagnose`` to the jobs and cells of one method that are diagnosed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cerebench.errors import UsageError
from cerebench.explain.target import Question, Target, place_of, selection_of
from cerebench.plan.cells import EvaluationCell, Job
from cerebench.plugins.registry import Registry
from cerebench.request import Display, Request
from cerebench.store import Store
from cerebench.text import parse_selection

if TYPE_CHECKING:
    from cerebench.plan.model import Plan


@dataclass(frozen=True)
class Complaint:
    """What is to be diagnosed; the fields are the options of ``bench diagnose``.

    Attributes:
        method: public name, with settings in brackets where they differ.
        cohorts: whose results count; empty for every one that the results folder has. What is missing of cohorts that
            are named is computed.
        modality, variant, protocol, preset, seed, data_root, results, cards, device: as for ``bench explain``;
            without a modality all count.
    """

    method: str
    cohorts: tuple[str, ...] = ()
    modality: str | None = None
    variant: str = ""
    protocol: str | None = None
    preset: str | None = None
    seed: int = 0
    data_root: Path | None = None
    results: Path = Path("results")
    cards: tuple[Path, ...] = ()
    device: str = "auto"


@dataclass(frozen=True)
class Subject:
    """What was found.

    Attributes:
        plan: of the method on the cohorts.
        jobs: those of the row that is diagnosed: one a trained artefact, cut down to the columns that count.
    """

    plan: Plan
    jobs: tuple[Job, ...]

    def cells(self) -> Iterator[tuple[Job, EvaluationCell]]:
        """Columns with their jobs, in the plan's order."""
        for job in self.jobs:
            for cell in job.evaluations:
                yield job, cell

    def target(self, job: Job, cell: EvaluationCell) -> Target:
        """One column, as ``bench explain`` computes it where it is missing."""
        reference = next(item for item in job.references if item.path == cell.reference)
        return Target(self.plan, replace(job, references=(reference,), evaluations=(cell,)), cell.cases[0])


def find_subject(complaint: Complaint, registry: Registry, display: Display) -> Subject:
    """Plan the method's columns.

    Raises:
        UsageError: an unknown name, no result to diagnose and no cohort named, or results of several protocols.
    """
    from cerebench.runner import _plans

    if complaint.seed < 0:
        raise UsageError(f"--seed {complaint.seed}: expected 0 or more")
    question = _question(complaint, "")
    selection, variant = selection_of(question)
    name = parse_selection(selection)[0]
    registry.load_method(name)
    cohorts = complaint.cohorts or _with_results(complaint, name, variant)
    for cohort in cohorts:
        registry.entry("cohort", cohort)
    places = {place_of(_question(complaint, cohort), name, variant, registry) for cohort in cohorts}
    if len(places) > 1:
        found = ", ".join(
            f"--protocol {protocol} --preset {preset or '…'}" for protocol, preset in sorted(places, key=str)
        )
        raise UsageError(f"the cohorts of {name} belong to several protocols or presets; choose: {found}")
    ((protocol, preset),) = places
    request = Request(
        methods=[selection],
        cohorts=list(cohorts),
        protocols=[protocol],
        preset=preset,
        data_root=complaint.data_root,
        results=complaint.results,
        device=complaint.device,
        seeds=complaint.seed + 1,
        cards=complaint.cards,
    )
    (plan,) = _plans(request, registry, [protocol], display)
    for line in plan.notes:
        display.warn(line)
    jobs = tuple(_cut(plan, complaint, variant))
    if not jobs:
        reasons = [f"{item.identity.cohort} {item.identity.modality}: {item.reason}" for item in plan.skipped]
        raise UsageError(
            f"nothing of {name} {f'row {variant!r} ' if variant else ''}can be diagnosed under protocol {protocol!r}: "
            + (reasons[0] if reasons else f"it has no such row for {', '.join(cohorts)}; see `bench leaderboard`")
        )
    return Subject(plan, jobs)


def _question(complaint: Complaint, cohort: str) -> Question:
    return Question(
        method=complaint.method,
        cohort=cohort,
        case="",
        modality=complaint.modality,
        variant=complaint.variant,
        protocol=complaint.protocol,
        preset=complaint.preset,
        seed=complaint.seed,
        data_root=complaint.data_root,
        results=complaint.results,
        cards=complaint.cards,
        device=complaint.device,
    )


def _with_results(complaint: Complaint, method: str, variant: str) -> tuple[str, ...]:
    """Cohorts that the results folder has of the row."""
    from cerebench.manifest import read_cells

    wanted = {
        "method": method,
        "variant": variant,
        "modality": complaint.modality,
        "seed": complaint.seed,
        "protocol": complaint.protocol,
        "preset": complaint.preset,
    }
    asked = {name: value for name, value in wanted.items() if value is not None}
    found = dict.fromkeys(
        str(cell.identity["cohort"])
        for cell in read_cells(Store(complaint.results))
        if cell.status == "ok" and all(cell.identity[name] == value for name, value in asked.items())
    )
    if not found:
        row = f"{method}[{variant}]" if variant else method
        raise UsageError(
            f"{complaint.results} holds no finished result of {row}: run it first, or name a cohort with --cohort "
            "to have it computed"
        )
    return tuple(found)


def _cut(plan: Plan, complaint: Complaint, variant: str) -> Iterator[Job]:
    for job in plan.jobs:
        mine = tuple(
            cell
            for cell in job.evaluations
            if (cell.identity.seed, cell.identity.variant) == (complaint.seed, variant)
            and complaint.modality in (None, cell.identity.modality)
        )
        if mine:
            kept = {cell.reference for cell in mine}
            yield replace(job, references=tuple(r for r in job.references if r.path in kept), evaluations=mine)
