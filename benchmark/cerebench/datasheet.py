"""The datasheet of a cohort, written from its card: what it is, how it is read, its traps, its in-silico twin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cerebench.cohorts.card import Card, Layout, Simulate
from cerebench.cohorts.table import Table
from cerebench.yamlio import SAFE_LOADER


class Code(str):
    """Text to be shown as it is typed: a path, an expression, a command."""


@dataclass(frozen=True)
class Grid:
    """A small table: headers, and rows of as many cells."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """One part of a datasheet.

    Attributes:
        title: its heading; empty for the first part, which stands below the cohort's title.
        fields: name → text; empty texts are left out.
        grids: tables.
        points: sentences.
    """

    title: str
    fields: tuple[tuple[str, str], ...] = ()
    grids: tuple[Grid, ...] = ()
    points: tuple[str, ...] = ()


def datasheet(card: Card) -> tuple[Section, ...]:
    """All parts in the order of reading. Comments of the card's file say what labels mean."""
    said = _comments(card.source) if card.source is not None else {}
    layouts = (_layout(layout, said, number) for number, layout in enumerate(card.layouts))
    twin = (_twin(card, card.simulate),) if card.simulate is not None else ()
    return (_head(card), Section("Traps", points=card.traps), *layouts, *twin)


def markdown(card: Card) -> str:
    """The datasheet as a page of Markdown."""
    parts = [f"# {_escaped(card.title)}", _escaped(card.summary)]
    for section in datasheet(card):
        parts += [f"## {section.title}"] if section.title else []
        shown = tuple((name, text) for name, text in section.fields if text)
        grids = (Grid(("", ""), shown), *section.grids) if shown else section.grids
        parts += [_markdown_grid(grid) for grid in grids if grid.rows]
        parts += ["\n".join(f"* {_escaped(point)}" for point in section.points)] if section.points else []
    return "\n\n".join(parts) + "\n"


