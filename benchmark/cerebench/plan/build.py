"""Builds the plan of a run: jobs, skipped cells, and the intended matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cerebench.contract.info import Stage
from cerebench.contract.method import Method, MethodSettings
from cerebench.plan.cells import Skipped, StageCell
from cerebench.plan.columns import Column, NoColumn, Training
from cerebench.plan.groups import Group, group_columns, unserved
from cerebench.plan.layout import CellLayout
from cerebench.plan.material import Material, channels_of
from cerebench.plan.model import Plan, Selected
from cerebench.plan.prepared import PreparedCases, Progress
from cerebench.plan.sources import Sources
from cerebench.prepare.spec import PrepareSpec
from cerebench.protocol import Protocol


class PlanBuilder:
    """Builds one plan.

    Args:
        protocol, preset_name: what to run.
        sources: cohorts.
        prepared: preparation of cases.
        spec: target grid.
        cards: folders of local cards, for the workers' registry.
        provenance: stored with every cell.
    """

    def __init__(
        self,
        protocol: Protocol,
        preset_name: str,
        sources: Sources,
        prepared: PreparedCases,
        spec: PrepareSpec,
        cards: Sequence[Path],
        provenance: Mapping[str, Any],
    ) -> None:
        name, preset = protocol.preset(preset_name)
        self._material = Material(protocol, sources, prepared, preset.balanced_cases)
        self._layout = CellLayout(protocol, name, self._material, spec, cards, provenance)
        self._plan = Plan(protocol, name, preset, spec)

    def build(
        self, methods: Sequence[Selected], cohorts: Sequence[str], seeds: int, workers: int, progress: Progress
    ) -> Plan:
        """Find columns, prepare their cases, and lay out every cell."""
        columns, broken = self._material.prepare(self._material.columns(cohorts), workers, progress)
        groups = [(selected, self._groups(selected, columns.ready)) for selected in methods]
        several = [(item.cls.info, parts) for item, parts in groups if item.cls.info.training != "per-modality"]
        self._material.prepare_training(several, workers, progress)
        for selected, parts in groups:
            absent = [*columns.absent, *broken, *unserved(selected.cls.info, columns, parts)]
            for seed in range(seeds):
                for item in absent:
                    self._skip(selected, item, seed)
                for group in parts:
                    self._add_jobs(selected, group, seed)
        self._plan.notes = list(dict.fromkeys(note for column in columns.ready for note in column.notes))
        self._plan.complete = self._material.complete
        return self._plan

    def _groups(self, selected: Selected, columns: Sequence[Column]) -> list[Group]:
        limit = self._plan.preset.iterative_columns
        first = self._plan.protocol.select.lesion
        return group_columns(selected.cls.info, columns, limit, self._material.learnable, first)

    def _skip(self, selected: Selected, item: NoColumn, seed: int) -> None:
        identity = self._layout.identity(selected, item.cohort, item.modality, seed, None, "")
        self._plan.skipped.append(Skipped(identity, item.healthy, item.reason, item.failed))

    def _lack(self, selected: Selected, column: Column, seed: int, found: Training) -> None:
        """Record that a column's training data are missing or faulty."""
        provenance = column.pool.provenance
        identity = self._layout.identity(selected, column.cohort, column.modality, seed, provenance, "")
        self._plan.skipped.append(Skipped(identity, column.healthy, found.problem, found.broken))

    def _add_jobs(self, selected: Selected, group: Group, seed: int) -> None:
        settings = selected.cls.settings_for(self._plan.preset_name, selected.overrides)
        base = [stage for stage in selected.cls.info.stages if stage.data != "target"]
        chain, source, problem = self._chain(selected.cls, settings, base, group, seed)
        if problem:
            for column in group.columns:
                self._lack(selected, column, seed, problem)
            return
        self._plan.jobs.append(self._layout.job(selected, settings, group, seed, chain, source))
        target = [stage for stage in selected.cls.info.stages if stage.data == "target"]
        if self._plan.protocol.train.adapt and target:
            for column in group.columns:
                part = Group(group.modalities, (column,))
                self._add_adapted(selected, settings, part, target, chain, source, seed)

    def _add_adapted(
        self,
        selected: Selected,
        settings: MethodSettings,
        group: Group,
        stages: Sequence[Stage],
        chain: Sequence[StageCell],
        source: str,
        seed: int,
    ) -> None:
        """The same method fine-tuned on the one column of ``group``, as a row of its own."""
        (column,) = group.columns
        tuned = replace(selected, variant=",".join(filter(None, [selected.variant, "adapted"])))
        found = self._material.usable_target(column)
        if found.problem:
            self._lack(tuned, column, seed, found)
            return
        cells = list(chain)
        for stage in stages:
            parts = [(found, (column.modality,))]
            cells.append(self._layout.stage(selected.cls, settings, stage, cells, parts, group.modalities, seed))
        words = "; ".join(filter(None, [source, found.source]))
        self._plan.jobs.append(self._layout.job(tuned, settings, group, seed, cells, words))

    def _chain(
        self, cls: type[Method], settings: MethodSettings, stages: Sequence[Stage], group: Group, seed: int
    ) -> tuple[list[StageCell], str, Training | None]:
        """Training stages in order, words for the training source, and what lacks or is broken, if anything."""
        cells: list[StageCell] = []
        sources: list[str] = []
        for stage in stages:
            if stage.data == "labelled" and cls.info.supervision != "labels":
                undeclared = (
                    f"stage {stage.name!r} of {cls.info.name} learns from labels, which its info does not declare"
                )
                return [], "", Training(problem=undeclared, broken=True)
            parts = [
                (self._material.usable_training(stage.data, channels, group.provenance), channels)
                for channels in channels_of(cls.info, group)
            ]
            problem = next((part for part, _ in parts if part.problem or not part.train), None)
            if problem:
                return [], "", problem
            cells.append(self._layout.stage(cls, settings, stage, cells, parts, group.modalities, seed))
            sources += [part.source for part, _ in parts]
        words = "; ".join(dict.fromkeys(sources)) or "none (nothing is learnt)"
        if cells and cls.info.training != "per-modality":
            words += f", {'+'.join(group.modalities)} {'jointly' if cls.info.training == 'joint' else 'as channels'}"
        return cells, words, None
