"""From the words of ``bench explain`` to one cell of a plan and one case in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from cerebench.errors import DataError, UsageError
from cerebench.plan.cells import CaseRef, EvaluationCell, Job, ReferenceCell
from cerebench.plugins.entries import LOCAL
from cerebench.plugins.local_methods import is_reference
from cerebench.plugins.registry import Registry
from cerebench.protocol import load_protocol
from cerebench.request import Display, Request
from cerebench.store import Store
from cerebench.text import did_you_mean, parse_selection

if TYPE_CHECKING:
    from cerebench.plan.model import Plan

ADAPTED = "adapted"


@dataclass(frozen=True)
class Question:
    """What is to be explained; the fields are the options of ``bench explain``.

    Attributes:
        method: public name, with settings in brackets where they differ.
        cohort, case: the case.
        modality: ``None`` for the cohort's first one that can be tested.
        variant: as in the leaderboard: ``key=value,…``, ``adapted``, both, or the name of a configuration.
        protocol, preset: ``None`` for those that the results folder has of this method and cohort, else the one
            protocol that tests the cohort, at its default preset.
        seed: repetition.
        data_root, results, cards, device: as for ``bench run``.
    """

    method: str
    cohort: str
    case: str
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
class Target:
    """What was found: the plan, the job cut down to one cell, and the case."""

    plan: Plan
    job: Job
    case: CaseRef

    @property
    def cell(self) -> EvaluationCell:
        """The one cell of the job."""
        return self.job.evaluations[0]

    @property
    def reference(self) -> ReferenceCell:
        """The validation predictions behind the cell's thresholds."""
        return self.job.references[0]


def find_target(question: Question, registry: Registry, display: Display) -> Target:
    """Plan the question's column and find its case.

    Raises:
        UsageError: an unknown name, a column that cannot be tested, or a case that is none of the tested ones.
        DataError: files of the column are faulty.
    """
    from cerebench.runner import _plans

    if question.seed < 0:
        raise UsageError(f"--seed {question.seed}: expected 0 or more")
    selection, variant = selection_of(question)
    name = registry.entry("method", parse_selection(selection)[0]).name
    registry.entry("cohort", question.cohort)
    protocol, preset = place_of(question, name, variant, registry)
    request = Request(
        methods=[selection],
        cohorts=[question.cohort],
        protocols=[protocol],
        preset=preset,
        data_root=question.data_root,
        results=question.results,
        device=question.device,
        seeds=question.seed + 1,
        cards=question.cards,
    )
    (plan,) = _plans(request, registry, [protocol], display)
    for line in plan.notes:
        display.warn(line)
    job, cell = _cell(plan, question, variant)
    reference = next(item for item in job.references if item.path == cell.reference)
    return Target(plan, replace(job, references=(reference,), evaluations=(cell,)), _case(question, job, cell))


def selection_of(question: Question) -> tuple[str, str]:
    """The method as a selection, and the row's variant as the plan words it."""
    name, overrides = parse_selection(question.method)
    parts = [part for part in question.variant.split(",") if part]
    adapted = ADAPTED in parts
    rest = [part for part in parts if part not in (ADAPTED, LOCAL)]
    if rest and overrides:
        raise UsageError(f"settings are given both in {question.method!r} and by --variant; give them once")
    if len(rest) == 1 and "=" not in rest[0]:
        rest = [f"variant={rest[0]}"]
    text = f"{name}[{','.join(rest)}]" if rest else question.method
    words = ",".join(f"{key}={value}" for key, value in sorted(parse_selection(text)[1].items()))
    local = LOCAL if is_reference(name) else ""
    return text, ",".join(filter(None, [words, local, ADAPTED if adapted else ""]))


