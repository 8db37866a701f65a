"""Checks on a card and on a tree of its files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cerebench.testing.outcome import Measured, NotApplicable, require

if TYPE_CHECKING:
    from cerebench.cohorts.card import Card
    from cerebench.testing.card_tree import Tree

SHARES = {"test": 0.4, "validation": 0.3, "train": 0.3}
"""A split with every role; which shares does not matter here."""


def patterns(card: Card, cases: int) -> str:
    """Names that the card gives to the files of its twin are unique, and are read as what they were made from."""
    simulate = card.simulate
    if simulate is None:
        raise NotApplicable("the card has no `simulate` section to make names from")
    layout = card.layout(simulate.layout)
    kinds = [kind for kind in layout.patterns() if kind not in layout.images or kind in simulate.modalities]
    seen: dict[str, str] = {}
    for index in range(cases):
        values = simulate.field_values(index)
        for kind in kinds:
            path = str(layout.path(kind, **values))
            what = f"{kind} of case {layout.case_id(values)}"
            require(path not in seen, f"{path} would be both {seen.get(path)} and {what}")
            seen[path] = what
            if layout.patterns()[kind].endswith("/*.png"):
                path += "/001.png"
            if layout.listed:
                continue  # the table says which file is what
            found = layout.match(path)
            require(found is not None, f"{path} ({what}) fits no pattern of layout {layout.name!r}")
            read, fields = found or ("", {})
            require(read == kind, f"{path} ({what}) is read as {read}: its pattern comes first; make one narrower")
            wrong = next((name for name, value in fields.items() if values[name] != value), None)
            require(wrong is None, f"{path} ({what}): field {wrong} is read as {fields.get(wrong or '')!r}")
    return f"{len(seen)} names of {cases} cases"


def files(tree: Tree) -> Measured:
    """Every case is found, with its modalities, patient and centre."""
    listing = tree.listing
    require(not listing.faults, "; ".join(listing.faults[:3]))
    require(bool(listing.cases), "no case is found")
    lacking = [f"{case.id} has no image" for case in listing.cases if not case.images]
    require(not lacking, "; ".join(lacking[:3]))
    if tree.slots:
        _as_simulated(tree)
    figures = {"cases": len(listing.cases), "patients": len(listing.patients)}
    text = f"{len(listing.cases)} cases of {len(listing.patients)} patients, {', '.join(listing.modalities)}"
    return Measured(text, {name: float(value) for name, value in figures.items()})


def references(tree: Tree) -> str:
    """Every file can be read, masks hold known values, patients have lesions and controls have none."""
    from cerebench.prepare.inspection import inspect_cases

    listing = tree.listing
    found = list(inspect_cases(listing.cases, listing.policy, 1))
    faults = [fault for one in found for fault in one.faults]
    require(not faults, "; ".join(faults[:3]))
    marked = 0
    for case, one in zip(listing.cases, found, strict=True):
        lesion = bool(one.lesion_voxels)
        require(not (case.healthy and lesion), f"{case.id} is healthy, but its mask marks {one.lesion_voxels} voxels")
        marked += lesion
        slot = tree.slots.get(case.id)
        if slot is not None and not listing.card.healthy and case.mask is not None:
            require(lesion == slot.affected, f"{case.id}: its mask marks {one.lesion_voxels or 'no'} voxels")
    return f"{sum(one.files for one in found)} files, lesions in {marked} of {len(found)} cases"


def splits(tree: Tree) -> str:
    """A patient has one role, whatever the order of the cases, and every role gets a patient."""
    from cerebench.cohorts.splits import assign_splits

    cases = tree.listing.cases
    patients = set(tree.listing.patients)
    if len(patients) < len(SHARES):
        raise NotApplicable(f"{len(patients)} patients are too few for {len(SHARES)} roles")
    made = assign_splits(cases, SHARES)
    require(assign_splits(cases[::-1], SHARES).roles == made.roles, "roles depend on the order of the cases")
    of_patient: dict[str, set[str]] = {}
    for case in cases:
        of_patient.setdefault(case.patient, set()).update(made.roles[case.id])
    torn = sorted(patient for patient, roles in of_patient.items() if len(roles) != 1)
    require(not torn, f"patient {torn[:1]} has several roles")
    empty = [role for role in SHARES if not made.counts.get(role)]
    require(not empty, f"no patient for the role {empty[:1]}")
    return ", ".join(f"{role} {made.counts[role]}" for role in SHARES) + " patients"


def leakage(tree: Tree) -> str:
    """No image is there twice under two patients."""
    import hashlib

    owners: dict[str, tuple[str, str]] = {}
    for case in tree.listing.cases:
        for path in sorted(set(case.images.values())):
            content = hashlib.sha256()
            for file in sorted(path.glob("*.png")) if path.is_dir() else [path]:
                content.update(file.read_bytes())
            patient, first = owners.setdefault(content.hexdigest(), (case.patient, str(path)))
            require(patient == case.patient, f"{path} of patient {case.patient} equals {first} of patient {patient}")
    return f"{len(owners)} different images"


def _as_simulated(tree: Tree) -> None:
    """What the card reads from the names is what the generator was told."""
    listing, simulate = tree.listing, tree.listing.card.simulate
    assert simulate is not None
    require({case.id for case in listing.cases} == set(tree.slots), "other cases are found than were written")
    for modality in simulate.modalities:
        lacking = [case.id for case in listing.cases if modality not in case.images]
        require(not lacking, f"{modality} of case {lacking[:1]} is not found")
    _one_to_one({case.id: case.patient for case in listing.cases}, tree, "patient")
    if simulate.centres and len({case.centre for case in listing.cases}) > 1:
        _one_to_one({case.id: case.centre or "" for case in listing.cases}, tree, "centre")


def _one_to_one(read: Mapping[str, str], tree: Tree, what: str) -> None:
    """Cases share what is read exactly where they share it by design."""
    pairs = {(name, str(getattr(tree.slots[case], what))) for case, name in read.items()}
    for side, words in ((0, "{} is read for several of those who were simulated"), (1, "{} gets several names")):
        values = [pair[side] for pair in pairs]
        twice = sorted({value for value in values if values.count(value) > 1})
        require(not twice, f"{what} " + words.format(twice[0] if twice else ""))
