"""The files on which a card is tried: its in-silico twin, or a folder that is there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cerebench.testing.outcome import NotApplicable

if TYPE_CHECKING:
    from cerebench.cohorts.card import Card, Slot
    from cerebench.cohorts.reader import Listing


@dataclass(frozen=True)
class Tree:
    """Files and what is known of them beforehand.

    Attributes:
        listing: the cases as the card reads them.
        slots: case id → who was simulated; empty for real files.
    """

    listing: Listing
    slots: dict[str, Slot]


def twin(card: Card, folder: Path, cases: int, spacing_mm: float) -> Tree:
    """Write the card's twin and read it.

    Raises:
        NotApplicable: the card has no ``simulate``.
        UsageError, PluginError: its generator is unknown or broken, or what it wrote does not fit the card.
    """
    from cerebench.cohorts.reader import read_cohort
    from cerebench.cohorts.twins import write_twin
    from cerebench.plugins.registry import Registry

    simulate = card.simulate
    if simulate is None:
        raise NotApplicable("the card has no `simulate` section, and no real files were named")
    generator = Registry.discover().load_simulator(simulate.generator)
    write_twin(card, generator, folder, cases, spacing_mm, seed=0)
    layout = card.layout(simulate.layout)
    slots = {layout.case_id(simulate.field_values(index)): simulate.slot(index) for index in range(cases)}
    return Tree(read_cohort(card, folder), slots)


def existing(card: Card, folder: Path) -> Tree:
    """Read real files.

    Raises:
        DataError: they fit no layout of the card.
    """
    from cerebench.cohorts.reader import read_cohort

    return Tree(read_cohort(card, folder), {})
