"""The toy world of the runs, for what reporters are told of them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location(
    "toy_world_of_reporters", Path(__file__).parent.parent / "run" / "conftest.py"
)
assert _spec is not None
assert _spec.loader is not None
toys = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = toys  # dataclasses look their module up
_spec.loader.exec_module(toys)

cache = toys.cache


@pytest.fixture
def world(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Four healthy subjects and four patients."""
    toys.install(tmp_path / "site", monkeypatch)
    monkeypatch.setenv("CEREBENCH_CACHE", str(cache))
    monkeypatch.delenv("CEREBENCH_DATA", raising=False)
    found = toys.World(tmp_path / "data", tmp_path / "cards", tmp_path / "results")
    found.cards.mkdir()
    for name, lesion, card in (("toy-healthy", False, toys.HEALTHY_CARD), ("toy-lesion", True, toys.LESION_CARD)):
        (found.data / name).mkdir(parents=True)
        (found.cards / f"{name}.yaml").write_text(card)
        for index in range(4):
            toys.write_subject(found.data / name, f"p{index:02d}", index + 100 * lesion, lesion)
    return found