def place_of(question: Question, method: str, variant: str, registry: Registry) -> tuple[str, str | None]:
    """Protocol and preset: as asked, else as in the results folder, else the only protocol that fits."""
    from cerebench.manifest import read_cells

    wanted = {
        "method": method,
        "variant": variant,
        "cohort": question.cohort,
        "modality": question.modality,
        "seed": question.seed,
        "protocol": question.protocol,
        "preset": question.preset,
    }
    asked = {name: value for name, value in wanted.items() if value is not None}
    done = {
        (cell.identity["protocol"], cell.identity["preset"])
        for cell in read_cells(Store(question.results))
        if cell.status == "ok" and all(cell.identity[name] == value for name, value in asked.items())
    }
    if len(done) > 1:
        found = ", ".join(f"--protocol {protocol} --preset {preset}" for protocol, preset in sorted(done))
        raise UsageError(f"{question.results} holds several results of {method} on {question.cohort}; choose: {found}")
    if done:
        protocol, preset = done.pop()
        return str(protocol), str(preset)
    if question.protocol is not None:
        return question.protocol, question.preset
    task = registry.load_method(method).info.task
    known = [entry.name for entry in registry.protocols() if entry.state == "ok"]
    fitting = [name for name in known if _tests(registry, name, task, question)]
    if not fitting:
        raise UsageError(f"no protocol of the task {task} tests cohort {question.cohort!r}; see `bench list protocols`")
    if len(fitting) > 1:
        raise UsageError(f"several protocols test {question.cohort!r}: name one with --protocol ({', '.join(fitting)})")
    return fitting[0], question.preset


def _tests(registry: Registry, protocol: str, task: str, question: Question) -> bool:
    found = load_protocol(registry.protocol_file(protocol))
    return (
        found.task == task
        and any(fnmatchcase(question.cohort, pattern) for pattern in found.test.cohorts)
        and (question.modality is None or not found.test.modalities or question.modality in found.test.modalities)
    )


def _cell(plan: Plan, question: Question, variant: str) -> tuple[Job, EvaluationCell]:
    mine = [(job, cell) for job in plan.jobs for cell in job.evaluations if cell.identity.seed == question.seed]
    rows = [pair for pair in mine if pair[1].identity.variant == variant]
    if mine and not rows:
        known = {cell.identity.variant or "(empty)" for _, cell in mine}
        raise UsageError(
            f"{question.method} has no row {variant!r} under protocol {plan.protocol.name!r}: "
            f"{did_you_mean(variant, known)}"
        )
    # the card's order, so that the first modality is the same whatever has been run
    found = [pair for pair in rows if question.modality in (None, pair[1].identity.modality)]
    if found:
        return found[0]
    skipped = [item for item in plan.skipped if question.modality in (None, item.identity.modality)]
    if skipped:
        first = skipped[0]
        place = f"{first.identity.cohort} {first.identity.modality}"
        if first.failed:
            raise DataError(f"{place}: {first.reason}")
        raise UsageError(f"{question.method} cannot be explained on {place}: {first.reason}")
    modalities = {cell.identity.modality for _, cell in rows}
    raise UsageError(
        f"protocol {plan.protocol.name!r} does not test {question.cohort} {question.modality or ''}: "
        + (did_you_mean(str(question.modality), modalities) if modalities else "choose another protocol")
    )


def _case(question: Question, job: Job, cell: EvaluationCell) -> CaseRef:
    tested = {ref.id: ref for ref in cell.cases}
    if question.case in tested:
        return tested[question.case]
    role = next((role for role, refs in _roles(job) if _named(refs, question)), "")
    if role:
        raise UsageError(
            f"case {question.case!r} of {question.cohort} {role} here and is not tested; tested are "
            f"{_some(sorted(tested))}"
        )
    raise UsageError(f"no case {question.case!r} in {question.cohort}: {did_you_mean(question.case, tested)}")


def _roles(job: Job) -> Iterable[tuple[str, Sequence[CaseRef]]]:
    for stage in job.stages:
        yield "trains", stage.train
        yield "validates the training", stage.validation
    for reference in job.references:
        yield "selects thresholds", (*reference.lesion, *reference.healthy)


def _named(refs: Sequence[CaseRef], question: Question) -> bool:
    return any(ref.id == question.case and ref.patient.startswith(f"{question.cohort}/") for ref in refs)


def _some(names: Sequence[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"
