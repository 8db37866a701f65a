"""Columns (cohort × modality) of a run, with the data that train, calibrate and test each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from cerebench.contract.data import Case, Provenance
from cerebench.contract.info import StageData
from cerebench.plan.sources import Absence, Pool, Sources, fault
from cerebench.protocol import Protocol


@dataclass(frozen=True)
class Member:
    """One case with the pool it comes from; ``lesion_free_mm`` as in :class:`cerebench.contract.data.ReadPolicy`."""

    pool: Pool
    case: Case
    lesion_free_mm: float | None = None


@dataclass(frozen=True)
class Training:
    """Training data of one role for one set of channels.

    Attributes:
        train, validation: cases.
        source: words for ``training_source``.
        provenance: of the cases.
        problem: why there is none; empty if there is some.
        broken: whether ``problem`` is a fault of files rather than their absence.
    """

    train: tuple[Member, ...] = ()
    validation: tuple[Member, ...] = ()
    source: str = ""
    provenance: Provenance = "real"
    problem: str = ""
    broken: bool = False


@dataclass(frozen=True)
class Column:
    """One column of the table.

    Attributes:
        cohort, modality: its name.
        pool: the tested cohort.
        cases: test cases.
        notes: fallbacks to be recorded with every cell of the column.
    """

    cohort: str
    modality: str
    pool: Pool
    cases: tuple[Member, ...]
    notes: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether the cohort holds healthy subjects only."""
        return self.pool.listing.card.healthy


@dataclass(frozen=True)
class NoColumn:
    """A column that cannot be tested, and why."""

    cohort: str
    modality: str
    healthy: bool
    reason: str
    failed: bool = False


@dataclass(frozen=True)
class Columns:
    """All columns of a run."""

    ready: tuple[Column, ...]
    absent: tuple[NoColumn, ...]


def find_columns(sources: Sources, protocol: Protocol, cohorts: Sequence[str]) -> Columns:
    """Columns of the selected cohorts that the protocol tests, in the order of the selection."""
    ready: list[Column] = []
    absent: list[NoColumn] = []
    for name in cohorts:
        if not any(fnmatchcase(name, pattern) for pattern in protocol.test.cohorts):
            continue
        for item in _columns_of(sources, protocol, name):
            (ready if isinstance(item, Column) else absent).append(item)  # type: ignore[arg-type]
    return Columns(tuple(ready), tuple(absent))


def _columns_of(sources: Sources, protocol: Protocol, name: str) -> Iterator[Column | NoColumn]:
    card = sources.card(name)
    if protocol.task not in card.tasks:
        serves = f"serves {', '.join(card.tasks)} only" if card.tasks else "is unlabelled, to learn from only"
        for modality in card.modalities:
            yield NoColumn(name, modality, card.healthy, f"cohort {name!r} {serves}")
        return
    pool = sources.tested_pool(name)
    modalities = [item for item in card.modalities if not protocol.test.modalities or item in protocol.test.modalities]
    for modality in modalities:
        if isinstance(pool, Absence):
            yield NoColumn(name, modality, card.healthy, pool.reason, pool.broken)
            continue
        problem = fault(pool.listing, modality)
        cases = tuple(Member(pool, case) for case in pool.cases("test", modality))
        if modality not in pool.listing.modalities:
            reason = f"modality missing: no case of {name!r} has {modality}"
            yield NoColumn(name, modality, card.healthy, reason)
        elif problem:
            yield NoColumn(name, modality, card.healthy, problem, failed=True)
        elif not cases:
            yield NoColumn(name, modality, card.healthy, f"no test case of {name!r} has {modality}")
        else:
            yield Column(name, modality, pool, cases, tuple(f"{name}: {note}" for note in pool.notes))


def training(
    sources: Sources, protocol: Protocol, role: StageData, modalities: Sequence[str], tested: Provenance
) -> Training:
    """Training data of a role: of the tested data's provenance where all modalities are ready, else in-silico twins.

    The fallback is the protocol's explicit choice (``train.fallback``); its words go into ``training_source``.
    """
    names = protocol.train.sources.get(role, ())
    wanted = "+".join(modalities)
    if not names:
        return Training(problem=f"protocol {protocol.name!r} names no {role} source")
    found = _collect(sources, names, tested, modalities, protocol, role)
    if found.train or found.broken:
        return found
    if tested == "in-silico" or protocol.train.fallback == "none":
        return Training(problem=f"no {role} source of modality {wanted}: {found.problem}")
    twin = _collect(sources, names, "in-silico", modalities, protocol, role)
    if twin.train:
        return replace(twin, source=f"{twin.source}: trained in silico, tested real")
    return Training(problem=f"no {role} source of modality {wanted}: {twin.problem}", broken=twin.broken)


