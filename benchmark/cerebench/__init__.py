"""cerebench: a plugin-based benchmark for brain MRI.

``run`` evaluates, ``leaderboard`` and ``results`` read; importing the package brings nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cerebench.boards import leaderboard, results
    from cerebench.runner import run

__version__ = "0.1.0"
__all__ = ["__version__", "leaderboard", "results", "run"]

_HOMES = {"run": "cerebench.runner", "leaderboard": "cerebench.boards", "results": "cerebench.boards"}
# The modules have other names than the functions: importing a submodule sets the package's attribute of its name.


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cerebench' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
