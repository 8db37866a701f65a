"""Hooks of the troublesome plugin."""

from __future__ import annotations

from collections.abc import Callable

from cerebench.api import hookimpl

NAMES = ("column", "prints", "exits", "thread", "child", "sleeps")


@hookimpl
def bench_register_methods(register: Callable[[str, str], None]) -> None:
    """Register all of them."""
    for name in NAMES:
        register(f"trouble-{name}", f"cerebench_toy_trouble.methods:{name.capitalize()}")
