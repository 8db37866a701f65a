"""How the files of one release of a cohort are named and read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from cerebench.cohorts import pattern as language
from cerebench.contract.data import LabelState, ReadPolicy
from cerebench.errors import UsageError

MASK, BRAIN_MASK = "mask", "brain_mask"

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
Modality = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*$")]
Text = Annotated[str, Field(min_length=1)]
Pattern = Annotated[str, AfterValidator(language.check_pattern)]
Template = Annotated[str, Field(min_length=1), AfterValidator(language.check_template)]


class Part(BaseModel):
    """Base of the parts of a card: unknown fields are refused, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _binary() -> dict[int, LabelState]:
    return {1: "anomaly"}


class Layout(Part):
    """How the files of one release of a cohort are named and read.

    Attributes:
        name: unique within the card.
        images: modality → pattern relative to the cohort's folder.
        mask: pattern of the lesion mask; ``None`` where the cohort has none. A case without its file is a fault.
        brain_mask: pattern of the brain mask (non-zero = brain), or ``None``.
        mask_modality: modality on whose grid the mask was drawn; ``None``: the grid of every image.
        fields: placeholder → regular expression without capturing groups (default ``[^/]+?``).
        patient: template of the patient identifier, from fields of the case; splits group by it.
        case: template of the case identifier; default: all fields that every pattern has, joined by hyphens.
        centre: template of scanner or hospital; may be plain text; ``None`` where unknown.
        labels: value in the mask → ``anomaly``, ``normal`` or ``ignore``; 0 is normal unless listed; others are errors.
        skull_stripped: whether non-zero voxels are the brain where no brain mask is given.
        resample_mask: whether a mask on another grid is resampled (nearest neighbour) instead of refused.
        erosion_mm: erosion of the brain mask for scoring, in mm.
        test_only: whether the layout may only be tested on, never trained on.
    """

    name: Name
    images: dict[Modality, Pattern] = Field(min_length=1)
    mask: Pattern | None = None
    brain_mask: Pattern | None = None
    mask_modality: Modality | None = None
    fields: dict[str, str] = Field(default_factory=dict)
    patient: Template
    case: Template | None = None
    centre: Template | None = None
    labels: dict[int, LabelState] = Field(default_factory=_binary)
    skull_stripped: bool = False
    resample_mask: bool = False
    erosion_mm: float = Field(default=0.0, ge=0.0, le=20.0)
    test_only: bool = False

    @field_validator("fields")
    @classmethod
    def _expressions(cls, fields: dict[str, str]) -> dict[str, str]:
        for name, expression in fields.items():
            language.check_field(name, expression)
        return fields

    @model_validator(mode="after")
    def _consistent(self) -> Layout:
        patterns = self.patterns()
        if len(patterns) != len(self.images) + (self.mask is not None) + (self.brain_mask is not None):
            raise ValueError(f"layout {self.name!r}: no modality may be called 'mask'")
        if len(set(patterns.values())) != len(patterns):
            raise ValueError(f"layout {self.name!r}: two kinds of file have the same pattern")
        if self.mask_modality is not None and self.mask_modality not in self.images:
            raise ValueError(f"layout {self.name!r}: mask_modality {self.mask_modality!r} is not among its images")
        if not self.key:
            raise ValueError(f"layout {self.name!r}: its patterns share no {{field}} that tells cases apart")
        known = {field for pattern in patterns.values() for field in language.field_names(pattern)}
        for kind, pattern in patterns.items():
            if lacking := set(self.key) - set(language.field_names(pattern)):
                raise ValueError(f"layout {self.name!r}: the pattern of {kind} lacks {{{min(lacking)}}} of the case")
        for what, template, allowed in (
            ("patient", self.patient, set(self.key)),
            ("centre", self.centre or "", set(self.key)),
            ("fields", " ".join(f"{{{name}}}" for name in self.fields), known),
        ):
            if lacking := set(language.field_names(template)) - allowed:
                raise ValueError(f"layout {self.name!r}: {what} names {{{min(lacking)}}}, which no case has")
        if not language.field_names(self.patient):
            raise ValueError(f"layout {self.name!r}: patient needs a {{field}}, or all cases are one patient")
        return self

    def patterns(self) -> dict[str, str]:
        """Kind (a modality, ``mask`` or ``brain_mask``) → pattern."""
        extra = {MASK: self.mask, BRAIN_MASK: self.brain_mask}
        return {**self.images, **{kind: pattern for kind, pattern in extra.items() if pattern is not None}}

    @property
    def key(self) -> tuple[str, ...]:
        """The fields that tell one case from another, in order."""
        if self.case is not None:
            return language.field_names(self.case)
        first, *others = (language.field_names(pattern) for pattern in self.patterns().values())
        return tuple(field for field in first if all(field in other for other in others))

    def case_id(self, fields: Mapping[str, str]) -> str:
        """Identifier of the case with these fields; safe as a file name."""
        template = self.case or "-".join(f"{{{field}}}" for field in self.key)
        return language.render(template, fields).replace("/", "_")

    def path(self, kind: str, **fields: str) -> PurePosixPath:
        """Relative path of one file.

        Raises:
            UsageError: the layout has no such kind, a field is missing or breaks its expression, or the path would
                leave the cohort's folder.
        """
        pattern = self.patterns().get(kind)
        if pattern is None:
            raise UsageError(f"layout {self.name!r} has no file {kind!r}; it has: {', '.join(self.patterns())}")
        for name in language.field_names(pattern):
            if name not in fields:
                raise UsageError(f"layout {self.name!r}: the path of {kind!r} needs a value for field {name!r}")
            expression = self.fields.get(name, language.DEFAULT_FIELD)
            if not re.fullmatch(expression, fields[name]):
                raise UsageError(
                    f"layout {self.name!r}: field {name!r} is {fields[name]!r}, which does not fit {expression!r}"
                )
        try:
            return PurePosixPath(language.check_pattern(language.render(pattern, fields)))
        except ValueError as error:
            raise UsageError(f"layout {self.name!r}: the path of {kind!r} is not inside its folder: {error}") from None

    def match(self, relative: str | PurePosixPath) -> tuple[str, dict[str, str]] | None:
        """Kind and fields of a relative path, or ``None`` where no pattern fits."""
        text = str(relative)
        for kind, pattern in self.patterns().items():
            fields = language.match(pattern, self.fields, text)
            if fields is not None:
                return kind, fields
        return None

    def read_policy(self) -> ReadPolicy:
        """What the preparation needs to know about the files."""
        return ReadPolicy(
            labels=dict(self.labels),
            skull_stripped=self.skull_stripped,
            resample_mask=self.resample_mask,
            erosion_mm=self.erosion_mm,
        )
