"""Small phantoms (6 mm) and the built-in cards."""

from __future__ import annotations

from pathlib import Path

import pytest

import cerebench_datasets
from cerebench.cohorts.card import Card, load_card

CARDS = Path(cerebench_datasets.__file__).parent / "cards"


@pytest.fixture(scope="session")
def cards() -> dict[str, Card]:
    return {path.stem: load_card(path) for path in sorted(CARDS.glob("*.yaml"))}


@pytest.fixture(scope="session")
def with_parameters():
    """Card with other ``simulate.parameters``."""

    def change(card: Card, **parameters) -> Card:
        assert card.simulate is not None
        merged = {**card.simulate.parameters, **parameters}
        return card.model_copy(update={"simulate": card.simulate.model_copy(update={"parameters": merged})})

    return change
