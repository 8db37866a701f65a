"""Tables of a cohort: rows that list the cases, or that say more about cases or lesions found by file names."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from cerebench.cohorts import pattern as language
from cerebench.cohorts.part import Part, Pattern, Text
from cerebench.errors import DataError

_DELIMITERS = {".csv": ",", ".tsv": "\t"}


class ClassColumn(Part):
    """A column that holds a class.

    Attributes:
        column: its header.
        values: text in the column → class.
    """

    column: Text
    values: dict[str, int] = Field(min_length=1)


class HealthyColumn(Part):
    """A column that tells healthy subjects from patients.

    Attributes:
        column: its header.
        values: texts that mean a healthy subject.
        patients: texts that mean a patient; empty for any other text.
    """

    column: Text
    values: tuple[str, ...] = Field(min_length=1)
    patients: tuple[str, ...] = ()


class Table(Part):
    """A CSV or TSV file in the cohort's folder.

    Attributes:
        file: its path.
        columns: field of the layout → header of the column that holds it. A table that lists the cases gives every
            field of the patterns; another one the fields that its rows are joined by.
        lists_cases: whether every row is a case, whose files the patterns name by the row's fields.
        optional: whether the table may be absent.
        lesion: header of a column of lesion numbers; a row then speaks of one lesion of the case's mask.
        label: class of the case or lesion.
        healthy: who is healthy.
        covariates: name → header; empty cells are absent, numbers are read as such.
    """

    file: Pattern
    columns: dict[str, Text] = Field(min_length=1)
    lists_cases: bool = False
    optional: bool = False
    lesion: Text | None = None
    label: ClassColumn | None = None
    healthy: HealthyColumn | None = None
    covariates: dict[str, Text] = Field(default_factory=dict)

    @field_validator("file")
    @classmethod
    def _plain(cls, file: str) -> str:
        if language.field_names(file) or Path(file).suffix not in _DELIMITERS:
            raise ValueError(f"{file!r} must be the path of one .csv or .tsv file, without fields")
        return file

    @model_validator(mode="after")
    def _consistent(self) -> Table:
        if self.lists_cases and self.optional:
            raise ValueError("a table that lists the cases cannot be optional")
        if self.lists_cases and self.lesion is not None:
            raise ValueError("a table that lists the cases has no lesion column: a row is a case of its own")
        return self

    @property
    def headers(self) -> tuple[str, ...]:
        """Headers that the file must have."""
        more = [part.column for part in (self.label, self.healthy) if part is not None]
        more += [self.lesion] if self.lesion is not None else []
        return tuple(dict.fromkeys([*self.columns.values(), *more, *self.covariates.values()]))


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        line: number of its line in the file.
        cells: header → text, stripped.
    """

    line: int
    cells: Mapping[str, str]


def read_table(path: Path, table: Table) -> tuple[Row, ...]:
    """Read the rows of a table file.

    Raises:
        DataError: unreadable, not UTF-8, no rows, a header is missing or twice there, or a row is too long or short.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = list(csv.reader(stream, delimiter=_DELIMITERS[path.suffix]))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise DataError(f"{path} cannot be read as a table: {why}; save it as a UTF-8 text file") from None
    headers = [cell.strip() for cell in lines[0]] if lines else []
    if repeated := {name for name in headers if name and headers.count(name) > 1}:
        raise DataError(f"{path}: the column {min(repeated)!r} is there twice; keep one")
    if lacking := [name for name in table.headers if name not in headers]:
        raise DataError(
            f"{path}: found no column {lacking[0]!r}, expected the columns {', '.join(table.headers)}; "
            f"found: {', '.join(filter(None, headers)) or 'nothing'}"
        )
    rows = []
    for number, cells in enumerate(lines[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(headers):
            raise DataError(f"{path}, row {number}: found {len(cells)} cells, expected {len(headers)}; mend the row")
        rows.append(Row(number, {name: cell.strip() for name, cell in zip(headers, cells, strict=True)}))
    if not rows:
        raise DataError(f"{path}: found no rows below the headers; fill the table")
    return tuple(rows)


def covariates_of(table: Table, row: Row) -> dict[str, float | str]:
    """Clinical variables of a row; empty cells are absent, finite numbers are floats."""
    found: dict[str, float | str] = {}
    for name, header in table.covariates.items():
        text = row.cells[header]
        if text:
            found[name] = _number(text)
    return found


def label_of(table: Table, row: Row) -> int | None:
    """Class of a row, ``None`` for a table without classes.

    Raises:
        DataError: a text that the card does not know.
    """
    if table.label is None:
        return None
    text = row.cells[table.label.column]
    if text not in table.label.values:
        expected = ", ".join(table.label.values)
        raise DataError(f"{table.file}, row {row.line}: column {table.label.column!r} is {text!r}, expected {expected}")
    return table.label.values[text]


def healthy_of(table: Table, row: Row) -> bool | None:
    """Whether a row is a healthy subject's, ``None`` for a table that does not say so.

    Raises:
        DataError: an empty text, or one that the card does not know.
    """
    column = table.healthy
    if column is None:
        return None
    text = row.cells[column.column]
    if text in column.values:
        return True
    if not text or (column.patients and text not in column.patients):
        expected = ", ".join((*column.values, *column.patients)) if column.patients else "a diagnosis"
        raise DataError(f"{table.file}, row {row.line}: column {column.column!r} is {text!r}, expected {expected}")
    return False


def lesion_of(table: Table, row: Row) -> int | None:
    """Lesion number of a row, ``None`` for a table about whole cases.

    Raises:
        DataError: no whole number above 0.
    """
    if table.lesion is None:
        return None
    text = row.cells[table.lesion]
    if not text.isdecimal() or int(text) < 1:
        raise DataError(
            f"{table.file}, row {row.line}: column {table.lesion!r} is {text!r}, expected a lesion number from 1 on"
        )
    return int(text)


def _number(text: str) -> float | str:
    try:
        value = float(text)
    except ValueError:
        return text
    return value if abs(value) < float("inf") else text
