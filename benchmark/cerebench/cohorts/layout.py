"""How the files of one release of a cohort are named and read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, field_validator, model_validator

from cerebench.cohorts import pattern as language
from cerebench.cohorts.part import Modality, Name, Part, Pattern, Template
from cerebench.cohorts.table import Table
from cerebench.contract.data import LabelState, ReadPolicy, SliceStack
from cerebench.errors import UsageError

MASK, BRAIN_MASK = "mask", "brain_mask"

State = Literal["anomaly", "normal", "ignore", "cavity"]
Cavity = Literal["anomaly", "normal", "ignore"]


class Slices(Part):
    """Geometry of images that are folders of 2D slices, which carry none.

    Attributes:
        spacing_mm: distance of columns, rows and slices.
        axes: anatomical directions in which column, row and slice number grow, such as ``LPS``.
    """

    spacing_mm: tuple[PositiveFloat, PositiveFloat, PositiveFloat]
    axes: Annotated[str, Field(pattern=r"^[RLAPSI]{3}$")]

    @model_validator(mode="after")
    def _three_axes(self) -> Slices:
        if len({"RL", "AP", "SI"} - {pair for pair in ("RL", "AP", "SI") if set(pair) & set(self.axes)}):
            raise ValueError(f"axes {self.axes!r} must name one of R/L, one of A/P and one of S/I")
        return self


def _binary() -> dict[int, State]:
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
        labels: value in the mask → ``anomaly``, ``normal``, ``ignore`` or ``cavity`` (a resection cavity, on which the
            protocol decides); 0 is normal unless listed; others are errors.
        numbered_lesions: whether a mask value is the number of a lesion followed by one digit for its part; ``labels``
            then speak of that digit.
        skull_stripped: whether non-zero voxels are the brain where no brain mask is given.
        resample_mask: whether a mask on another grid is resampled (nearest neighbour) instead of refused.
        erosion_mm: erosion of the brain mask for scoring, in mm.
        test_only: whether the layout may only be tested on, never trained on.
        repeats: which file is taken where a case has several of one kind, in sorted order; ``refuse``: none, a fault.
        slices: geometry of images whose pattern ends in ``/*.png``.
        table: a table that lists the cases or says more about them.
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
    labels: dict[int, State] = Field(default_factory=_binary)
    numbered_lesions: bool = False
    skull_stripped: bool = False
    resample_mask: bool = False
    erosion_mm: float = Field(default=0.0, ge=0.0, le=20.0)
    test_only: bool = False
    repeats: Literal["refuse", "first", "last"] = "refuse"
    slices: Slices | None = None
    table: Table | None = None

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
        stacks = [pattern for pattern in patterns.values() if pattern.endswith(language.SLICES)]
        if bool(stacks) != (self.slices is not None):
            raise ValueError(f"layout {self.name!r}: patterns that end in /*.png and `slices` need each other")
        if not language.field_names(self.patient):
            raise ValueError(f"layout {self.name!r}: patient needs a {{field}}, or all cases are one patient")
        self._check_fields(set(self.key) if not self.listed else set(self.table.columns) if self.table else set())
        return self

    def _check_fields(self, of_a_case: set[str]) -> None:
        """Every placeholder has a source: the fields that all files of a case share, or the columns of its row."""
        patterns, columns = self.patterns(), set(self.table.columns) if self.table is not None else set()
        known = {field for pattern in patterns.values() for field in language.field_names(pattern)} | columns
        uses = [
            ("patient", self.patient, of_a_case),
            ("case", self.case or "", of_a_case),
            ("centre", self.centre or "", of_a_case),
            ("fields", " ".join(f"{{{name}}}" for name in self.fields), known),
            ("table.columns", " ".join(f"{{{name}}}" for name in columns), known if self.listed else of_a_case),
        ]
        if self.listed:
            uses += [(f"the pattern of {kind}", pattern, of_a_case) for kind, pattern in patterns.items()]
        for kind, pattern in patterns.items():
            if not self.listed and (lacking := set(self.key) - set(language.field_names(pattern))):
                raise ValueError(f"layout {self.name!r}: the pattern of {kind} lacks {{{min(lacking)}}} of the case")
        for what, template, allowed in uses:
            if lacking := set(language.field_names(template)) - allowed:
                raise ValueError(f"layout {self.name!r}: {what} names {{{min(lacking)}}}, which no case has")
        if self.table is not None and self.table.lesion is not None and not self.numbered_lesions:
            raise ValueError(f"layout {self.name!r}: table.lesion needs numbered_lesions")

    @property
    def listed(self) -> bool:
        """Whether a table lists the cases."""
        return self.table is not None and self.table.lists_cases

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
            # a column may hold a whole path, which is checked below
            expression = self.fields.get(name, ".+" if self.listed else language.DEFAULT_FIELD)
            if not re.fullmatch(expression, fields[name]):
                raise UsageError(
                    f"layout {self.name!r}: field {name!r} is {fields[name]!r}, which does not fit {expression!r}"
                )
        try:
            path = language.check_pattern(language.render(pattern, fields))
            return PurePosixPath(path.removesuffix(language.SLICES))
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

    def states(self, cavity: Cavity = "ignore") -> dict[int, LabelState]:
        """Value in the mask → state, with a resection cavity taken as ``cavity``."""
        return {value: cavity if state == "cavity" else state for value, state in self.labels.items()}

    def read_policy(self) -> ReadPolicy:
        """What the preparation needs to know about the files."""
        return ReadPolicy(
            labels=self.states(),
            skull_stripped=self.skull_stripped,
            resample_mask=self.resample_mask,
            erosion_mm=self.erosion_mm,
            numbered_lesions=self.numbered_lesions,
            slices=SliceStack(self.slices.spacing_mm, self.slices.axes) if self.slices is not None else None,
        )
