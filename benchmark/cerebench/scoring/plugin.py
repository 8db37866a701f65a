"""The built-in metrics and reporters as a plugin, in agreement with ``cerebench.yaml`` beside the package."""

from __future__ import annotations

from collections.abc import Callable

from cerebench.api import hookimpl
from cerebench.scoring.metrics import METRICS


@hookimpl
def bench_register_metrics(register: Callable[[str, str], None]) -> None:
    """Register every metric by its fixed name."""
    for name in METRICS:
        register(name, f"cerebench.scoring.metrics:{name.upper()}")


@hookimpl
def bench_register_reporters(register: Callable[[str, str], None]) -> None:
    """Register the reporters; each is imported when a run names it."""
    register("jsonl", "cerebench.reporting.jsonl:JsonLines")
    register("mlflow", "cerebench.reporting.mlflow_tracking:Mlflow")
