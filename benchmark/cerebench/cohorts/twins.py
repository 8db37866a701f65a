"""In-silico twins on disk: made once for given parameters, then read like any other cohort."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cerebench.cohorts.card import Card
from cerebench.cohorts.reader import MARKER, read_cohort
from cerebench.errors import DataError, PluginError, UsageError

Progress = Callable[[int, int, str], None]
Simulator = Callable[..., None]
"""``simulate(card, out, cases, spacing, seed, progress=None)`` fills the existing folder ``out``."""


def write_twin(
    card: Card,
    simulate: Simulator,
    out: Path,
    cases: int,
    spacing: float,
    seed: int,
    digest: str = "",
    progress: Progress | None = None,
) -> None:
    """Generate a tree into ``out`` (created) and mark it as in silico.

    Args:
        spacing: voxel size in mm.
        digest: of the generator's code; recorded in the marker.

    Raises:
        UsageError: the card has no ``simulate``, or a number makes no sense.
        PluginError: the generator wrote something else than ``cases`` sound cases.
    """
    parameters = _parameters(card, cases, spacing, seed, digest)
    out.mkdir(parents=True, exist_ok=True)
    simulate(card, out, cases=cases, spacing=spacing, seed=seed, progress=progress)
    (out / MARKER).write_text(json.dumps(parameters, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    try:
        listing = read_cohort(card, out)
    except DataError as error:
        raise PluginError(
            f"generator {parameters['generator']!r} wrote no readable tree for {card.name!r}: {error}"
        ) from None
    if listing.faults or len(listing.cases) != cases:
        why = listing.faults[0] if listing.faults else f"{len(listing.cases)} cases"
        raise PluginError(
            f"generator {parameters['generator']!r} was asked for {cases} cases of {card.name!r}, found {why}"
        )


def ensure_twin(
    card: Card,
    simulate: Simulator,
    cases: int,
    spacing: float,
    seed: int,
    cache: Path,
    digest: str,
    progress: Progress | None = None,
) -> Path:
    """The folder ``<cache>/insilico/<name>-<hash8>/<name>``, generated if it is not there yet.

    Safe for several processes at once: one generates under a file lock, the others wait. A tree that was cut short
    never gets its final name.

    Raises:
        UsageError: as :func:`write_twin`, or the cache cannot be written.
        PluginError: as :func:`write_twin`.
    """
    parameters = _parameters(card, cases, spacing, seed, digest)
    key = json.dumps({**parameters, "writes": _what_is_written(card)}, sort_keys=True)
    store = cache / "insilico"
    folder = store / f"{card.name}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
    final = folder / card.name
    if (final / MARKER).is_file():
        return final
    try:
        store.mkdir(parents=True, exist_ok=True)
        with _locked(store / f"{folder.name}.lock"):
            if not (final / MARKER).is_file():
                partial = store / f"{folder.name}.partial"
                shutil.rmtree(partial, ignore_errors=True)  # left by a killed run; the lock says nobody uses it
                write_twin(card, simulate, partial / card.name, cases, spacing, seed, digest, progress)
                shutil.rmtree(folder, ignore_errors=True)
                partial.rename(folder)
    except OSError as error:
        raise UsageError(
            f"the cache folder {store} cannot be written ({error.strerror or error}): "
            "make room or set CEREBENCH_CACHE to a writable folder"
        ) from error
    return final


def _parameters(card: Card, cases: int, spacing: float, seed: int, digest: str) -> dict[str, Any]:
    if card.simulate is None:
        raise UsageError(f"cohort {card.name!r} has no in-silico twin: its card has no `simulate` section")
    if cases < 1:
        raise UsageError(f"{cases} cases of {card.name!r} asked for: expected at least 1")
    if not 0.5 <= spacing <= 10:
        raise UsageError(f"spacing of {spacing:g} mm asked for: expected 0.5 to 10 mm")
    return {
        "schema": 1,
        "cohort": card.name,
        "cases": cases,
        "spacing_mm": float(spacing),
        "seed": seed,
        "generator": card.simulate.generator,
        "generator_digest": digest,
        "skull_stripped": True,
        "parameters": card.simulate.parameters,
    }


def _what_is_written(card: Card) -> list[Any]:
    """The parts of the card that shape the tree; a better summary or citation makes no new one."""
    simulate = card.simulate
    return (
        [] if simulate is None else [part.model_dump(mode="json") for part in (simulate, card.layout(simulate.layout))]
    )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)  # also releases the lock
