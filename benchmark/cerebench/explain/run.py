"""``bench explain`` as a function."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cerebench.explain.target import Question
from cerebench.request import Display, Quiet


@dataclass(frozen=True)
class Explanation:
    """What was written: the files, and the content of ``numbers.json``."""

    files: tuple[Path, ...]
    numbers: dict[str, Any]


def explain(question: Question, out: Path, force: bool = False, display: Display | None = None) -> Explanation:
    """Explain one case; what has not been trained or evaluated yet is computed first, and kept in the results folder.

    Args:
        question: method, cohort, case.
        out: folder; the files go into a folder of their own below it.
        force: replace files that are there.
        display: told of progress.

    Raises:
        UsageError: an unknown name, a case that is not tested, or files that are there already.
        DataError, MethodError: faulty files, a failing method.
    """
    import torch

    from cerebench.explain.make import ensure
    from cerebench.explain.numbers import numbers, validation_scores
    from cerebench.explain.predict import explain_case
    from cerebench.explain.target import find_target
    from cerebench.explain.write import check_free, folder_of, write
    from cerebench.loop.device import devices
    from cerebench.loop.models import trained_method
    from cerebench.plugins.registry import Registry
    from cerebench.store import Store

    shown = display or Quiet()
    device = devices(question.device)[0]
    registry = Registry.discover(list(question.cards))
    target = find_target(question, registry, shown)
    folder = folder_of(out, target)
    check_free(folder, force)
    store = Store(Path(question.results))
    ensure(target, store, device, shown)
    place = torch.device(device)
    method = trained_method(registry.load_method(target.job.method), target.job, target.cell.artefact, store, place)
    explained = explain_case(method, target, store, place)
    found = numbers(explained, target, store)
    normal = validation_scores(store.path(target.cell.reference))["slices"]
    return Explanation(tuple(write(folder, explained, target, found, normal)), found)