def _collect(
    sources: Sources,
    names: Sequence[str],
    provenance: Provenance,
    modalities: Sequence[str],
    protocol: Protocol,
    role: StageData,
) -> Training:
    train: list[Member] = []
    validation: list[Member] = []
    used: list[str] = []
    kinds: list[str] = []
    problems: list[str] = []
    for name in names:
        pool = sources.pool(name, provenance)
        if isinstance(pool, Absence):
            problems.append(pool.reason)
            continue
        if pool.listing.layout.test_only:
            problems.append(f"layout {pool.listing.layout.name!r} of {name} is for testing only")
            continue
        normal, what, problem = _normal(pool, protocol, role)
        cases = [] if problem else [case for case in pool.cases("train", *modalities) if normal(case)]
        broken = next(filter(None, (fault(pool.listing, modality) for modality in modalities)), "")
        if cases and broken:
            return Training(problem=f"training data: {broken}", broken=True)
        if not cases:
            problems.append(problem or f"{name} has none")
            continue
        margin = protocol.train.lesion_free_mm if what else None
        train += [Member(pool, case, margin) for case in cases]
        validation += [Member(pool, case, margin) for case in pool.cases("validation", *modalities) if normal(case)]
        used.append(name)
        kinds.append(what or protocol.train.description)
    words = f"{'+'.join(used)} {' and '.join(dict.fromkeys(kinds))} ({provenance})"
    return Training(tuple(train), tuple(validation), words, provenance, "; ".join(problems))


def _normal(pool: Pool, protocol: Protocol, role: StageData) -> tuple[Callable[[Case], bool], str, str]:
    """Which cases may feed a role, words if only their lesion-free slices may, and a problem if there are none."""
    card = pool.listing.card
    if role != "healthy" or card.healthy:
        return lambda case: True, "", ""
    return normal_cases(pool, protocol.train.lesion_free_mm)


def normal_cases(pool: Pool, lesion_free_mm: float | None) -> tuple[Callable[[Case], bool], str, str]:
    """The healthy subjects of a cohort that has some; else its patients, of whom lesion-free slices are delivered."""
    if any(case.healthy for case in pool.listing.cases):
        return lambda case: case.healthy, "", ""
    if lesion_free_mm is None:
        problem = f"{pool.listing.card.name} has no healthy subject, and the protocol sets no train.lesion_free_mm"
        return lambda case: False, "", problem
    return lambda case: case.mask is not None, "lesion-free slices of patients", ""


def members(
    sources: Sources, names: Sequence[str], provenance: Provenance, role: str, modality: str, healthy: bool
) -> tuple[tuple[Member, ...], tuple[str, ...]]:
    """Healthy subjects or patients of a role in several cohorts, and a note for every cohort that could not serve."""
    found: list[Member] = []
    notes: list[str] = []
    for name in names:
        pool = sources.pool(name, provenance)
        problem = pool.reason if isinstance(pool, Absence) else fault(pool.listing, modality)
        if isinstance(pool, Absence) or problem:
            notes.append(f"{role} cases of {name} not used: {problem}")
        else:
            found += [Member(pool, case) for case in pool.cases(role, modality) if case.healthy == healthy]
    return tuple(found), tuple(notes)


def target_training(column: Column, modalities: Sequence[str], lesion_free_mm: float | None = None) -> Training:
    """The tested cohort's own training split, for stages on ``target`` data.

    With ``lesion_free_mm`` it is the cohort's healthy subjects, or lesion-free slices of its patients if it has none.
    """
    if column.pool.listing.layout.test_only:
        return Training(problem=f"layout {column.pool.listing.layout.name!r} of {column.cohort} is for testing only")
    normal: Callable[[Case], bool] = lambda case: True  # noqa: E731
    what = ""
    if lesion_free_mm is not None and not column.healthy:
        normal, what, _ = normal_cases(column.pool, lesion_free_mm)
        what = what or "healthy subjects"
    margin = lesion_free_mm if what.startswith("lesion-free") else None
    train, validation = (
        tuple(Member(column.pool, case, margin) for case in column.pool.cases(role, *modalities) if normal(case))
        for role in ("train", "validation")
    )
    if not train:
        return Training(problem=f"protocol gives {column.cohort!r} no training split to adapt on")
    source = f"adapted on {column.cohort}{' ' * bool(what)}{what} ({column.pool.provenance})"
    return Training(train, validation, source, column.pool.provenance)
