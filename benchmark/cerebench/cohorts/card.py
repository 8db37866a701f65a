"""The card of a cohort: one YAML file that says what the cohort is and how its files are named and read."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr, field_validator, model_validator

from cerebench.cohorts import pattern as language
from cerebench.cohorts.document import load_model
from cerebench.cohorts.layout import BRAIN_MASK, MASK, Layout
from cerebench.cohorts.part import Modality, Name, Part, Text
from cerebench.contract.info import Task
from cerebench.errors import UsageError

__all__ = ["BRAIN_MASK", "MASK", "Card", "Layout", "Simulate", "Slot", "load_card"]

_FORMAT = re.compile(r"\{(?:index|patient)(?::0?\d{1,2}d)?\}|\{centre\}|\{visit\}")


@dataclass(frozen=True)
class Slot:
    """One examination of a twin.

    Attributes:
        index: of the examination.
        patient, visit: numbers from 0.
        centre: its centre, ``None`` where the card names none.
        affected: whether the patient has the disease.
    """

    index: int
    patient: int
    visit: int
    centre: str | None
    affected: bool


class Simulate(Part):
    """How the in-silico twin of a cohort is made.

    Attributes:
        generator: name of a registered simulator.
        layout: name of the layout that is written.
        lesion: kind of lesion, as the generator calls it; ``none`` for healthy cohorts.
        modalities: modalities written.
        centres: centres taken in turn by patients.
        revisit_every: every so many patients one is examined twice; 0 for never.
        visits: texts for ``{visit}`` at the first and the second examination.
        affected_every: every so many patients of a centre one has the disease, the others are controls; 1 for all.
        fields: field → text with ``{index}``, ``{patient}`` (also ``{index:03d}`` and the like), ``{visit}`` and
            ``{centre}``.
        parameters: whatever the generator understands.
    """

    generator: Name
    layout: Name
    lesion: Text = "none"
    modalities: tuple[Modality, ...] = Field(min_length=1)
    centres: tuple[Text, ...] = ()
    revisit_every: int = Field(default=0, ge=0)
    visits: tuple[Text, Text] = ("000", "001")
    affected_every: int = Field(default=1, ge=1)
    fields: dict[str, str]
    parameters: dict[str, Any] = Field(default_factory=dict)

    @field_validator("fields")
    @classmethod
    def _formats(cls, fields: dict[str, str]) -> dict[str, str]:
        for name, template in fields.items():
            rest = _FORMAT.sub("", template)
            if "{" in rest or "}" in rest:
                raise ValueError(
                    f"field {name!r} may only use {{index}}, {{index:03d}}, {{patient}}, {{patient:03d}}, {{visit}} or "
                    f"{{centre}}, found {template!r}"
                )
        return fields

    def slot(self, index: int) -> Slot:
        """Who examination number ``index`` is: the same whatever the number of cases."""
        patient, visit = index, 0
        if self.revisit_every:
            block, place = divmod(index, self.revisit_every + 1)
            patient, visit = block * self.revisit_every + max(place - 1, 0), int(place == 1)
        centres = len(self.centres) or 1
        return Slot(
            index=index,
            patient=patient,
            visit=visit,
            centre=self.centres[patient % centres] if self.centres else None,
            # by rounds of centres, so that disease and centre are not confounded
            affected=patient // centres % self.affected_every == 0,
        )

    def field_values(self, index: int) -> dict[str, str]:
        """Values of the layout's fields for case number ``index``; pass them to :meth:`Layout.path`."""
        slot = self.slot(index)
        values = {
            "index": slot.index,
            "patient": slot.patient,
            "visit": self.visits[slot.visit],
            "centre": slot.centre or "",
        }
        return {name: template.format(**values) for name, template in self.fields.items()}


