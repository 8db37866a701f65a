"""From a card and a folder to cases: picks the layout, groups files, and names every fault in one sentence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cerebench.cohorts.card import Card, Layout
from cerebench.cohorts.grouping import Match, match_files, read_cases
from cerebench.cohorts.walk import Files, list_files
from cerebench.contract.data import Case, Provenance, ReadPolicy
from cerebench.errors import DataError

MARKER = "cerebench-insilico.json"
PREPARED_MARKER = "cerebench-prepared.json"
_UNFINISHED = "the prepared copy is not complete: run `bench data prepare` again, or look at its faults"
_DEPTH = 3  # folders that a release may be wrapped in


@dataclass(frozen=True)
class Listing:
    """The cases of one cohort under one folder.

    Attributes:
        card: the card it was read with.
        layout: the layout that fits.
        cases: sorted by id; a case without its lesion mask is not among them.
        policy: how the files are to be read.
        provenance: ``in-silico`` if the folder carries the marker of the generator, else ``real``.
        root: the folder that the layout's patterns are relative to.
        faults: one sentence each, sorted: what is missing or there twice.
        excluded: ids found on disk that the card excludes.
        lesions: one case a lesion that has a class, sorted by id; for lesion classification.
        notes: one sentence each: what was chosen or passed over without harm.
    """

    card: Card
    layout: Layout
    cases: tuple[Case, ...]
    policy: ReadPolicy
    provenance: Provenance
    root: Path
    faults: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    lesions: tuple[Case, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def patients(self) -> tuple[str, ...]:
        """Sorted patient identifiers."""
        return tuple(sorted({case.patient for case in self.cases}))

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities that at least one case has, in the card's order."""
        return tuple(name for name in self.card.modalities if any(name in case.images for case in self.cases))

    @property
    def unready(self) -> tuple[str, ...]:
        """Ids of cases that are not ready: heads with skull without a brain mask."""
        if self.policy.skull_stripped:
            return ()
        return tuple(case.id for case in self.cases if case.brain_mask is None)

    def faults_of(self, modality: str) -> tuple[str, ...]:
        """Faults that concern a modality: all but those about another one that is missing."""
        others = [f": modality {name} missing" for name in self.card.modalities if name != modality]
        return tuple(fault for fault in self.faults if not any(words in fault for words in others))

    def with_modalities(self, *modalities: str) -> tuple[Case, ...]:
        """Cases that have all the named modalities."""
        return tuple(case for case in self.cases if all(name in case.images for name in modalities))


def read_cohort(card: Card, root: Path) -> Listing:
    """List the cases of a cohort below ``root`` (walked once; only tables and markers are opened).

    Releases wrapped in up to three folders of their own are found too.

    Raises:
        DataError: ``root`` is no folder, is empty, fits no layout of the card, or a table or marker is damaged.
    """
    if not root.is_dir():
        raise DataError(f"{root} is no folder: cohort {card.name!r} expects its files there ({card.access})")
    files = list_files(root)
    if not files.paths:
        raise DataError(f"{root} is empty: cohort {card.name!r} expects files such as {_example(card.layouts[0])}")
    layout, base, matched = _choose(card, files, root)
    policy = layout.read_policy()
    simulated, prepared = (_marker(root, base, name) for name in (MARKER, PREPARED_MARKER))
    for marker in filter(None, (simulated, prepared)):
        policy = replace(policy, skull_stripped=bool(marker.get("skull_stripped", policy.skull_stripped)))
    if simulated and policy.slices is not None:  # slices carry no geometry of their own
        step = float(simulated["spacing_mm"])
        policy = replace(policy, slices=replace(policy.slices, spacing_mm=(step, step, step)))
    faults: list[str] = [
        f"{root / name}: the link leads out of the folder and was not followed" for name in files.outside
    ]
    found = read_cases(card, layout, root / base, matched)
    faults += found.faults
    if not found.cases:
        raise DataError(
            f"{root} holds no usable case of cohort {card.name!r}: {faults[0] if faults else 'all excluded'}"
        )
    return Listing(
        card=card,
        layout=layout,
        cases=tuple(sorted(found.cases, key=lambda case: case.id)),
        policy=policy,
        provenance="real" if simulated is None else "in-silico",
        root=root / base,
        faults=tuple(sorted(faults)),
        excluded=tuple(sorted(found.excluded)),
        lesions=tuple(sorted(found.lesions, key=lambda case: case.id)),
        notes=(*([_UNFINISHED] if prepared and not prepared.get("complete", True) else []), *found.notes),
    )


def _choose(card: Card, files: Files, root: Path) -> tuple[Layout, str, Sequence[Match]]:
    """The layout and the base folder that match most files, at the least depth where anything matches."""
    paths = _one_a_folder(files.paths) if any(layout.slices for layout in card.layouts) else files.paths
    for depth in range(_DEPTH + 1):
        bases: dict[str, list[str]] = {}
        for path in paths:
            parts = path.split("/", depth)
            if len(parts) > depth:
                bases.setdefault("/".join(parts[:depth]), []).append(parts[depth])
        best: tuple[Layout, str, Sequence[Match]] | None = None
        for layout in card.layouts:
            for base in sorted(bases):
                found = match_files(layout, root / base, bases[base])
                if found and (best is None or len(found) > len(best[2])):
                    best = layout, base, found
        if best is not None:
            return best
    shown = " and ".join(path for path in _two(files.paths))
    raise DataError(
        f"{root} fits no layout of cohort {card.name!r}: found {shown}, "
        f"expected for example {' or '.join(_example(layout) for layout in card.layouts)}"
    )


def _one_a_folder(paths: Sequence[str]) -> list[str]:
    """The paths with only the first slice of every folder of slices."""
    kept, seen = [], set[str]()
    for path in paths:
        if path.endswith(".png"):
            folder = path.rpartition("/")[0]
            if folder in seen:
                continue
            seen.add(folder)
        kept.append(path)
    return kept


def _example(layout: Layout) -> str:
    return layout.table.file if layout.listed and layout.table is not None else next(iter(layout.images.values()))


def _two(paths: Sequence[str]) -> Sequence[str]:
    images = [path for path in paths if path.endswith((".nii", ".nii.gz"))]
    return (images or paths)[:2]


def _marker(root: Path, base: str, name: str) -> dict[str, Any] | None:
    path = next((folder / name for folder in (root, root / base) if (folder / name).is_file()), None)
    if path is None:
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}): delete the folder and make it again") from None
    if not isinstance(content, dict):
        raise DataError(f"{path} is damaged (no mapping): delete the folder and make it again")
    return content
