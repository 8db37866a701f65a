"""Patients on both sides: who trains a method must not be among those it is tested on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from cerebench.plan.columns import Member

Digests = Callable[[Member], Iterable[str]]
_SHOWN = 3


def leak(tested: Sequence[Member], trained: Mapping[str, Sequence[Member]], distinct: bool, digests: Digests) -> str:
    """One sentence if a tested patient is also trained on; empty if none is.

    Within a cohort the splits keep patients apart. Two cohorts may hold one patient under one name, which counts where
    ``distinct`` says that names tell patients apart, or under two, which shows in equal image files.

    Args:
        tested: test cases of a column.
        trained: role (``unlabelled``, ``labelled``, …) → all cases its stages see.
        distinct: whether an equal name in another cohort is the same patient; letter case does not count.
        digests: content of a case's images.
    """
    names = {_name(member): member for member in tested}
    contents = {digest: member for member in tested for digest in digests(member)}
    for role, members in trained.items():
        twice: dict[str, str] = {}
        for member in members:
            mine = _words(member)
            other = names.get(_name(member)) if distinct else None
            if other is not None and other.case.cohort != member.case.cohort:
                twice.setdefault(mine, f"{mine} has the name of {_words(other)}")
            copy = next((contents[digest] for digest in digests(member) if digest in contents), None)
            if copy is not None:
                twice.setdefault(mine, f"{mine} has an image of {_words(copy)}")
        if twice:
            shown = "; ".join(list(twice.values())[:_SHOWN])
            more = f"; and {len(twice) - _SHOWN} more" if len(twice) > _SHOWN else ""
            return (
                f"leakage: {len(twice)} tested patient{'s' * (len(twice) > 1)} among the {role} training data "
                f"({shown}{more}); name the cases under `exclude` in the card of the training cohort"
            )
    return ""


def _name(member: Member) -> str:
    return member.case.patient.casefold()


def _words(member: Member) -> str:
    return f"{member.case.cohort}/{member.case.patient}"
