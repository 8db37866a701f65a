"""What the parts of a card have in common: strictness and the types of their texts."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from cerebench.cohorts import pattern as language

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
Modality = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*$")]
Text = Annotated[str, Field(min_length=1)]
Pattern = Annotated[str, AfterValidator(language.check_pattern)]
Template = Annotated[str, Field(min_length=1), AfterValidator(language.check_template)]


class Part(BaseModel):
    """Base of the parts of a card: unknown fields are refused, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
