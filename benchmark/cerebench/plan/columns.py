"""Columns (cohort × modality) of a run, with the data that train, calibrate and test each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from cerebench.contract.data import Case, Provenance
from cerebench.contract.info import StageData
from cerebench.plan.sources import Absence, Pool, Sources, fault
from cerebench.protocol import Protocol


@dataclass(frozen=True)
class Member:
    """One case with the pool it comes from."""

    pool: Pool
    case: Case


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
    found = _collect(sources, names, tested, modalities, protocol)
    if found.train or found.broken:
        return found
    if tested == "in-silico" or protocol.train.fallback == "none":
        return Training(problem=f"no {role} source of modality {wanted}: {found.problem}")
    twin = _collect(sources, names, "in-silico", modalities, protocol)
    if twin.train:
        return replace(twin, source=f"{twin.source}: trained in silico, tested real")
    return Training(problem=f"no {role} source of modality {wanted}: {twin.problem}", broken=twin.broken)


def _collect(
    sources: Sources, names: Sequence[str], provenance: Provenance, modalities: Sequence[str], protocol: Protocol
) -> Training:
    train: list[Member] = []
    validation: list[Member] = []
    used: list[str] = []
    problems: list[str] = []
    for name in names:
        pool = sources.pool(name, provenance)
        if isinstance(pool, Absence):
            problems.append(pool.reason)
            continue
        if pool.listing.layout.test_only:
            problems.append(f"layout {pool.listing.layout.name!r} of {name} is for testing only")
            continue
        cases = pool.cases("train", *modalities)
        broken = next(filter(None, (fault(pool.listing, modality) for modality in modalities)), "")
        if cases and broken:
            return Training(problem=f"training data: {broken}", broken=True)
        if not cases:
            problems.append(f"{name} has none")
            continue
        train += [Member(pool, case) for case in cases]
        validation += [Member(pool, case) for case in pool.cases("validation", *modalities)]
        used.append(name)
    words = f"{'+'.join(used)} {protocol.train.description} ({provenance})"
    return Training(tuple(train), tuple(validation), words, provenance, "; ".join(problems))


def members(
    sources: Sources, names: Sequence[str], provenance: Provenance, role: str, modality: str
) -> tuple[tuple[Member, ...], tuple[str, ...]]:
    """Cases of a role in several cohorts of one provenance, and a note for every cohort that could not serve."""
    found: list[Member] = []
    notes: list[str] = []
    for name in names:
        pool = sources.pool(name, provenance)
        problem = pool.reason if isinstance(pool, Absence) else fault(pool.listing, modality)
        if isinstance(pool, Absence) or problem:
            notes.append(f"{role} cases of {name} not used: {problem}")
        else:
            found += [Member(pool, case) for case in pool.cases(role, modality)]
    return tuple(found), tuple(notes)


def target_training(column: Column, modalities: Sequence[str]) -> Training:
    """The tested cohort's own training split, for stages on ``target`` data."""
    if column.pool.listing.layout.test_only:
        return Training(problem=f"layout {column.pool.listing.layout.name!r} of {column.cohort} is for testing only")
    train = tuple(Member(column.pool, case) for case in column.pool.cases("train", *modalities))
    if not train:
        return Training(problem=f"protocol gives {column.cohort!r} no training split to adapt on")
    validation = tuple(Member(column.pool, case) for case in column.pool.cases("validation", *modalities))
    source = f"adapted on {column.cohort} ({column.pool.provenance})"
    return Training(train, validation, source, column.pool.provenance)
