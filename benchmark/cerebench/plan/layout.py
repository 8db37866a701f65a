"""Cells of a plan: their keys, their folders, and what a worker has to know of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cerebench.contract.data import Provenance
from cerebench.contract.info import Stage
from cerebench.contract.method import Method, MethodSettings
from cerebench.jsonio import digest
from cerebench.plan import keys
from cerebench.plan.cells import EvaluationCell, Identity, Job, Options, ReferenceCell, StageCell
from cerebench.plan.columns import Column, Training
from cerebench.plan.groups import Group
from cerebench.plan.material import Channels, Material, kind_of
from cerebench.plan.model import Selected
from cerebench.prepare.spec import PrepareSpec
from cerebench.protocol import Protocol

Part = tuple[Training, Channels]
"""Training data with the channels they are delivered in."""


class CellLayout:
    """Lays out the cells of one protocol at one preset.

    Args:
        protocol, preset_name: what fixes sizes and limits.
        material: data.
        spec: target grid.
        cards: folders of local cards, for the workers' registry.
        provenance: stored with every cell.
    """

    def __init__(
        self,
        protocol: Protocol,
        preset_name: str,
        material: Material,
        spec: PrepareSpec,
        cards: Sequence[Path],
        provenance: Mapping[str, Any],
    ) -> None:
        self._protocol = protocol
        self._preset_name, self._preset = protocol.preset(preset_name)
        self._material = material
        self._cards = tuple(str(path) for path in cards)
        self._provenance = {**provenance, "preparation": spec.digest()}
        self._spec = spec
        self._options = Options(
            task=protocol.task,
            post=protocol.post,
            precision=self._preset.precision,
            slice_batch=self._preset.slice_batch,
            lesion_crop_mm=self._preset.lesion_crop_mm,
            resamples=self._preset.bootstrap.resamples,
            level=self._preset.bootstrap.level,
            slice_labels=protocol.slice_labels,
            percentiles=protocol.percentiles,
        )

    def stage(
        self,
        cls: type[Method],
        settings: MethodSettings,
        stage: Stage,
        before: Sequence[StageCell],
        parts: Sequence[Part],
        modalities: tuple[str, ...],
        seed: int,
    ) -> StageCell:
        """One training stage; ``before`` are the stages of its chain that come first."""
        train = tuple(ref for part, channels in parts for ref in self._material.refs(part.train, channels))
        validation = tuple(ref for part, channels in parts for ref in self._material.refs(part.validation, channels))
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
            unlabelled=stage.data == "unlabelled",
        )

    def job(
        self,
        selected: Selected,
        settings: MethodSettings,
        group: Group,
        seed: int,
        chain: Sequence[StageCell],
        source: str,
    ) -> Job:
        """All cells of one artefact; ``chain`` are its training stages, ``source`` the words for their data."""
        artefact = chain[-1].path if chain else None
        source = "; ".join(filter(None, (source, selected.cls.remark(settings))))
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
            id=f"{name} {'+'.join(group.modalities)} {cohorts} seed{seed} ({self._protocol.name})",
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
            local=selected.local,
        )

    def identity(
        self, selected: Selected, cohort: str, modality: str, seed: int, provenance: Provenance | None, source: str
    ) -> Identity:
        """What a row is about; without data the provenance is the one that was to be expected."""
        return Identity(
            protocol=self._protocol.name,
            protocol_version=self._protocol.version,
            preset=self._preset_name,
            method=selected.cls.info.name,
            variant=selected.variant,
            cohort=cohort,
            modality=modality,
            seed=seed,
            provenance=provenance or self._material.sources.expected,
            training_source=source,
        )

    def _reference(self, cls: type[Method], own: str, artefact: str | None, column: Column, seed: int) -> ReferenceCell:
        parts = self._material.reference(column)
        lesion, healthy, controls = (self._material.refs(part, (column.modality,)) for part in parts)
        covariates = "covariates" in cls.info.inputs
        mixed = len({member.pool.provenance for part in parts for member in part}) > 1
        chosen = self._material.balanced(column)
        balanced = self._material.refs(chosen, (column.modality,))
        kinds = {member.pool.listing.card.name: kind_of(member.pool.listing.card) for member in chosen}
        # without a balanced selection the key is what it was before there was one
        also = {"balanced": keys.scored_fingerprint(balanced, covariates), "kinds": kinds} if balanced else {}
        key = digest(
            {
                **also,
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
        timeout = self._preset.timeout_s
        return ReferenceCell(path, artefact, lesion, healthy, controls, mixed, timeout, balanced, kinds)

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
        cases = self._material.refs(column.cases, (column.modality,))
        identity = self.identity(selected, column.cohort, column.modality, seed, column.pool.provenance, source)
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
        notes = self._material.reference_notes(column)
        if reference.mixed:
            notes = (*notes, "thresholds of healthy false-positive rates come from in-silico healthy validation scans")
        return EvaluationCell(
            path,
            identity,
            column.healthy,
            artefact,
            reference.path,
            cases,
            (*column.notes, *notes),
            self._preset.timeout_s,
        )

    def _grid(self, cls: type[Method]) -> dict[str, Any]:
        """What the method's units look like."""
        grid = {"shape": list(self._spec.shape), "spacing": self._spec.spacing_mm}
        return {**grid, "crop": self._options.lesion_crop_mm} if cls.info.unit == "lesion" else grid
