"""Rows of finished evaluations, each in the file at once."""

import csv
from pathlib import Path

from cerebench.api import Reporter, ReporterSettings

COLUMNS = ("time", "method", "cohort", "modality", "seed", "status", "seconds", "metric", "value", "reason")


class CsvReporter(Reporter):
    """Begins the file anew with every run."""

    class Settings(ReporterSettings):
        """``path``: the file, empty for ``cells.csv`` in the results folder; ``metric``: of voxels, to be written."""

        path: str = ""
        metric: str = "ap"

    def run_started(self, event):
        """The header."""
        self.path = Path(self.settings.path or Path(event.results) / "cells.csv")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._write(COLUMNS, "w")

    def cell_finished(self, event):
        """A row; training stages and validation predictions get none."""
        if event.cell.kind != "evaluate":
            return
        wanted = ("voxel", "raw", self.settings.metric)
        value = next((item.value for item in event.metrics if (item.level, item.post, item.metric) == wanted), "")
        cell = event.cell
        row = (event.time, cell.method, cell.cohort, cell.modality, cell.seed, event.status, round(event.seconds, 3))
        self._write((*row, self.settings.metric, value, event.reason), "a")

    def _write(self, row, mode):
        with self.path.open(mode, newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerow(row)
