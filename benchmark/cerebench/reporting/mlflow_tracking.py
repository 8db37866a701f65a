"""The reporter ``mlflow``: a parent run for each benchmark run, and below it a run for each evaluation cell."""

from __future__ import annotations

import math
import os
import re
from typing import TYPE_CHECKING, Any, ClassVar

from cerebench.reporting.events import CellFinished, CellName, RunFinished, RunStarted
from cerebench.reporting.reporter import Reporter, ReporterSettings

if TYPE_CHECKING:
    from mlflow import MlflowClient

_FOREIGN = re.compile(r"[^\w\-. /]")
"""What MLflow refuses in names of metrics."""


class Mlflow(Reporter):
    """Logs to MLflow through a client of its own, so that the active run of the surrounding program is left alone."""

    requires: ClassVar[dict[str, str]] = {
        "mlflow": "cerebench[mlflow]",
        "sqlalchemy": "cerebench[mlflow]",
        "alembic": "cerebench[mlflow]",
    }

    class Settings(ReporterSettings):
        """Where to log.

        Attributes:
            tracking_uri: of the tracking server or database; empty for ``MLFLOW_TRACKING_URI``, or where that is not
                set for the database ``mlflow.db`` in the results folder.
            experiment: name of the experiment; made if it is missing.
        """

        tracking_uri: str = ""
        experiment: str = "cerebench"

    _client: MlflowClient | None = None
    _experiment = _parent = ""

    def run_started(self, event: RunStarted) -> None:
        """Open the parent run."""
        from mlflow import MlflowClient

        database = f"sqlite:///{event.results}/mlflow.db"
        client = MlflowClient(self.settings.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or database)
        known = client.get_experiment_by_name(self.settings.experiment)
        self._experiment = known.experiment_id if known else client.create_experiment(self.settings.experiment)
        tags = {"cerebench.run": event.run, "cerebench.version": str(event.provenance.get("cerebench", ""))}
        parent = client.create_run(self._experiment, tags=tags, run_name=f"bench run {event.run}")
        self._client, self._parent = client, parent.info.run_id
        self._params(
            self._parent,
            {
                "results": event.results,
                "protocols": ", ".join(f"{table.protocol}@{table.protocol_version}" for table in event.tables),
                "presets": ", ".join(table.preset for table in event.tables),
                "cells": sum(table.cells for table in event.tables),
            },
        )

    def cell_finished(self, event: CellFinished) -> None:
        """Log an evaluation cell as a run of its own: what it is as parameters, what came of it as metrics."""
        if self._client is None or event.cell.kind != "evaluate":
            return
        cell = event.cell
        tags = {"mlflow.parentRunId": self._parent, "cerebench.run": event.run, "cerebench.path": cell.path}
        tags |= {"provenance": cell.provenance, "status": event.status, "reason": event.reason[:5000]}
        run = self._client.create_run(self._experiment, tags=tags, run_name=_title(cell)).info.run_id
        names = ("protocol", "protocol_version", "preset", "method", "variant", "cohort", "modality", "seed")
        self._params(run, {name: getattr(cell, name) for name in names})
        values: dict[str, float | None] = {"seconds": event.seconds}
        for item in event.metrics:
            name = "/".join(part for part in (item.level, item.post, item.metric) if part)
            values |= {name: item.value, f"{name}.low": item.low, f"{name}.high": item.high}
        self._metrics(run, values)
        self._client.set_terminated(run, "FINISHED" if event.status == "ok" else "FAILED")

    def run_finished(self, event: RunFinished) -> None:
        """Close the parent run."""
        if self._client is None:
            return
        self._metrics(self._parent, {f"cells/{status}": float(count) for status, count in event.counts.items()})
        self._metrics(self._parent, {"seconds": event.seconds, "evaluated": float(event.evaluated)})
        ends = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
        self._client.set_terminated(self._parent, ends[event.status])

    def _params(self, run: str, values: dict[str, Any]) -> None:
        from mlflow.entities import Param

        assert self._client is not None
        self._client.log_batch(run, params=[Param(name, str(value)) for name, value in values.items()])

    def _metrics(self, run: str, values: dict[str, float | None]) -> None:
        from time import time

        from mlflow.entities import Metric

        assert self._client is not None
        when = int(time() * 1000)
        found = [
            Metric(_FOREIGN.sub("_", name), value, when, 0)
            for name, value in values.items()
            if value is not None and math.isfinite(value)
        ]
        self._client.log_batch(run, metrics=found)


def _title(cell: CellName) -> str:
    method = f"{cell.method}[{cell.variant}]" if cell.variant else cell.method
    return f"{method} on {cell.cohort} {cell.modality}, seed {cell.seed}"
