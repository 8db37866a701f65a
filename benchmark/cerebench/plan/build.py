"""Builds the plan of a run: jobs, skipped cells, and the intended matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cerebench.contract.data import Provenance
from cerebench.contract.info import Stage
from cerebench.contract.method import Method, MethodSettings
from cerebench.errors import UsageError
from cerebench.jsonio import digest
from cerebench.plan import keys
from cerebench.plan.cells import (
    EvaluationCell,
    Identity,
    Job,
    Options,
    ReferenceCell,
    Skipped,
    StageCell,
)
from cerebench.plan.columns import Column, Columns, NoColumn, Training, find_columns, members, target_training, training
from cerebench.plan.prepared import PreparedCases, Progress
from cerebench.plan.sources import Sources
from cerebench.prepare.spec import PrepareSpec
from cerebench.protocol import Preset, Protocol


@dataclass(frozen=True)
class Selected:
    """One method as the user asked for it.

    Attributes:
        cls: its class.
        overrides: settings on top of the preset.
        variant: the overrides as text; empty for the plain method.
    """

    cls: type[Method]
    overrides: Mapping[str, Any]
    variant: str


@dataclass
class Plan:
    """Everything a run intends to do.

    Attributes:
        protocol, preset_name, preset: what fixes it.
        spec: grid and intensity scale.
        jobs: cells by trained artefact.
        skipped: cells that will not run, with reasons.
        notes: fallbacks to be told once.
        complete: False where a dry run could not know every key.
        shard: (number, of) or ``None``.
    """

    protocol: Protocol
    preset_name: str
    preset: Preset
    spec: PrepareSpec
    jobs: list[Job] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    complete: bool = True

    def shard(self, number: int, of: int) -> list[Job]:
        """The jobs of one shard: dealt out in turn, the same on every machine."""
        return sorted(self.jobs, key=lambda job: job.id)[number - 1 :: of]


_Part = tuple[Training, tuple[str, ...]]
"""Training data with the channels they are delivered in."""


@dataclass(frozen=True)
class _Group:
    """Columns that one artefact serves."""

    modalities: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def provenance(self) -> Provenance:
        return self.columns[0].pool.provenance


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
        self._protocol = protocol
        self._preset_name, self._preset = protocol.preset(preset_name)
        self._sources = sources
        self._prepared = prepared
        self._cards = tuple(str(path) for path in cards)
        self._provenance = {**provenance, "preparation": spec.digest()}
        self._spec = spec
        self._trainings: dict[tuple[str, tuple[str, ...], Provenance], Training] = {}
        self._options = Options(
            task=protocol.task,
            post=protocol.post,
            precision=self._preset.precision,
            slice_batch=self._preset.slice_batch,
            lesion_crop_mm=self._preset.lesion_crop_mm,
            resamples=self._preset.bootstrap.resamples,
            level=self._preset.bootstrap.level,
        )
        self._plan = Plan(protocol, self._preset_name, self._preset, spec)

    def build(
        self, methods: Sequence[Selected], cohorts: Sequence[str], seeds: int, workers: int, progress: Progress
    ) -> Plan:
        """Find columns, prepare their cases, and lay out every cell."""
        columns = self._trainable(find_columns(self._sources, self._protocol, cohorts))
        wanted = [(selected, self._groups(selected, columns)) for selected in methods]
        self._want(columns.ready, wanted)
        self._prepared.run(workers, progress)
        columns, broken = self._without_faults(columns)
        # a lost column changes the channels that paired methods train on
        self._want_paired([(selected, self._groups(selected, columns)) for selected in methods])
        self._prepared.run(workers, progress)
        for selected in methods:
            for seed in range(seeds):
                groups = self._groups(selected, columns)
                self._skip(selected, [*columns.absent, *broken, *_unfit(selected, columns, groups)], seed)
                for group in groups:
                    self._add_jobs(selected, group, seed)
        self._plan.notes = list(dict.fromkeys(note for column in columns.ready for note in column.notes))
        self._plan.complete = self._prepared.complete
        return self._plan

    # --- columns ----------------------------------------------------------------------------------------------------

    def _trainable(self, columns: Columns) -> Columns:
        """Move columns without a training source of their modality to the absent ones."""
        ready, absent = [], list(columns.absent)
        for column in columns.ready:
            problem = next(filter(None, (self._problem(role, column) for role in self._protocol.train.sources)), None)
            if problem is None:
                ready.append(column)
            else:
                absent.append(NoColumn(column.cohort, column.modality, problem.problem, problem.broken))
        return Columns(tuple(ready), tuple(absent))

    def _problem(self, role: str, column: Column) -> Training | None:
        found = self._training(role, (column.modality,), column.pool.provenance)
        return None if found.train else found

    def _training(self, role: Any, modalities: tuple[str, ...], tested: Provenance) -> Training:
        key = (role, modalities, tested)
        if key not in self._trainings:
            self._trainings[key] = training(self._sources, self._protocol, role, modalities, tested)
        return self._trainings[key]

    def _without_faults(self, columns: Columns) -> tuple[Columns, list[NoColumn]]:
        """Split off columns with a case, of their own or of training or validation, that cannot be prepared."""
        ready, broken = [], []
        for column in columns.ready:
            channel = (column.modality,)
            reason = self._prepared.fault(column.cases, channel)
            for role in self._protocol.train.sources:
                found = self._training(role, channel, column.pool.provenance)
                reason = reason or self._prepared.fault([*found.train, *found.validation], channel)
            for part in self._reference_members(column):
                reason = reason or self._prepared.fault(part, channel)
            if reason:
                broken.append(NoColumn(column.cohort, column.modality, reason, failed=True))
            else:
                ready.append(column)
        return Columns(tuple(ready), columns.absent), broken

    def _reference_members(self, column: Column) -> tuple[Any, Any, Any]:
        """Lesion validation, healthy validation and healthy controls for a column."""
        select, modality = self._protocol.select, column.modality
        provenance: Provenance = column.pool.provenance
        lesion, _ = members(self._sources, select.lesion, provenance, "validation", modality)
        controls, _ = members(self._sources, select.healthy, provenance, "test", modality)
        healthy, _ = members(self._sources, select.healthy, provenance, "validation", modality)
        if not healthy and self._protocol.train.fallback == "in-silico":
            healthy, _ = members(self._sources, select.healthy, "in-silico", "validation", modality)
        return lesion, healthy, controls

    def _want(self, columns: Sequence[Column], groups: Sequence[tuple[Selected, list[_Group]]]) -> None:
        for column in columns:
            channel = (column.modality,)
            self._prepared.want(column.cases, channel)
            for part in self._reference_members(column):
                self._prepared.want(part, channel)
            for role in self._protocol.train.sources:
                found = self._training(role, channel, column.pool.provenance)
                self._prepared.want([*found.train, *found.validation], channel)
            if self._protocol.train.adapt:
                found = target_training(column, channel)
                self._prepared.want([*found.train, *found.validation], channel)
        self._want_paired(groups)

    def _want_paired(self, groups: Sequence[tuple[Selected, list[_Group]]]) -> None:
        for selected, parts in groups:
            if selected.cls.info.training == "paired":
                for group in parts:
                    for role in self._protocol.train.sources:
                        found = self._training(role, group.modalities, group.provenance)
                        self._prepared.want([*found.train, *found.validation], group.modalities)

    def _groups(self, selected: Selected, columns: Columns) -> list[_Group]:
        """Columns of a method by the artefact that serves them."""
        info = selected.cls.info
        mine = [column for column in columns.ready if not info.modalities or column.modality in info.modalities]
        limit = self._preset.iterative_columns
        if info.cost == "iterative" and limit is not None:
            mine = mine[:limit]
        groups = []
        for provenance in dict.fromkeys(column.pool.provenance for column in mine):
            part = [column for column in mine if column.pool.provenance == provenance]
            modalities = tuple(dict.fromkeys(column.modality for column in part))
            if info.training == "per-modality":
                groups += [_Group((name,), tuple(c for c in part if c.modality == name)) for name in modalities]
            else:
                groups.append(_Group(tuple(sorted(modalities)), tuple(part)))
        return groups

    def _skip(self, selected: Selected, absent: Sequence[NoColumn], seed: int) -> None:
        for item in absent:
            identity = self._identity(selected, item.cohort, item.modality, seed, None, "")
            self._plan.skipped.append(Skipped(identity, item.reason, item.failed))

    # --- jobs -------------------------------------------------------------------------------------------------------

    def _add_jobs(self, selected: Selected, group: _Group, seed: int) -> None:
        settings = selected.cls.settings_for(self._preset_name, selected.overrides)
        base = [stage for stage in selected.cls.info.stages if stage.data != "target"]
        chain, source, problem = self._chain(selected.cls, settings, base, group, seed)
        if problem:
            for column in group.columns:
                identity = self._identity(selected, column.cohort, column.modality, seed, column.pool.provenance, "")
                self._plan.skipped.append(Skipped(identity, problem.problem, problem.broken))
            return
        self._plan.jobs.append(self._job(selected, settings, group, seed, chain, source))
        target = [stage for stage in selected.cls.info.stages if stage.data == "target"]
        if self._protocol.train.adapt and target:
            for column in group.columns:
                self._add_adapted(selected, settings, column, target, chain, source, group.modalities, seed)

    def _add_adapted(
        self,
        selected: Selected,
        settings: MethodSettings,
        column: Column,
        stages: Sequence[Stage],
        chain: Sequence[StageCell],
        source: str,
        modalities: tuple[str, ...],
        seed: int,
    ) -> None:
        tuned = replace(selected, variant=",".join(filter(None, [selected.variant, "adapted"])))
        found = self._checked(target_training(column, (column.modality,)), (column.modality,))
        if found.problem:
            identity = self._identity(tuned, column.cohort, column.modality, seed, column.pool.provenance, "")
            self._plan.skipped.append(Skipped(identity, found.problem, found.broken))
            return
        cells = list(chain)
        for stage in stages:
            cells.append(
                self._stage(selected.cls, settings, stage, cells, [(found, (column.modality,))], modalities, seed)
            )
        source = "; ".join(filter(None, [source, found.source]))
        group = _Group(modalities, (column,))
        self._plan.jobs.append(self._job(tuned, settings, group, seed, cells, source))

    def _chain(
        self, cls: type[Method], settings: MethodSettings, stages: Sequence[Stage], group: _Group, seed: int
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
            parts = self._parts(cls, stage, group)
            problem = next((part for part, _ in parts if part.problem or not part.train), None)
            if problem:
                return [], "", problem
            cells.append(self._stage(cls, settings, stage, cells, parts, group.modalities, seed))
            sources += [part.source for part, _ in parts]
        words = "; ".join(dict.fromkeys(sources)) or "none (nothing is learnt)"
        if cells and cls.info.training != "per-modality":
            # the modalities follow from the selected columns: rows that differ in them have to show it
            words += f", {'+'.join(group.modalities)} {'jointly' if cls.info.training == 'joint' else 'as channels'}"
        return cells, words, None

    def _parts(self, cls: type[Method], stage: Stage, group: _Group) -> list[_Part]:
        """Training data with their channels: joint training sees every modality of a case on its own."""
        wanted = [(name,) for name in group.modalities] if cls.info.training == "joint" else [group.modalities]
        return [
            (self._checked(self._training(stage.data, channels, group.provenance), channels), channels)
            for channels in wanted
        ]

    def _checked(self, found: Training, channels: tuple[str, ...]) -> Training:
        """The training data, or the fault of a case that cannot be prepared with these channels."""
        reason = self._prepared.fault([*found.train, *found.validation], channels)
        return Training(problem=f"training data: {reason}", broken=True) if reason else found

    def _stage(
        self,
        cls: type[Method],
        settings: MethodSettings,
        stage: Stage,
        before: Sequence[StageCell],
        parts: Sequence[_Part],
        modalities: tuple[str, ...],
        seed: int,
    ) -> StageCell:
        train = tuple(ref for part, channels in parts for ref in self._prepared.refs(part.train, channels))
        validation = tuple(ref for part, channels in parts for ref in self._prepared.refs(part.validation, channels))
        parent = before[-1].path if before else None
        own_seed = seed if stage.seeded else 0
        key = keys.stage_key(
            cls,
            settings,
            stage,
            parent=parent,
            modalities=modalities,
            grid=self._grid(cls),
            train=train,
            validation=validation,
            seed=own_seed,
            precision=self._options.precision,
        )
        return StageCell(
            name=stage.name,
            path=f"artefacts/{stage.name}/{stage.shared_as or cls.info.name}-{keys.short(key)}",
            parent=parent,
            seed=own_seed,
            keeps=stage.keeps,
            with_labels=stage.data == "labelled",
            train=train,
            validation=validation,
            source="; ".join(dict.fromkeys(part.source for part, _ in parts)),
            timeout_s=self._preset.train_timeout_s,
        )

    def _grid(self, cls: type[Method]) -> dict[str, Any]:
        """What the method's units look like."""
        grid = {"shape": list(self._spec.shape), "spacing": self._spec.spacing_mm}
        return {**grid, "crop": self._options.lesion_crop_mm} if cls.info.unit == "lesion" else grid

    def _job(
        self,
        selected: Selected,
        settings: MethodSettings,
        group: _Group,
        seed: int,
        chain: Sequence[StageCell],
        source: str,
    ) -> Job:
        artefact = chain[-1].path if chain else None
        own = keys.method_key(selected.cls, settings)
        references: dict[str, ReferenceCell] = {}
        evaluations: list[EvaluationCell] = []
        for column in group.columns:
            reference = self._reference(selected.cls, own, artefact, column, seed)
            references[reference.path] = reference
            evaluations.append(self._evaluation(selected, own, artefact, reference, column, seed, source))
        name = selected.cls.info.name + (f"[{selected.variant}]" if selected.variant else "")
        spacing = self._spec.spacing_mm
        cohorts = "+".join(dict.fromkeys(column.cohort for column in group.columns))
        return Job(
            id=f"{name} {'+'.join(group.modalities)} {cohorts} seed{seed}",
            method=selected.cls.info.name,
            overrides=dict(selected.overrides),
            preset=self._preset_name,
            modalities=group.modalities,
            shape=self._spec.shape,
            spacing=(spacing, spacing, spacing),
            cards=self._cards,
            seed=seed,
            options=self._options,
            provenance={**self._provenance, "method_key": own, "training_source": source},
            stages=tuple(chain),
            references=tuple(references.values()),
            evaluations=tuple(evaluations),
        )

    def _reference(self, cls: type[Method], own: str, artefact: str | None, column: Column, seed: int) -> ReferenceCell:
        parts = self._reference_members(column)
        lesion, healthy, controls = (self._prepared.refs(part, (column.modality,)) for part in parts)
        covariates = "covariates" in cls.info.inputs
        mixed = len({member.pool.provenance for part in parts for member in part}) > 1
        key = digest(
            {
                "method": own,
                "artefact": artefact,
                "seed": seed,
                "lesion": keys.scored_fingerprint(lesion, covariates),
                "healthy": keys.scored_fingerprint(healthy, covariates),
                "controls": keys.scored_fingerprint(controls, covariates),
                "mixed": mixed,
                "options": keys.options_key(self._options),
            }
        )
        path = f"artefacts/reference/{cls.info.name}-{column.modality}-{keys.short(key)}"
        return ReferenceCell(path, artefact, lesion, healthy, controls, mixed, self._preset.timeout_s)

    def _evaluation(
        self,
        selected: Selected,
        own: str,
        artefact: str | None,
        reference: ReferenceCell,
        column: Column,
        seed: int,
        source: str,
    ) -> EvaluationCell:
        cases = self._prepared.refs(column.cases, (column.modality,))
        identity = self._identity(selected, column.cohort, column.modality, seed, column.pool.provenance, source)
        key = digest(
            {
                "identity": [identity.protocol, identity.protocol_version, identity.preset, identity.variant],
                "method": own,
                "artefact": artefact,
                "reference": reference.path,
                "cases": keys.scored_fingerprint(cases, "covariates" in selected.cls.info.inputs),
                "options": keys.options_key(self._options),
                "seed": seed,
            }
        )
        folder = f"runs/{self._protocol.name}@{self._protocol.version}/{selected.cls.info.name}"
        path = f"{folder}/{column.cohort}-{column.modality}/seed{seed}-{keys.short(key)}"
        _, notes = members(
            self._sources, self._protocol.select.lesion, column.pool.provenance, "validation", column.modality
        )
        if reference.mixed:
            notes = (*notes, "thresholds of healthy false-positive rates come from in-silico healthy validation scans")
        return EvaluationCell(
            path, identity, artefact, reference.path, cases, (*column.notes, *notes), self._preset.timeout_s
        )

    def _identity(
        self, selected: Selected, cohort: str, modality: str, seed: int, provenance: Provenance | None, source: str
    ) -> Identity:
        return Identity(
            protocol=self._protocol.name,
            protocol_version=self._protocol.version,
            preset=self._preset_name,
            method=selected.cls.info.name,
            variant=selected.variant,
            cohort=cohort,
            modality=modality,
            seed=seed,
            provenance=provenance or self._sources.expected,
            training_source=source,
        )


