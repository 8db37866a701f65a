"""docs/cohorts/ is what docs/make_cohorts.py writes today."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "cohorts"


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("make_cohorts", ROOT / "docs" / "make_cohorts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pages()


def test_pages_are_current(pages: dict[str, str]) -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    assert set(written) == set(pages), "run: python docs/make_cohorts.py"
    stale = [name for name, text in pages.items() if written[name] != text]
    assert stale == [], "run: python docs/make_cohorts.py"


def test_the_index_leads_to_every_page_and_every_page_to_its_card(pages: dict[str, str]) -> None:
    linked = re.findall(r"^\| \[([\w-]+)\]\(\1\.md\)", pages["README.md"], re.MULTILINE)
    assert linked == sorted(linked)
    assert {f"{name}.md" for name in linked} == set(pages) - {"README.md"}
    assert len(linked) >= 20
    for name in linked:
        (target,) = re.findall(r"\[the card\]\(([^)]+)\)", pages[f"{name}.md"])
        assert (FOLDER / target).resolve().is_file()


def test_tables_of_the_pages_are_even(pages: dict[str, str]) -> None:
    for name, text in pages.items():
        for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
            cells = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
            assert len(cells) == 1, f"{name}: {block}"