def _markdown_grid(grid: Grid) -> str:
    lines = [grid.headers, tuple("---" for _ in grid.headers), *(tuple(map(_cell, row)) for row in grid.rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(text: str) -> str:
    if isinstance(text, Code):
        return f"`{text}`".replace("|", "\\|")
    return _escaped(text).replace("|", "\\|")


def _escaped(text: str) -> str:
    for sign in ("\\", "`", "*", "_", "<", "["):
        text = text.replace(sign, f"\\{sign}")
    return text


def _head(card: Card) -> Section:
    return Section(
        "",
        (
            ("name", Code(card.name)),
            ("subjects", "healthy" if card.healthy else "patients"),
            ("serves", ", ".join(card.tasks) or "pre-training only: it has no reference"),
            ("modalities", ", ".join(card.modalities)),
            ("may be missing", ", ".join(card.optional_modalities)),
            ("cases in the release", _count(card.expected_cases)),
            ("patients in the release", _count(card.expected_patients)),
            ("licence", card.licence),
            ("access", card.access),
            ("citation", card.citation),
            ("address", card.url or ""),
            ("folder under the data root", Code(", ".join(card.folder_names()))),
            ("left out", ", ".join(card.exclude)),
        ),
    )


def _count(number: int | None) -> str:
    return "not stated" if number is None else str(number)


def _layout(layout: Layout, said: Mapping[tuple[str, ...], str], number: int) -> Section:
    def comment(*keys: str) -> str:
        return said.get(("layouts", str(number), *keys), "")

    files = tuple((kind.replace("_", " "), Code(pattern)) for kind, pattern in layout.patterns().items())
    expressions = tuple((name, Code(expression)) for name, expression in layout.fields.items())
    grids = [Grid(("file", "path"), files), Grid(("field", "expression"), expressions)]
    if layout.mask is not None:
        named = "part digit" if layout.numbered_lesions else "value"
        states = ((value, layout.labels[value]) for value in sorted(layout.labels))
        labels = tuple((str(value), state, comment("labels", str(value))) for value, state in states)
        grids.append(Grid((f"{named} in the mask", "counts as", "meaning"), labels))
    return Section(f"Layout {layout.name}", tuple(_reading(layout, comment("erosion_mm"))), tuple(grids))


def _reading(layout: Layout, why: str) -> Iterator[tuple[str, str]]:
    yield "case", Code(layout.case or "-".join(f"{{{field}}}" for field in layout.key))
    yield "patient, the unit of splits", Code(layout.patient)
    yield "centre", Code(layout.centre) if layout.centre is not None else "not told apart"
    if layout.brain_mask is not None:
        yield "brain", "its mask where there is one" + (", else voxels other than 0" if layout.skull_stripped else "")
    else:
        stripped = "voxels other than 0 (skull-stripped)"
        yield "brain", stripped if layout.skull_stripped else "heads with skull: brains have to be extracted first"
    depth = f"{layout.erosion_mm:g} mm" if layout.erosion_mm else "none"
    yield "erosion of the brain for scoring", f"{depth} ({why})" if why else depth
    if layout.mask is not None:
        grid = f"grid of {layout.mask_modality}" if layout.mask_modality is not None else "grid of every image"
        yield "lesion mask", grid + (", resampled (nearest neighbour) onto another one" if layout.resample_mask else "")
    if layout.numbered_lesions:
        yield "mask values", "number of the lesion, then one part digit"
    if layout.repeats != "refuse":
        yield "several files of a kind", f"the {layout.repeats} one is read"
    if layout.slices is not None:
        spacing = " × ".join(f"{step:g}" for step in layout.slices.spacing_mm)
        yield "slices", f"{spacing} mm; columns, rows and slices grow to {layout.slices.axes}"
    if layout.table is not None:
        yield from _table(layout.table)
    if layout.test_only:
        yield "use", "tests only"


def _table(table: Table) -> Iterator[tuple[str, str]]:
    role = "lists the cases" if table.lists_cases else "says more about lesions" if table.lesion else "says more"
    yield "table", f"{table.file}, {role}" + (" (may be absent)" if table.optional else "")
    yield "columns of the table", Code(", ".join(table.headers))
    if table.label is not None:
        classes = ", ".join(f"{text} = {value}" for text, value in table.label.values.items())
        yield "classes", f"column {table.label.column}: {classes}"
    if table.healthy is not None:
        column = table.healthy
        patients = ", ".join(column.patients) or "any other text"
        yield "who is healthy", f"column {column.column}: {', '.join(column.values)}; patients: {patients}"
    yield "covariates", ", ".join(table.covariates)


def _twin(card: Card, simulate: Simulate) -> Section:
    centres = simulate.parameters.get("centres", {})
    shown = []
    for name in simulate.centres:
        own = ", ".join(f"{key} {value}" for key, value in centres.get(name, {}).items())
        shown.append(f"{name} ({own})" if own else name)
    other = {key: value for key, value in simulate.parameters.items() if key != "centres"}
    every = simulate.affected_every
    sick = "all patients" if every == 1 else f"one patient in {every}, the others are controls"
    again = f"one patient in {simulate.revisit_every} is examined twice" if simulate.revisit_every else ""
    layout = card.layout(simulate.layout)
    example = layout.path(simulate.modalities[0], **simulate.field_values(0))
    return Section(
        "In-silico twin",
        (
            ("lesion", "none" if card.healthy else f"{simulate.lesion} ({sick})"),
            ("modalities", ", ".join(simulate.modalities)),
            ("layout", simulate.layout),
            ("first file", Code(str(example))),
            ("centres", "; ".join(shown) or "one"),
            ("visits", again),
            ("other parameters", "; ".join(f"{key}: {_flat(value)}" for key, value in other.items())),
            ("make one", Code(f"bench data simulate --cohort {card.name} --cases 10 --spacing 2 --seed 0 --out DIR")),
        ),
    )


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_flat(part)}" for key, part in value.items())
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _comments(path: Path) -> dict[tuple[str, ...], str]:
    """Keys that lead to a scalar → comment at the end of its line, where the line holds no other key."""
    text = path.read_text(encoding="utf-8")
    loader = SAFE_LOADER(text)
    try:
        found = list(_scalars(loader.get_single_node(), ()))
    finally:
        loader.dispose()
    lines = [line for _, line, _ in found]
    texts = text.splitlines()
    return {
        keys: texts[line][column:].partition(" #")[2].strip()
        for keys, line, column in found
        if lines.count(line) == 1 and " #" in texts[line][column:]
    }


def _scalars(node: yaml.Node | None, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _scalars(value, (*keys, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _scalars(value, (*keys, str(number)))
    elif node is not None:
        yield keys, node.end_mark.line, node.end_mark.column
