"""Deterministic splits by patient: a salted hash decides, so that a new patient moves nobody else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cerebench.contract.data import Case
from cerebench.errors import DataError, UsageError

ROLES = ("test", "validation", "train")
SMALL = 5


@dataclass(frozen=True)
class Splits:
    """Roles of the cases of one cohort.

    Attributes:
        roles: case id → roles; empty for a case that no role takes (the fractions sum to less than one).
        fallback: what was done where the hash alone left a role empty, as a sentence; ``None`` where nothing was.
        counts: role → number of patients.
        moved: patients whose roles are not the hash's own; the promise "a new patient moves nobody" is not for them.
        leave_one_out: whether thresholds must be chosen leaving the scored patient out, because every patient has both
            the validation and the test role.
    """

    roles: Mapping[str, frozenset[str]]
    fallback: str | None
    counts: Mapping[str, int]
    moved: frozenset[str] = frozenset()
    leave_one_out: bool = False

    def ids(self, role: str) -> tuple[str, ...]:
        """Sorted ids of the cases with a role."""
        return tuple(sorted(case for case, roles in self.roles.items() if role in roles))


def patient_fraction(salt: str, cohort: str, patient: str) -> float:
    """The patient's place in [0, 1): the first 53 bits of SHA-256 of ``salt/cohort/patient``."""
    digest = hashlib.sha256(f"{salt}/{cohort}/{patient}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


def assign_splits(cases: Sequence[Case], fractions: Mapping[str, float], salt: str = "cerebench-1") -> Splits:
    """Give every patient of one cohort a role.

    The unit interval is cut in the fixed order test, validation, train, and a patient takes the role of the part its
    hash falls into. Where a centre with at least twice as many patients as roles, or the whole cohort, is left without
    a wanted role, the patient whose hash is nearest to that part is moved there, and ``fallback`` says so. With fewer
    than ``SMALL`` patients and no ``train`` wanted, every patient gets all wanted roles.

    Args:
        cases: cases of one cohort, in any order.
        fractions: role (``test``, ``validation``, ``train``) → share of the patients; they sum to one or less.
        salt: changes the whole split.

    Raises:
        UsageError: unknown role, or shares that are negative or sum to more than one.
        DataError: no case, or ``train`` is wanted and there are fewer patients than roles.
    """
    wanted = _check(fractions)
    if not cases:
        raise DataError("no case to split: the cohort is empty")
    cohort = cases[0].cohort
    centres: dict[str, str] = {}
    for case in cases:
        centres[case.patient] = min(case.centre or "", centres.get(case.patient, case.centre or ""))
    patients = sorted(centres)
    if "train" in wanted and len(patients) < len(wanted):
        raise DataError(
            f"cohort {cohort!r} has {len(patients)} patient{'s' * (len(patients) != 1)}, but the roles "
            f"{', '.join(wanted)} need at least {len(wanted)}: add cases or drop a role"
        )
    if "train" not in wanted and len(wanted) > 1 and len(patients) < SMALL:
        return _all_roles(cases, patients, wanted)
    places = {patient: patient_fraction(salt, cohort, patient) for patient in patients}
    bounds = _bounds(wanted, fractions)
    roles = {
        patient: next((role for role in wanted if bounds[role][0] <= place < bounds[role][1]), None)
        for patient, place in places.items()
    }
    notes: list[str] = []
    moved: set[str] = set()
    for centre in sorted(set(centres.values())):
        members = [patient for patient in patients if centres[patient] == centre]
        if centre and len(members) >= 2 * len(wanted):
            notes += _repair(roles, members, places, bounds, moved, f" of centre {centre}")
    notes += _repair(roles, patients, places, bounds, moved, "")
    return Splits(
        roles={case.id: _as_set(roles[case.patient]) for case in sorted(cases, key=lambda case: case.id)},
        fallback="; ".join(notes) or None,
        counts={role: sum(value == role for value in roles.values()) for role in wanted},
        moved=frozenset(moved),
    )


def _check(fractions: Mapping[str, float]) -> tuple[str, ...]:
    for role, share in fractions.items():
        if role not in ROLES:
            raise UsageError(f"unknown split role {role!r}: expected {', '.join(ROLES)}")
        if not 0 <= share <= 1:
            raise UsageError(f"share of split role {role!r} is {share}: expected a number from 0 to 1")
    if not 0 < sum(fractions.values()) <= 1 + 1e-9:
        raise UsageError(
            f"shares of the split roles sum to {sum(fractions.values()):g}: expected more than 0, at most 1"
        )
    return tuple(role for role in ROLES if fractions.get(role, 0) > 0)


def _bounds(wanted: Iterable[str], fractions: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    bounds, start = {}, 0.0
    for role in wanted:
        end = start + fractions[role]
        bounds[role] = (start, end if end < 1 - 1e-9 else 1.0)
        start = end
    return bounds


def _all_roles(cases: Sequence[Case], patients: Sequence[str], wanted: tuple[str, ...]) -> Splits:
    count = len(patients)
    how = "leave-one-patient-out" if count > 1 else "on other cohorts, if any"
    return Splits(
        roles={case.id: frozenset(wanted) for case in sorted(cases, key=lambda case: case.id)},
        fallback=f"{count} patient{'s' * (count != 1)}: thresholds are chosen {how}",
        counts=dict.fromkeys(wanted, count),
        moved=frozenset(patients),
        leave_one_out=count > 1,
    )


def _repair(
    roles: dict[str, str | None],
    members: Sequence[str],
    places: Mapping[str, float],
    bounds: Mapping[str, tuple[float, float]],
    moved: set[str],
    scope: str,
) -> list[str]:
    """Give each role that nobody of ``members`` has the nearest patient of a role that can spare one."""
    notes = []
    for role, (low, high) in bounds.items():
        held = [roles[patient] for patient in members]
        if role in held:
            continue
        donors = [patient for patient in members if roles[patient] is None or held.count(roles[patient]) > 1]
        if not donors:
            continue
        nearest = min(donors, key=lambda p: (max(low - places[p], places[p] - high, 0.0), p))
        notes.append(f"patient {nearest} moved from {roles[nearest] or 'no role'} to {role}: no patient{scope} had it")
        roles[nearest] = role
        moved.add(nearest)
    return notes


def _as_set(role: str | None) -> frozenset[str]:
    return frozenset() if role is None else frozenset({role})
