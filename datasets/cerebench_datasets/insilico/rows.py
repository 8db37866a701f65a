"""The table of a twin: rows as the card's layout reads them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from cerebench.api import Layout, UsageError
from cerebench_datasets.insilico.lesion import Finding

_DELIMITERS = {".csv": ",", ".tsv": "\t"}


def table_rows(
    layout: Layout, fields: Mapping[str, str], findings: tuple[Finding, ...], affected: bool
) -> Iterator[dict[str, str]]:
    """Rows of one examination: one, or one for each of its lesions where the table speaks of lesions.

    Args:
        layout: with or without a table (then no row).
        fields: of the examination.
        findings: outcomes and covariates; of the whole examination where there is only one.
        affected: whether the patient has the disease.

    Raises:
        UsageError: the table wants a class that the kind of lesion does not have.
    """
    table = layout.table
    if table is None:
        return
    of_lesions = table.lesion is not None
    for finding in findings if of_lesions else (findings or (Finding(0, int(affected)),))[:1]:
        row = {header: fields[name] for name, header in table.columns.items()}
        if table.lesion is not None:
            row[table.lesion] = str(finding.number)
        if table.label is not None:
            names = [text for text, value in table.label.values.items() if value == finding.outcome]
            if not names:
                raise UsageError(f"table {table.file}: label.values has no text for class {finding.outcome}; add one")
            row[table.label.column] = names[0]
        if table.healthy is not None:
            sick = (*table.healthy.patients, "patient")[0]
            row[table.healthy.column] = sick if affected else table.healthy.values[0]
        for name, header in table.covariates.items():
            row[header] = _text(finding.covariates.get(name, ""))
        yield row


def write_table(path: Path, rows: list[dict[str, str]]) -> None:
    """Write rows with the same headers as CSV, or as TSV by the file's ending; the same rows give the same bytes."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), delimiter=_DELIMITERS[path.suffix], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(stream.getvalue(), encoding="utf-8")


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"
