"""Prepared cases of a plan: everything is prepared once, before any method runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from cerebench.contract.data import Provenance
from cerebench.errors import DataError
from cerebench.plan.cells import CaseRef
from cerebench.plan.columns import Member
from cerebench.prepare.batch import Request, prepare_all
from cerebench.prepare.cache import Prepared, Preparer

Key = tuple[Provenance, str, str, tuple[str, ...], float | None]
Progress = Callable[[int, int, str], None]


class PreparedCases:
    """Collects what a plan needs, prepares it, and hands out references or faults.

    Args:
        preparer: cache and target grid.
        dry: look into the cache only; what is not there gets an empty key.
    """

    def __init__(self, preparer: Preparer, dry: bool = False) -> None:
        self._preparer = preparer
        self._dry = dry
        self._wanted: dict[Key, Request] = {}
        self._found: dict[Key, Prepared | DataError | None] = {}
        self._digests: dict[Key, tuple[str, ...]] = {}
        self.complete = True

    def want(self, members: Iterable[Member], modalities: tuple[str, ...]) -> None:
        """Ask for cases with these channels."""
        for member in members:
            policy = replace(member.pool.listing.policy, lesion_free_mm=member.lesion_free_mm)
            request = Request(member.case, modalities, policy)
            self._wanted[_key(member, modalities)] = request

    def run(self, workers: int, progress: Progress) -> None:
        """Prepare everything asked for since the last time."""
        fresh = {key: request for key, request in self._wanted.items() if key not in self._found}
        for provenance in sorted({key[0] for key in fresh}):
            batch = {key: request for key, request in fresh.items() if key[0] == provenance}
            if self._dry:
                self._found |= {key: self._peek(request) for key, request in batch.items()}
                continue
            results = prepare_all(self._preparer, list(batch.values()), workers, progress)
            self._found |= {key: results[request.key] for key, request in batch.items()}

    def _peek(self, request: Request) -> Prepared | None:
        try:
            found = self._preparer.get(request.case, request.modalities, request.policy)
        except DataError:
            found = None
        self.complete = self.complete and found is not None
        return found

    def fault(self, members: Sequence[Member], modalities: tuple[str, ...]) -> str:
        """One sentence if any of the cases could not be prepared; empty if all are fine."""
        faults = [
            str(result) for member in members if isinstance(result := self._found[_key(member, modalities)], DataError)
        ]
        if not faults:
            return ""
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        return f"{faults[0]}{more}"

    def holds_brain(self, member: Member, modalities: tuple[str, ...]) -> bool:
        """Whether anything is left of a case: lesions may be near every slice of one."""
        entry = self._found[_key(member, modalities)]
        return not isinstance(entry, Prepared) or entry.meta["brain_voxels"] > 0

    def digests(self, member: Member, modalities: tuple[str, ...]) -> tuple[str, ...]:
        """Digests of the image files of a case, whatever their names; none where a file cannot be read."""
        key = _key(member, modalities)
        if key not in self._digests:
            try:
                files = [member.case.images[name] for name in modalities]
                self._digests[key] = tuple(self._preparer.index.digest(file) for file in files)
            except (DataError, KeyError):
                self._digests[key] = ()
        return self._digests[key]

    def refs(self, members: Sequence[Member], modalities: tuple[str, ...]) -> tuple[CaseRef, ...]:
        """References of cases without faults."""
        return tuple(self._ref(member, modalities) for member in members)

    def _ref(self, member: Member, modalities: tuple[str, ...]) -> CaseRef:
        entry = self._found[_key(member, modalities)]
        if isinstance(entry, DataError):
            raise entry
        case = member.case
        return CaseRef(
            id=case.id,
            patient=f"{case.cohort}/{case.patient}",
            folder=str(entry.folder if entry else Path()),
            key=entry.key if entry else "",
            modalities=modalities,
            healthy=case.healthy or member.lesion_free_mm is not None,
            centre=case.centre,
            label=case.label,
            covariates=dict(case.covariates),
            erosion_mm=member.pool.listing.policy.erosion_mm,
        )


def _key(member: Member, modalities: tuple[str, ...]) -> Key:
    return member.pool.provenance, member.case.cohort, member.case.id, modalities, member.lesion_free_mm
