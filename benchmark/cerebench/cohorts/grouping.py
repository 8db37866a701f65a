"""From matched files and table rows to cases, every fault named in one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cerebench.cohorts import pattern as language
from cerebench.cohorts.card import BRAIN_MASK, MASK, Card, Layout
from cerebench.cohorts.table import Row, Table, covariates_of, healthy_of, label_of, lesion_of, read_table
from cerebench.contract.data import Case
from cerebench.errors import DataError


@dataclass(frozen=True)
class Match:
    """One file that belongs to a case; ``path`` is ``None`` for a row of a table, which makes a case without any file.

    Attributes:
        kind: a modality, ``mask`` or ``brain_mask``; empty for a row.
        path: relative to the base; of the folder for a folder of slices.
        fields: values of the placeholders.
        row: the row that lists the case.
    """

    kind: str
    path: str | None
    fields: Mapping[str, str]
    row: Row | None = None


@dataclass
class Cases:
    """What :func:`read_cases` finds."""

    cases: list[Case] = field(default_factory=list)
    lesions: list[Case] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class _Group:
    fields: Mapping[str, str]
    row: Row | None = None
    files: dict[str, list[str]] = field(default_factory=dict)


def match_files(layout: Layout, base: Path, paths: Sequence[str]) -> list[Match]:
    """Files of a layout among ``paths`` (relative to ``base``), sorted as they are.

    Raises:
        DataError: a table that lists the cases is damaged.
    """
    if layout.listed and layout.table is not None:
        return list(_listed(layout, layout.table, base, paths)) if layout.table.file in paths else []
    found = []
    for path in paths:
        hit = layout.match(path)
        if hit is not None:
            kind, fields = hit
            whole = layout.patterns()[kind].endswith(language.SLICES)
            found.append(Match(kind, path.rpartition("/")[0] if whole else path, fields))
    return found


def _listed(layout: Layout, table: Table, base: Path, paths: Sequence[str]) -> Iterator[Match]:
    present = set(paths)
    for row in read_table(base / table.file, table):
        fields = {name: row.cells[header] for name, header in table.columns.items()}
        yield Match("", None, fields, row)
        for kind, pattern in layout.patterns().items():
            path = language.render(pattern, fields)
            if path in present:  # only files below the folder are present, so no path can leave it
                yield Match(kind, path, fields, row)


def read_cases(card: Card, layout: Layout, base: Path, matched: Sequence[Match]) -> Cases:
    """Group files into cases, and join what tables say.

    Raises:
        DataError: a table is damaged.
    """
    found = Cases()
    groups: dict[tuple[object, ...], _Group] = {}
    for match in matched:
        key = tuple(match.fields[name] for name in layout.key)
        group = groups.setdefault((*key, match.row and match.row.line), _Group(match.fields, match.row))
        if match.path is not None:
            group.files.setdefault(match.kind, []).append(match.path)
    by_id: dict[str, list[_Group]] = {}
    for group in groups.values():
        by_id.setdefault(layout.case_id(group.fields), []).append(group)
    for case_id, same in sorted(by_id.items()):
        if case_id in card.exclude:
            found.excluded.append(case_id)
            continue
        try:
            case = _case(card, layout, base, case_id, same[0])
        except DataError as error:
            found.faults.append(f"case {case_id} of {card.name}: {error}; correct the table or the card")
            continue
        problems = list(_problems(card, layout, base, case, same))
        found.faults += [sentence for sentence, _ in problems]
        if not any(fatal for _, fatal in problems):
            found.cases.append(case)
    if layout.table is not None and not layout.listed:
        _annotate(card, layout, layout.table, base, groups.values(), found)
    else:
        found.lesions = [case for case in found.cases if case.label is not None]
    return found


def _problems(card: Card, layout: Layout, base: Path, case: Case, same: Sequence[_Group]) -> Iterator[tuple[str, bool]]:
    """Sentences about one case, each with whether the case cannot be used at all."""
    name = f"case {case.id} of {card.name}"
    if len(same) > 1 and same[0].row is not None and same[1].row is not None:
        yield f"{name}: rows {same[0].row.line} and {same[1].row.line} of the table are the same case; keep one", True
        return
    for kind in layout.patterns():
        found = [path for group in same for path in group.files.get(kind, [])]
        if len(found) > 1 and (layout.repeats == "refuse" or len(same) > 1):
            yield f"{name}: duplicate case, {kind} is there twice ({found[0]} and {found[1]}); keep one", True
    group = same[0]
    if not any(kind in group.files for kind in layout.images):
        listed = ", ".join(_expected(layout, kind, group) for kind in layout.images)
        held = f"only {', '.join(sorted(group.files))}" if group.files else f"expected {listed} in {base}"
        yield f"{name}: no image, {held}", True
        return
    if layout.mask is not None and MASK not in group.files and not case.healthy:
        yield (
            f"{name}: lesion mask missing, expected {_expected(layout, MASK, group)} in {base}; not read as healthy",
            True,
        )
    for kind in layout.images:
        if kind not in group.files and kind not in card.optional_modalities:
            yield f"{name}: modality {kind} missing, expected {_expected(layout, kind, group)} in {base}", False
    if layout.brain_mask is not None and BRAIN_MASK not in group.files and not layout.skull_stripped:
        yield f"{name}: brain mask missing, expected {_expected(layout, BRAIN_MASK, group)} in {base}", False


def _case(card: Card, layout: Layout, base: Path, case_id: str, group: _Group) -> Case:
    def file(kind: str) -> Path | None:
        paths = sorted(group.files.get(kind, []))
        return base / paths[-1 if layout.repeats == "last" else 0] if paths else None

    if group.row is not None and (empty := [name for name in layout.key if not group.fields[name]]):
        raise DataError(f"the table gives no {empty[0]}")
    case = Case(
        id=case_id,
        patient=language.render(layout.patient, group.fields),
        cohort=card.name,
        images={kind: path for kind in layout.images if (path := file(kind)) is not None},
        healthy=card.healthy,
        mask=file(MASK),
        mask_modality=layout.mask_modality,
        brain_mask=file(BRAIN_MASK),
        centre=language.render(layout.centre, group.fields) if layout.centre is not None else None,
    )
    return case if group.row is None or layout.table is None else _with_row(case, layout.table, group.row)


def _with_row(case: Case, table: Table, row: Row) -> Case:
    """The case with what a row says of it, or the one lesion of it that the row is about."""
    healthy, number = healthy_of(table, row), lesion_of(table, row)
    return replace(
        case,
        id=case.id if number is None else f"{case.id}-{number}",
        healthy=case.healthy if healthy is None else healthy,
        label=label_of(table, row),
        covariates=covariates_of(table, row),
        lesion=number,
    )


def _annotate(card: Card, layout: Layout, table: Table, base: Path, groups: Iterable[_Group], found: Cases) -> None:
    """Join the rows of a table to the cases, by the fields that it names."""
    path = base / table.file
    if not path.is_file():
        if not table.optional:
            found.faults.append(f"{path}: the table is missing; cohort {card.name} expects it there")
        return
    fields = {layout.case_id(group.fields): group.fields for group in groups}
    rows: dict[tuple[str, ...], list[Row]] = {}
    for row in read_table(path, table):
        rows.setdefault(tuple(row.cells[header] for header in table.columns.values()), []).append(row)
    described: list[Case] = []
    used = set()
    for case in found.cases:
        key = tuple(fields[case.id][name] for name in table.columns)
        used.add(key)
        mine = rows.get(key, [])
        if table.lesion is None and len(mine) > 1:
            found.faults.append(f"{path}, row {mine[1].line}: case {case.id} is there twice; keep one row")
        told = []
        for row in mine if table.lesion is not None else mine[:1]:
            try:
                told.append(_with_row(case, table, row))
            except DataError as error:
                found.faults.append(f"case {case.id} of {card.name}: {error}; correct the table or the card")
        if table.lesion is None:
            described += told or [case]
        found.lesions += [each for each in told if each.label is not None]
    found.cases = described if table.lesion is None else found.cases
    for name, times in Counter(case.id for case in found.lesions).items():
        if times > 1:
            found.faults.append(f"{path}: lesion {name} is there {times} times; keep one row")
    found.lesions = list({case.id: case for case in found.lesions}.values())
    if strangers := [key for key in rows if key not in used]:
        first = ", ".join(strangers[0])
        found.notes.append(f"{path}: {len(strangers)} rows speak of cases that are not here (first: {first})")


def _expected(layout: Layout, kind: str, group: _Group) -> str:
    pattern = layout.patterns()[kind]
    # an empty cell of a table says nothing, an empty part of a file's name does
    known = {name: group.fields.get(name, f"{{{name}}}") for name in language.field_names(pattern)}
    if group.row is not None:
        known = {name: value or f"{{{name}}}" for name, value in known.items()}
    return language.render(pattern, known)
