"""Hooks of the built-in methods. Targets are strings: a method's module is imported when the method is used."""

from __future__ import annotations

from collections.abc import Callable

from cerebench.api import hookimpl

METHODS = {
    "autoencoder": "cerebench_methods.baselines.autoencoder:Autoencoder",
    "intensity-threshold": "cerebench_methods.baselines.intensity_threshold:IntensityThreshold",
    "mirror-difference": "cerebench_methods.baselines.mirror_difference:MirrorDifference",
    "symmetry-inverse": "cerebench_methods.symmetry_inverse.method:SymmetryInverse",
}


@hookimpl
def bench_register_methods(register: Callable[[str, str], None]) -> None:
    """Register every built-in method."""
    for name, target in METHODS.items():
        register(name, target)
