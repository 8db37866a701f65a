"""Built-in cards, hand-made trees of empty files, and one tiny in-silico tree a card."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

import cerebench_datasets
from cerebench.cohorts.card import Card, load_card
from cerebench.cohorts.reader import Listing, read_cohort
from cerebench.cohorts.twins import write_twin
from cerebench_datasets.insilico.write import simulate

CARDS = Path(cerebench_datasets.__file__).parent / "cards"


@pytest.fixture(scope="session")
def card_named() -> Callable[[str], Card]:
    """``card_named("ixi")``: a built-in card."""
    return lambda name: load_card(CARDS / f"{name}.yaml")


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[Iterable[str]], Path]:
    """``tree(paths)`` makes empty files and returns the folder; a second call adds to it."""

    def make(paths: Iterable[str]) -> Path:
        root = tmp_path / "tree"
        for path in paths:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).touch()
        return root

    return make


@pytest.fixture
def write_rows(tree: Callable[[Iterable[str]], Path]) -> Callable[[str, Sequence[dict[str, str]]], Path]:
    """``write_rows("lesions.csv", rows)`` writes a table into the tree and returns the tree."""

    def write(name: str, rows: Sequence[dict[str, str]]) -> Path:
        root = tree([name])
        with (root / name).open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return root

    return write


@pytest.fixture
def read(card_named: Callable[[str], Card]) -> Callable[[str, Path], Listing]:
    """``read("ixi", root)``: the listing of a tree with a built-in card."""
    return lambda name, root: read_cohort(card_named(name), root)


def files_of(card: Card, examinations: int) -> list[str]:
    """Paths of the card's twin layout for so many examinations, as the release names them."""
    assert card.simulate is not None
    layout = card.layout(card.simulate.layout)
    found = []
    for index in range(examinations):
        fields = card.simulate.field_values(index)
        for kind, pattern in layout.patterns().items():
            path = str(layout.path(kind, **fields))
            found += [f"{path}/{number}.png" for number in range(3)] if pattern.endswith(".png") else [path]
    return found


def rows_of(card: Card, examinations: int) -> list[dict[str, str]]:
    """Rows of the table that lists the card's cases, or none."""
    assert card.simulate is not None
    table = card.layout(card.simulate.layout).table
    if table is None or not table.lists_cases:
        return []
    found = []
    for index in range(examinations):
        fields = card.simulate.field_values(index)
        row = dict.fromkeys(table.headers, "") | {header: fields[name] for name, header in table.columns.items()}
        if table.label is not None:
            row[table.label.column] = list(table.label.values)[index % len(table.label.values)]
        if table.healthy is not None:
            row[table.healthy.column] = (*table.healthy.values, *table.healthy.patients)[index % 2]
        found.append(row)
    return found


@pytest.fixture
def release(card_named, tree, write_rows) -> Callable[..., Path]:
    """``release("brats-met", 6)``: a hand-made tree with the names of six examinations."""

    def make(name: str, examinations: int = 6) -> Path:
        card = card_named(name)
        if rows := rows_of(card, examinations):
            write_rows(card.layout(card.simulate.layout).table.file, rows)
        return tree(files_of(card, examinations))

    return make


@pytest.fixture(scope="session")
def twin(card_named, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """``twin("brats-men")``: its in-silico tree of three examinations at 8 mm, made once."""
    folder = tmp_path_factory.mktemp("twins")

    def make(name: str) -> Path:
        out = folder / name
        if not out.is_dir():
            write_twin(card_named(name), simulate, out, cases=3, spacing=8.0, seed=0)
        return out

    return make
