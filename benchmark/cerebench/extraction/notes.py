"""What is told of a case while it is worked on: steps with their time, and warnings."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Notes:
    """Grows as a case goes through its steps.

    Attributes:
        steps: one mapping a step: ``step``, ``seconds`` and figures of its own.
        warnings: one sentence each.
    """

    steps: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @contextmanager
    def step(self, name: str, **figures: Any) -> Iterator[dict[str, Any]]:
        """Time a step; what is put into the mapping that is given is recorded with it."""
        entry: dict[str, Any] = {"step": name, **figures}
        start = time.perf_counter()
        yield entry
        entry["seconds"] = round(time.perf_counter() - start, 2)
        self.steps.append(entry)
