"""The conformance suite of cohort cards: file names, references, splits and leakage, tried on a small tree of files.

The tree is the cohort's in-silico twin, or a folder of real files.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cerebench.errors import BenchError
from cerebench.testing.outcome import CheckResult, NotApplicable, outcome, raise_failures

if TYPE_CHECKING:
    from cerebench.cohorts.card import Card
    from cerebench.testing.card_tree import Tree

CASES = 8
"""Enough for every role of a split to get a patient, with one of them examined twice."""

SPACING_MM = 6.0

_OF_A_TREE = ("files", "references", "splits", "leakage")


def check_card(
    card: Card | Path | str, folder: Path | None = None, *, cases: int = CASES, spacing_mm: float = SPACING_MM
) -> list[CheckResult]:
    """Try a cohort's card: whether it is valid, names files without ambiguity, and its cases can be split by patient.

    Args:
        card: the card or its file.
        folder: the cohort's real files; ``None`` writes the in-silico twin that the card describes into a temporary
            folder.
        cases, spacing_mm: size of the twin.

    Returns:
        one result a check, in order. A card that is not valid fails there, and nothing else is tried.
    """
    from cerebench.cohorts.card import load_card
    from cerebench.testing import card_checks, card_tree

    try:
        valid = load_card(Path(card)) if isinstance(card, str | Path) else card
    except BenchError as error:
        return [CheckResult("card", False, str(error))]
    results = [
        CheckResult("card", True, f"{len(valid.layouts)} layouts, {len(valid.modalities)} modalities"),
        outcome("patterns", partial(card_checks.patterns, valid, cases)),
    ]
    with ExitStack() as stack:
        try:
            if folder is None:
                scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="cerebench-card-"))
                tree = card_tree.twin(valid, Path(scratch) / valid.name, cases, spacing_mm)
            else:
                tree = card_tree.existing(valid, folder)
        except NotApplicable as reason:
            return [*results, *(CheckResult(name, True, str(reason), skipped=True) for name in _OF_A_TREE)]
        except BenchError as error:
            return [*results, CheckResult("files", False, str(error))]
        return [*results, *_on_tree(tree)]


def assert_card_conforms(
    card: Card | Path | str, folder: Path | None = None, *, cases: int = CASES, spacing_mm: float = SPACING_MM
) -> None:
    """Fail with a list of what is wrong with a card; for use in a plugin's own tests. Arguments: :func:`check_card`.

    Raises:
        AssertionError: a check failed.
    """
    name = getattr(card, "name", card)
    raise_failures(f"card {str(name)!r}", check_card(card, folder, cases=cases, spacing_mm=spacing_mm))


def _on_tree(tree: Tree) -> list[CheckResult]:
    from cerebench.testing import card_checks

    return [
        outcome("files", partial(card_checks.files, tree)),
        outcome("references", partial(card_checks.references, tree)),
        outcome("splits", partial(card_checks.splits, tree)),
        outcome("leakage", partial(card_checks.leakage, tree)),
    ]
