"""Hooks of the built-in cohorts, protocols and simulators."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cerebench.api import hookimpl

_HERE = Path(__file__).parent


@hookimpl
def bench_register_cohorts(register: Callable[[Path], None]) -> None:
    for card in sorted((_HERE / "cards").glob("*.yaml")):
        register(card)


@hookimpl
def bench_register_protocols(register: Callable[[Path], None]) -> None:
    for protocol in sorted((_HERE / "protocols").glob("*.yaml")):
        register(protocol)


@hookimpl
def bench_register_simulators(register: Callable[[str, str], None]) -> None:
    register("phantom", "cerebench_datasets.insilico.write:simulate")