class Card(Part):
    """One cohort.

    Attributes:
        schema_version: 1 (``schema`` in the file).
        name: public name, lower case with hyphens.
        title, summary, citation, licence, access, url: what a reader must know; ``access`` says how to get the data.
        healthy: True where every subject is free of pathology.
        tasks: what its reference serves: ``anomaly``, ``lesion-classification``; empty for unlabelled cohorts, which
            can only be learnt from.
        modalities: short names (t1, t1c, t2, flair, dwi, adc, pd).
        optional_modalities: those that a case may lack without a fault.
        folders: names of the cohort's folder under a data root (any letter case); default: ``name``.
        expected_cases, expected_patients: of the full public release, or ``None``.
        traps: what goes wrong with this cohort, one sentence each.
        layouts: releases, the most usual first.
        exclude: identifiers of cases that must not be used.
        simulate: how the in-silico twin is made, or ``None``.
    """

    schema_version: Literal[1] = Field(alias="schema")
    name: Name
    title: Text
    summary: Text
    citation: Text
    licence: Text
    access: Text
    url: str | None = None
    healthy: bool
    tasks: tuple[Task, ...] = ("anomaly",)
    modalities: tuple[Modality, ...] = Field(min_length=1)
    optional_modalities: tuple[Modality, ...] = ()
    folders: tuple[Text, ...] = ()
    expected_cases: int | None = Field(default=None, ge=1)
    expected_patients: int | None = Field(default=None, ge=1)
    traps: tuple[Text, ...] = ()
    layouts: tuple[Layout, ...] = Field(min_length=1)
    exclude: tuple[Text, ...] = ()
    simulate: Simulate | None = None

    _source: Path | None = PrivateAttr(default=None)

    @field_validator("folders")
    @classmethod
    def _plain_names(cls, folders: tuple[str, ...]) -> tuple[str, ...]:
        for folder in folders:
            if "/" in folder or "\\" in folder or folder in (".", ".."):
                raise ValueError(f"{folder!r} must be the plain name of a folder")
        return folders

    @model_validator(mode="after")
    def _consistent(self) -> Card:
        names = [layout.name for layout in self.layouts]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two layouts are called {min(repeated)!r}")
        if lacking := set(self.optional_modalities) - set(self.modalities):
            raise ValueError(f"optional modality {min(lacking)!r} is not among the modalities")
        for layout in self.layouts:
            if lacking := set(layout.images) - set(self.modalities):
                raise ValueError(f"layout {layout.name!r} has modality {min(lacking)!r}, which the card does not list")
            self._check_reference(layout)
        if self.simulate is not None:
            self._check_simulation(self.simulate, names)
        return self

    def _check_reference(self, layout: Layout) -> None:
        table = layout.table
        if self.healthy and layout.mask is not None:
            raise ValueError(f"layout {layout.name!r} has a lesion mask, but the cohort is healthy")
        if self.healthy and table is not None and table.healthy is not None:
            raise ValueError(f"layout {layout.name!r}: table.healthy is given, but the whole cohort is healthy")
        known = layout.mask is not None or self.healthy or (table is not None and table.healthy is not None)
        if "anomaly" in self.tasks and not known:
            raise ValueError(
                f"layout {layout.name!r} has neither mask nor table.healthy, which the task 'anomaly' needs; "
                "an unlabelled cohort has tasks: []"
            )
        if "lesion-classification" in self.tasks and (layout.mask is None or table is None or table.label is None):
            raise ValueError(f"layout {layout.name!r}: the task 'lesion-classification' needs a mask and a table.label")

    def _check_simulation(self, simulate: Simulate, names: list[str]) -> None:
        if simulate.layout not in names:
            raise ValueError(f"simulate.layout {simulate.layout!r} is no layout; there are: {', '.join(names)}")
        layout = self.layout(simulate.layout)
        if lacking := set(simulate.modalities) - set(layout.images):
            raise ValueError(f"simulate writes {min(lacking)!r}, which layout {layout.name!r} does not have")
        if (simulate.lesion == "none") != self.healthy:
            raise ValueError(f"simulate.lesion is {simulate.lesion!r} but healthy is {str(self.healthy).lower()}")
        needed = {field for pattern in layout.patterns().values() for field in language.field_names(pattern)}
        needed |= set(layout.table.columns) if layout.table is not None else set()
        if needed != set(simulate.fields):
            raise ValueError(f"simulate.fields must give exactly: {', '.join(sorted(needed))}")
        try:
            layout.path(simulate.modalities[0], **simulate.field_values(0))
        except UsageError as error:
            raise ValueError(f"simulate.fields: {error}") from None

    @property
    def source(self) -> Path | None:
        """The file the card came from."""
        return self._source

    def folder_names(self) -> tuple[str, ...]:
        """Names under which the cohort's folder is looked for."""
        return self.folders or (self.name,)

    def layout(self, name: str) -> Layout:
        """The layout of that name.

        Raises:
            UsageError: there is none.
        """
        for layout in self.layouts:
            if layout.name == name:
                return layout
        known = ", ".join(layout.name for layout in self.layouts)
        raise UsageError(f"cohort {self.name!r} has no layout {name!r}; it has: {known}")

    def digest(self) -> str:
        """SHA-256 of the card's content, independent of comments and formatting."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def load_card(path: Path) -> Card:
    """Read one card.

    Raises:
        UsageError: file, line and field, what was found and what is expected.
    """
    card = load_model(Path(path), Card)
    card._source = Path(path)
    return card
