"""From a card and a folder to cases: picks the layout, groups files, and names every fault in one sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cerebench.cohorts import pattern as language
from cerebench.cohorts.card import BRAIN_MASK, MASK, Card, Layout
from cerebench.cohorts.walk import Files, list_files
from cerebench.contract.data import Case, Provenance, ReadPolicy
from cerebench.errors import DataError

MARKER = "cerebench-insilico.json"
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
    """

    card: Card
    layout: Layout
    cases: tuple[Case, ...]
    policy: ReadPolicy
    provenance: Provenance
    root: Path
    faults: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

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


@dataclass
class _Group:
    fields: Mapping[str, str]
    files: dict[str, list[str]] = field(default_factory=dict)


def read_cohort(card: Card, root: Path) -> Listing:
    """List the cases of a cohort below ``root`` (walked once; nothing is opened but the in-silico marker).

    Releases wrapped in up to three folders of their own are found too.

    Raises:
        DataError: ``root`` is no folder, is empty, fits no layout of the card, or its marker is damaged.
    """
    if not root.is_dir():
        raise DataError(f"{root} is no folder: cohort {card.name!r} expects its files there ({card.access})")
    files = list_files(root)
    if not files.paths:
        raise DataError(f"{root} is empty: cohort {card.name!r} expects files such as {_example(card.layouts[0])}")
    layout, base, matched = _choose(card, files, root)
    marker = _marker(root) or _marker(root / base)
    policy = layout.read_policy()
    if marker is not None:
        policy = replace(policy, skull_stripped=bool(marker.get("skull_stripped", policy.skull_stripped)))
    faults: list[str] = [
        f"{root / name}: the link leads out of the folder and was not followed" for name in files.outside
    ]
    cases, excluded = _cases(card, layout, root / base, matched, faults)
    if not cases:
        raise DataError(
            f"{root} holds no usable case of cohort {card.name!r}: {faults[0] if faults else 'all excluded'}"
        )
    return Listing(
        card=card,
        layout=layout,
        cases=tuple(sorted(cases, key=lambda case: case.id)),
        policy=policy,
        provenance="real" if marker is None else "in-silico",
        root=root / base,
        faults=tuple(sorted(faults)),
        excluded=tuple(sorted(excluded)),
    )


Matched = Sequence[tuple[str, str, dict[str, str]]]  # kind, path relative to the base, fields


def _choose(card: Card, files: Files, root: Path) -> tuple[Layout, str, Matched]:
    """The layout and the base folder that match most files, at the least depth where anything matches."""
    for depth in range(_DEPTH + 1):
        bases: dict[str, list[str]] = {}
        for path in files.paths:
            parts = path.split("/", depth)
            if len(parts) > depth:
                bases.setdefault("/".join(parts[:depth]), []).append(parts[depth])
        best: tuple[Layout, str, Matched] | None = None
        for layout in card.layouts:
            for base in sorted(bases):
                found = [(*hit, path) for path in bases[base] if (hit := layout.match(path)) is not None]
                if found and (best is None or len(found) > len(best[2])):
                    best = layout, base, [(kind, path, fields) for kind, fields, path in found]
        if best is not None:
            return best
    shown = " and ".join(path for path in _two(files.paths))
    raise DataError(
        f"{root} fits no layout of cohort {card.name!r}: found {shown}, "
        f"expected for example {' or '.join(_example(layout) for layout in card.layouts)}"
    )


def _cases(card: Card, layout: Layout, base: Path, matched: Matched, faults: list[str]) -> tuple[list[Case], list[str]]:
    groups: dict[tuple[str, ...], _Group] = {}
    for kind, path, fields in matched:
        group = groups.setdefault(tuple(fields[name] for name in layout.key), _Group(fields))
        group.files.setdefault(kind, []).append(path)
    by_id: dict[str, list[_Group]] = {}
    for group in groups.values():
        by_id.setdefault(layout.case_id(group.fields), []).append(group)
    cases, excluded = [], []
    for case_id, same in sorted(by_id.items()):
        if case_id in card.exclude:
            excluded.append(case_id)
            continue
        problems = list(_problems(card, layout, base, case_id, same))
        faults += [sentence for sentence, _ in problems]
        if not any(fatal for _, fatal in problems):
            cases.append(_case(card, layout, base, case_id, same[0]))
    return cases, excluded


def _problems(
    card: Card, layout: Layout, base: Path, case_id: str, same: Sequence[_Group]
) -> Iterator[tuple[str, bool]]:
    """Sentences about one case, each with whether the case cannot be used at all."""
    name = f"case {case_id} of {card.name}"
    for kind in layout.patterns():
        found = [path for group in same for path in group.files.get(kind, [])]
        if len(found) > 1:
            yield f"{name}: duplicate case, {kind} is there twice ({found[0]} and {found[1]}); keep one", True
    group = same[0]
    images = [kind for kind in layout.images if kind in group.files]
    if not images:
        yield f"{name}: no image, only {', '.join(sorted(group.files))}", True
        return
    if layout.mask is not None and MASK not in group.files:
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
        return base / group.files[kind][0] if kind in group.files else None

    return Case(
        id=case_id,
        patient=language.render(layout.patient, group.fields),
        cohort=card.name,
        images={kind: base / group.files[kind][0] for kind in layout.images if kind in group.files},
        healthy=card.healthy,
        mask=file(MASK),
        mask_modality=layout.mask_modality,
        brain_mask=file(BRAIN_MASK),
        centre=language.render(layout.centre, group.fields) if layout.centre is not None else None,
    )


def _expected(layout: Layout, kind: str, group: _Group) -> str:
    pattern = layout.patterns()[kind]
    known = {name: group.fields.get(name, f"{{{name}}}") for name in language.field_names(pattern)}
    return language.render(pattern, known)


def _example(layout: Layout) -> str:
    return next(iter(layout.images.values()))


def _two(paths: Sequence[str]) -> Sequence[str]:
    images = [path for path in paths if path.endswith((".nii", ".nii.gz"))]
    return (images or paths)[:2]


def _marker(root: Path) -> dict[str, Any] | None:
    path = root / MARKER
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}): delete the folder and simulate it again") from None
    if not isinstance(content, dict):
        raise DataError(f"{path} is damaged (no mapping): delete the folder and simulate it again")
    return content
