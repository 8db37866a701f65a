"""A small card and small trees of empty files: the reader opens none of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cerebench.cohorts.card import Card, load_card

BASE: dict[str, Any] = {
    "schema": 1,
    "name": "toy",
    "title": "Toy",
    "summary": "A cohort for tests.",
    "citation": "none",
    "licence": "CC0",
    "access": "Make it up.",
    "healthy": False,
    "modalities": ["t1", "flair"],
    "layouts": [
        {
            "name": "nested",
            "images": {"t1": "{site}/{patient}-{visit}/T1.nii.gz", "flair": "{site}/{patient}-{visit}/FLAIR.nii.gz"},
            "mask": "{site}/{patient}-{visit}/lesion.nii.gz",
            "fields": {"patient": r"P\d+", "visit": r"\d+"},
            "patient": "{site}-{patient}",
            "centre": "{site}",
            "labels": {1: "anomaly", 2: "ignore"},
            "skull_stripped": True,
        }
    ],
}


@pytest.fixture
def base() -> dict[str, Any]:
    return copy.deepcopy(BASE)


@pytest.fixture
def write_card(tmp_path: Path) -> Callable[[Any], Path]:
    def write(content: Any) -> Path:
        path = tmp_path / "card.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
        return path

    return write


@pytest.fixture
def make_card(write_card: Callable[[Any], Path]) -> Callable[[Any], Card]:
    return lambda content: load_card(write_card(content))


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    def make(paths: Iterable[str], name: str = "toy") -> Path:
        root = tmp_path / "data" / name
        root.mkdir(parents=True, exist_ok=True)
        for path in paths:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).touch()
        return root

    return make


@pytest.fixture
def case_files() -> Callable[..., list[str]]:
    def files(site: str = "A", patient: str = "P1", visit: str = "1", without: str = "") -> list[str]:
        names = ("T1.nii.gz", "FLAIR.nii.gz", "lesion.nii.gz")
        return [f"{site}/{patient}-{visit}/{name}" for name in names if name != without]

    return files
