"""Write docs/cohorts/: one datasheet a built-in cohort, and an index.

``python docs/make_cohorts.py`` writes the pages; a test fails while pages and cards differ.
"""

from __future__ import annotations

from pathlib import Path

import yaml

import cerebench_datasets
from cerebench.cohorts.card import Card, load_card
from cerebench.datasheet import markdown

FOLDER = Path(__file__).with_name("cohorts")
PACKAGE = Path(cerebench_datasets.__file__).parent

NOTE = "\n*Written by `python docs/make_cohorts.py` from [the card](../../datasets/cerebench_datasets/cards/{file}).*\n"
HEAD = """# Cohorts

Written by `python docs/make_cohorts.py` from the cards; do not edit by hand. [Cards](../cards.md) says what the fields
mean, `bench show cohort NAME` prints the same datasheet, `bench data status` says which cohorts are on your machine.

| cohort | what it is | modalities | cases | reference | licence |
|---|---|---|---|---|---|
"""


def pages() -> dict[str, str]:
    """File name in docs/cohorts → its whole text."""
    manifest = yaml.safe_load((PACKAGE / "cerebench.yaml").read_text(encoding="utf-8"))
    cards = [load_card(PACKAGE / item["card"]) for item in manifest["cohorts"]]
    found = {"README.md": HEAD + "".join(map(_row, sorted(cards, key=lambda card: card.name)))}
    return found | {f"{card.name}.md": markdown(card) + NOTE.format(file=f"{card.name}.yaml") for card in cards}


def _row(card: Card) -> str:
    cases = card.expected_cases or "–"
    cells = (card.title, ", ".join(card.modalities), str(cases), _reference(card), card.licence)
    return f"| [{card.name}]({card.name}.md) | {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _reference(card: Card) -> str:
    if card.healthy:
        return "healthy"
    if not card.tasks:
        return "none (pre-training)"
    layout = card.layouts[0]
    if layout.mask is None:
        return "label of the case"
    return "lesion masks and classes" if "lesion-classification" in card.tasks else "lesion masks"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    written = pages()
    for path in sorted(FOLDER.glob("*.md")):
        if path.name not in written:
            path.unlink()
    for name, text in sorted(written.items()):
        (FOLDER / name).write_text(text, encoding="utf-8")
