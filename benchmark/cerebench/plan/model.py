"""The plan of a run as data: methods as they were asked for, jobs, skipped cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cerebench.contract.method import Method
from cerebench.plan.cells import Job, Skipped
from cerebench.prepare.spec import PrepareSpec
from cerebench.protocol import Preset, Protocol


@dataclass(frozen=True)
class Selected:
    """One method as the user asked for it.

    Attributes:
        cls: its class.
        overrides: settings on top of the preset.
        variant: the overrides as text, and ``local`` for a method from a local file; empty for the plain method.
        local: ``file:class#digest`` of a method from a local file; empty for one of a plugin.
    """

    cls: type[Method]
    overrides: Mapping[str, Any]
    variant: str
    local: str = ""


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
