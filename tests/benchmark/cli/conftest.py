"""Calls ``bench`` in this process and gives back its exit code and output."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from cerebench.cli.main import main


@dataclass(frozen=True)
class Done:
    """One finished call."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def only_built_in_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither installed plugins nor settings of this machine reach a test."""
    monkeypatch.setenv("CEREBENCH_PLUGINS", "")
    for name in ("CEREBENCH_BLOCK_PLUGINS", "CEREBENCH_STRICT_PLUGINS", "CEREBENCH_DATA", "CEREBENCH_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERMINAL_WIDTH", "200")


@pytest.fixture
def bench(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    def call(*words: str) -> Done:
        with pytest.raises(SystemExit) as ended:
            main(words)
        captured = capsys.readouterr()
        return Done(int(ended.value.code or 0), captured.out, captured.err)

    return call
