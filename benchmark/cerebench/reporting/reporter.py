"""The base class of reporters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from cerebench.errors import UsageError
from cerebench.reporting.events import CaseScored, CellFinished, CellStarted, RunFinished, RunStarted
from cerebench.text import did_you_mean


class ReporterSettings(BaseModel):
    """Base of every reporter's settings: unknown names and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Reporter:
    """Is told what happens in a run; a reporter overrides the hooks that it needs.

    The harness makes one object for each run and calls its hooks in a thread of their own, in order, one at a time, in
    the process that started the run. A hook that raises is the last one called in this run; the run goes on. So does
    it, without waiting, while a hook takes its time.
    """

    class Settings(ReporterSettings):
        """No settings."""

    requires: ClassVar[Mapping[str, str]] = {}
    """Packages that the reporter imports and a plain installation lacks: import name → what pip installs."""

    def __init__(self, settings: ReporterSettings | None = None) -> None:
        self.settings: Any = self.Settings() if settings is None else settings

    @classmethod
    def settings_for(cls, name: str, values: Mapping[str, Any]) -> ReporterSettings:
        """Settings from ``name[key=value]`` on the command line.

        Raises:
            UsageError: a key names no setting, or its value is not valid.
        """
        try:
            return cls.Settings(**values)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            if first["type"] == "extra_forbidden":
                hint = did_you_mean(field, cls.Settings.model_fields)
                raise UsageError(f"reporter {name!r} has no setting {field!r}: {hint}") from None
            found = f"(found {first.get('input')!r})"
            raise UsageError(f"setting {field!r} of reporter {name!r}: {first['msg']} {found}") from None

    def run_started(self, event: RunStarted) -> None:
        """The plan is made, no cell has begun."""

    def cell_started(self, event: CellStarted) -> None:
        """A worker begins a cell."""

    def case_scored(self, event: CaseScored) -> None:
        """A case of an evaluation cell is scored."""

    def cell_finished(self, event: CellFinished) -> None:
        """A cell is in the results folder."""

    def run_finished(self, event: RunFinished) -> None:
        """Nothing more will happen: close what is open."""
