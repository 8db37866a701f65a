"""Hooks of the toy plugin."""

from __future__ import annotations

from collections.abc import Callable

from cerebench.api import hookimpl

METHODS = {
    "toy-adapted": "cerebench_toys.toy_methods:ToyAdapted",
    "toy-feature-decoder": "cerebench_toys.toy_methods:ToyFeatureDecoder",
    "toy-feature-distance": "cerebench_toys.toy_methods:ToyFeatureDistance",
    "toy-lesion-classifier": "cerebench_toys.toy_methods:ToyLesionClassifier",
}


@hookimpl
def bench_register_methods(register: Callable[[str, str], None]) -> None:
    """Register every toy."""
    for name, target in METHODS.items():
        register(name, target)
