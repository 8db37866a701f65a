"""The data of a plan: what trains, selects thresholds and tests, prepared once and without faults."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from cerebench.cohorts.card import Card
from cerebench.contract.data import Provenance
from cerebench.contract.info import MethodInfo, StageData
from cerebench.plan.cells import CaseRef
from cerebench.plan.columns import (
    Column,
    Columns,
    Member,
    NoColumn,
    Training,
    find_columns,
    members,
    target_training,
    training,
)
from cerebench.plan.groups import Group
from cerebench.plan.leakage import leak
from cerebench.plan.prepared import PreparedCases, Progress
from cerebench.plan.sources import Sources
from cerebench.protocol import Protocol

Channels = tuple[str, ...]
Reference = tuple[tuple[Member, ...], tuple[Member, ...], tuple[Member, ...]]


class Material:
    """Data of one protocol.

    Args:
        protocol: roles and splits.
        sources: cohorts.
        prepared: preparation of cases.
        balanced_cases: validation cases of a cohort in the balanced selection; 0: no such selection, ``None``: all.
    """

    def __init__(
        self, protocol: Protocol, sources: Sources, prepared: PreparedCases, balanced_cases: int | None = None
    ) -> None:
        self.sources = sources
        self._balanced_cases = balanced_cases
        self._protocol = protocol
        self._prepared = prepared
        self._trainings: dict[tuple[StageData, Channels, Provenance], Training] = {}

    @property
    def complete(self) -> bool:
        """Whether every case is prepared (a dry run prepares none)."""
        return self._prepared.complete

    def columns(self, cohorts: Sequence[str]) -> Columns:
        """Columns of the cohorts; those without a training source of their modality are absent."""
        found = find_columns(self.sources, self._protocol, cohorts)
        ready, absent = [], list(found.absent)
        for column in found.ready:
            channel, provenance = (column.modality,), column.pool.provenance
            trainings = [self.training(role, channel, provenance) for role in self._protocol.train.sources]
            lacking = next((part for part in trainings if not part.train), None)
            if lacking is None:
                ready.append(column)
            else:
                absent.append(_lost(column, lacking.problem, lacking.broken))
        return Columns(tuple(ready), tuple(absent))

    def training(self, role: StageData, channels: Channels, tested: Provenance) -> Training:
        """Training data of a role, as they are on disk."""
        key = (role, channels, tested)
        if key not in self._trainings:
            self._trainings[key] = training(self.sources, self._protocol, role, channels, tested)
        return self._trainings[key]

    def usable_training(self, role: StageData, channels: Channels, tested: Provenance) -> Training:
        """Training data of a role, or the fault of a case that cannot be prepared with these channels."""
        return self._usable(self.training(role, channels, tested), channels)

    def usable_target(self, column: Column) -> Training:
        """The tested cohort's own training split, or what is wrong with it."""
        return self._usable(self.target(column), (column.modality,))

    def target(self, column: Column) -> Training:
        """The tested cohort's own training split, as it is on disk."""
        return target_training(column, (column.modality,), self._protocol.train.lesion_free_mm)

    def learnable(self, info: MethodInfo, tested: Provenance) -> Channels:
        """Modalities of the protocol's sources that a method does and that have training data."""
        roles = [stage.data for stage in info.stages if stage.data in self._protocol.train.sources]
        names = [name for role in roles for name in self._protocol.train.sources[role]]
        known = dict.fromkeys(modality for name in names for modality in self.sources.card(name).modalities)
        return tuple(
            modality
            for modality in known
            if (not info.modalities or modality in info.modalities)
            and all(self.training(role, (modality,), tested).train for role in roles)
        )

    def reference(self, column: Column) -> Reference:
        """Lesion validation, healthy validation and healthy controls of a column."""
        select, modality, provenance = self._protocol.select, column.modality, column.pool.provenance
        lesion, _ = members(self.sources, select.lesion, provenance, "validation", modality, healthy=False)
        controls, _ = members(self.sources, select.healthy, provenance, "test", modality, healthy=True)
        healthy, _ = members(self.sources, select.healthy, provenance, "validation", modality, healthy=True)
        if not healthy and self._protocol.train.fallback == "in-silico":
            healthy, _ = members(self.sources, select.healthy, "in-silico", "validation", modality, healthy=True)
        return lesion, healthy, controls

    def balanced(self, column: Column) -> tuple[Member, ...]:
        """Outlined lesion validation cases of the balanced selection, at most the preset's number a cohort."""
        names = self._protocol.select.balanced if self._balanced_cases != 0 else ()
        provenance = column.pool.provenance
        found: list[Member] = []
        for name in names:
            mine, _ = members(self.sources, (name,), provenance, "validation", column.modality, healthy=False)
            found += [member for member in mine if member.case.mask is not None][: self._balanced_cases]
        return tuple(found)

    def reference_notes(self, column: Column) -> tuple[str, ...]:
        """Cohorts that should select thresholds and could not."""
        select, provenance = self._protocol.select, column.pool.provenance
        return members(self.sources, select.lesion, provenance, "validation", column.modality, healthy=False)[1]

    def prepare(self, columns: Columns, workers: int, progress: Progress) -> tuple[Columns, list[NoColumn]]:
        """Prepare every case of the columns; those with a faulty test or validation case, or with a
        test patient who also trains, are split off."""
        for column in columns.ready:
            channel = (column.modality,)
            wanted = [column.cases, *self.reference(column), self.balanced(column)]
            for role in self._protocol.train.sources:
                wanted += _cases(self.training(role, channel, column.pool.provenance))
            if self._protocol.train.adapt:
                wanted += _cases(self.target(column))
            for part in wanted:
                self._prepared.want(part, channel)
        self._prepared.run(workers, progress)
        ready, broken = [], []
        for column in columns.ready:
            parts = (column.cases, *self.reference(column), self.balanced(column))
            reason = next(filter(None, (self._prepared.fault(part, (column.modality,)) for part in parts)), "")
            reason = reason or self._leak(column)
            if reason:
                broken.append(_lost(column, reason, broken=True))
            else:
                ready.append(column)
        return Columns(tuple(ready), columns.absent), broken

    def _leak(self, column: Column) -> str:
        """Tested patients among those whom any stage learns from."""
        channel = (column.modality,)
        found = {role: self.training(role, channel, column.pool.provenance) for role in self._protocol.train.sources}
        return leak(
            column.cases,
            {role: [*part.train, *part.validation] for role, part in found.items()},
            self._protocol.train.distinct_patients,
            lambda member: self._prepared.digests(member, channel),
        )

    def prepare_training(
        self, groups: Iterable[tuple[MethodInfo, Sequence[Group]]], workers: int, progress: Progress
    ) -> None:
        """Prepare what artefacts of several modalities train on."""
        for info, parts in groups:
            for group in parts:
                for role in self._protocol.train.sources:
                    for channels in channels_of(info, group):
                        for cases in _cases(self.training(role, channels, group.provenance)):
                            self._prepared.want(cases, channels)
        self._prepared.run(workers, progress)

    def refs(self, cases: Sequence[Member], channels: Channels) -> tuple[CaseRef, ...]:
        """Prepared cases as workers need them."""
        return self._prepared.refs(cases, channels)

    def _usable(self, found: Training, channels: Channels) -> Training:
        reason = next(filter(None, (self._prepared.fault(part, channels) for part in _cases(found))), "")
        if reason:
            return Training(problem=f"training data: {reason}", broken=True)
        train, validation = (
            tuple(member for member in part if self._prepared.holds_brain(member, channels)) for part in _cases(found)
        )
        if found.train and not train:
            return Training(problem=f"{found.source}: no slice is far enough from every lesion")
        return replace(found, train=train, validation=validation)


def kind_of(card: Card) -> str:
    """The kind of lesion of a cohort, as its card calls it for its twin; the cohort's name where there is no twin."""
    return card.name if card.simulate is None else card.simulate.lesion


def channels_of(info: MethodInfo, group: Group) -> list[Channels]:
    """Channels of the volumes that a group's stages see: joint training sees the modalities of a case one at a time."""
    return [(name,) for name in group.modalities] if info.training == "joint" else [group.modalities]


def _cases(found: Training) -> list[tuple[Member, ...]]:
    return [found.train, found.validation]


def _lost(column: Column, reason: str, broken: bool) -> NoColumn:
    return NoColumn(column.cohort, column.modality, column.healthy, reason, broken)
