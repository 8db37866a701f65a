"""The reporter ``jsonl``: one line of JSON for each event."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

from cerebench.reporting.events import CaseScored, CellFinished, CellStarted, RunEvent, RunFinished, RunStarted
from cerebench.reporting.reporter import Reporter, ReporterSettings


class JsonLines(Reporter):
    """Appends every event to a file, so that the lines of several runs follow each other; ``run`` tells them apart."""

    class Settings(ReporterSettings):
        """Where to write.

        Attributes:
            path: the file; empty for ``events.jsonl`` in the results folder. Missing folders are made.
        """

        path: str = ""

    _stream: IO[str] | None = None

    def run_started(self, event: RunStarted) -> None:
        """Open the file."""
        path = Path(self.settings.path).expanduser() if self.settings.path else Path(event.results) / "events.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = path.open("a", encoding="utf-8")
        self._write(event)

    def cell_started(self, event: CellStarted) -> None:
        """A line."""
        self._write(event)

    def case_scored(self, event: CaseScored) -> None:
        """A line."""
        self._write(event)

    def cell_finished(self, event: CellFinished) -> None:
        """A line."""
        self._write(event)

    def run_finished(self, event: RunFinished) -> None:
        """The last line; the file is closed."""
        self._write(event)
        if self._stream is not None:
            self._stream.close()

    def _write(self, event: RunEvent) -> None:
        if self._stream is not None:
            self._stream.write(json.dumps(event.to_json(), allow_nan=False) + "\n")
            self._stream.flush()  # whoever follows the file sees the event now
