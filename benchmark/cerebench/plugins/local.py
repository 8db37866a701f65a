"""Cards from local folders (``--cards DIR``), for cohorts that no plugin brings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cerebench.errors import UsageError
from cerebench.plugins.entries import LOCAL, CohortEntry, cohort_entry


def local_cards(sources: Sequence[Path]) -> list[CohortEntry]:
    """Entries for the cards in each folder (its ``*.yaml`` and ``*.yml``, not deeper), or for a single file.

    Raises:
        UsageError: a source does not exist, or a folder holds no card.
    """
    found = []
    for source in sources:
        if source.is_dir():
            files = sorted(path for path in source.iterdir() if path.suffix in (".yaml", ".yml") and path.is_file())
            if not files:
                raise UsageError(f"--cards {source} holds no .yaml file; name a folder with cohort cards")
        elif source.is_file():
            files = [source]
        else:
            raise UsageError(f"--cards {source} does not exist; name a folder with cohort cards, or a card")
        common = {"source": LOCAL, "version": "", "plugin": "", "state": "ok", "error": ""}
        found += [cohort_entry(path.resolve(), **common) for path in files]
    return found
