"""Plugins that happen to be installed on a machine never reach a test: only the built-in ones do."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def built_in_plugins_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders that bring plugins of their own allow them by name."""
    monkeypatch.setenv("CEREBENCH_PLUGINS", "")
