"""Hooks of the test world."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cerebench.api import hookimpl

CLASSES = {
    "toy-good": "Good",
    "toy-raises": "Raises",
    "toy-raises-late": "RaisesLate",
    "toy-hangs": "Hangs",
    "toy-shape": "Shape",
    "toy-nan": "Nan",
    "toy-device": "Elsewhere",
    "toy-crashes": "Crashes",
    "toy-greedy": "Greedy",
}


@hookimpl
def bench_register_methods(register: Callable[[str, str], None]) -> None:
    """Register the good one and the bad ones."""
    for name, attribute in CLASSES.items():
        register(name, f"cerebench_toy_world.hostile:{attribute}")


@hookimpl
def bench_register_protocols(register: Callable[[Path], None]) -> None:
    """Register the small protocol."""
    register(Path(__file__).parent / "protocols" / "toy-transfer.yaml")