def _unfit(selected: Selected, columns: Columns, groups: Sequence[_Group]) -> list[NoColumn]:
    """Columns that the method is not meant for, or is too costly for at this preset."""
    info = selected.cls.info
    served = {(column.cohort, column.modality) for group in groups for column in group.columns}
    left = []
    for column in columns.ready:
        if info.modalities and column.modality not in info.modalities:
            reason = f"{info.name} is not meant for {column.modality} (it does {', '.join(sorted(info.modalities))})"
        else:
            reason = "skipped: cost (iterative methods run on fewer columns at this preset)"
        if (column.cohort, column.modality) not in served:
            left.append(NoColumn(column.cohort, column.modality, reason))
    return left


def check_task(selected: Sequence[Selected], protocol: Protocol, exact: Sequence[str]) -> list[Selected]:
    """Methods whose task is the protocol's; one that was named exactly must be.

    Raises:
        UsageError: a method that was asked for by name does another task.
    """
    fitting = []
    for item in selected:
        info = item.cls.info
        if info.task == protocol.task:
            fitting.append(item)
        elif info.name in exact:
            raise UsageError(
                f"method {info.name!r} does {info.task}, protocol {protocol.name!r} asks for {protocol.task}; "
                "choose another protocol or method"
            )
    return fitting
