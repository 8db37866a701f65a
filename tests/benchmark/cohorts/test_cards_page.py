"""docs/cards.md: its example is a valid card and every field is explained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cerebench.cohorts.card import Card, Layout, Simulate, load_card
from cerebench.cohorts.table import Table

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "cards.md").read_text(encoding="utf-8")


def section(title):
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def test_example_is_a_card(tmp_path):
    (tmp_path / "card.yaml").write_text(re.findall(r"```yaml\n(.*?)```", PAGE, re.S)[0])
    card = load_card(tmp_path / "card.yaml")
    assert card.layouts[0].match("A/P001_2/lesion.nii.gz") == ("mask", {"centre": "A", "patient": "P001", "visit": "2"})


@pytest.mark.parametrize(
    ("model", "title"),
    [(Card, "Fields of a card"), (Layout, "Fields of a layout"), (Simulate, "In-silico twin"), (Table, "Tables")],
)
def test_every_field_is_explained(model, title):
    rows = [line for line in section(title).splitlines() if line.startswith("| `")]
    explained = {name for line in rows for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert explained == {field.alias or name for name, field in model.model_fields.items()}
