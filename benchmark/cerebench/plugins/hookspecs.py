"""The hooks of a plugin. Each receives a ``register`` callback; none is called before something of the plugin is used.

A plugin implements a hook with :data:`hookimpl`; names, targets and files have to agree with the static manifest
``cerebench.yaml`` beside the plugin's package.
"""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import Any

import pluggy

PROJECT = "cerebench"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

Target = str | type[Any]
"""``"module:Class"`` (preferred: the module is imported when the object is needed) or the class itself."""

RegisterTarget = Callable[[str, Target], None]
RegisterFile = Callable[[str | PathLike[str]], None]


@hookspec
def bench_register_methods(register: RegisterTarget) -> None:
    """Register methods: call ``register(name, target)`` once a method; the target is a ``cerebench.api.Method``."""


@hookspec
def bench_register_cohorts(register: RegisterFile) -> None:
    """Register cohorts: call ``register(path)`` with the path of each card (YAML)."""


@hookspec
def bench_register_protocols(register: RegisterFile) -> None:
    """Register protocols: call ``register(path)`` with the path of each protocol (YAML)."""


@hookspec
def bench_register_metrics(register: RegisterTarget) -> None:
    """Register metrics: call ``register(name, target)`` once a metric."""


@hookspec
def bench_register_simulators(register: RegisterTarget) -> None:
    """Register generators of in-silico cohorts: call ``register(name, target)``; cards name them in ``simulate``."""


@hookspec
def bench_register_reporters(register: RegisterTarget) -> None:
    """Register reporters: call ``register(name, target)`` once each; the target is a ``cerebench.api.Reporter``."""
