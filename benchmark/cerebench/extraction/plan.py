"""Which cases of a cohort are to be extracted, from what files, to what files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cerebench.cohorts import pattern as language
from cerebench.cohorts.card import BRAIN_MASK, MASK
from cerebench.cohorts.reader import Listing
from cerebench.contract.data import Case, ReadPolicy
from cerebench.errors import DataError, UsageError
from cerebench.extraction.settings import REFERENCE_ORDER, Options
from cerebench.text import did_you_mean

_ENDINGS = (".nii", ".nii.gz")


@dataclass(frozen=True)
class Job:
    """One examination.

    Attributes:
        name: id of its case, of the first one where several cases (lesions, say) share their files.
        case: that case.
        policy: how its files are read.
        root: folder that the paths are relative to.
        out: folder of the prepared cohort.
        outputs: kind (a modality, ``mask``, ``brain_mask``) → path below ``out``.
    """

    name: str
    case: Case
    policy: ReadPolicy
    root: Path
    out: Path
    outputs: Mapping[str, str]

    @property
    def sources(self) -> dict[str, Path]:
        """Kind → file, for every file that is read."""
        extra = {MASK: self.case.mask, BRAIN_MASK: self.case.brain_mask}
        return {**self.case.images, **{kind: path for kind, path in extra.items() if path is not None}}

    @property
    def reference(self) -> str:
        """The modality that is registered to the template."""
        return next((name for name in REFERENCE_ORDER if name in self.case.images), min(self.case.images))


@dataclass(frozen=True)
class Plan:
    """Jobs sorted by name, and what cannot be done: name → error."""

    jobs: tuple[Job, ...]
    faults: Mapping[str, DataError]


def plan_jobs(listing: Listing, out: Path, options: Options, cases: Sequence[str] = ()) -> Plan:
    """Lay out the work.

    Args:
        listing: the cohort as it was found.
        out: folder of the prepared cohort.
        options: what the user chose.
        cases: ids of the cases wanted; empty for all.

    Raises:
        UsageError: the cohort has no skull any more, an unknown id, or ``out`` is the cohort's own folder.
    """
    if listing.policy.skull_stripped and not options.allow_stripped:
        raise UsageError(
            f"cohort {listing.card.name!r} in {listing.root} is already skull-stripped; nothing to prepare "
            "(--allow-stripped brings it to the template all the same)"
        )
    if listing.policy.slices is not None:
        raise UsageError(
            f"cohort {listing.card.name!r} in {listing.root} lies in folders of 2D slices, which have no geometry of "
            "their own to register by; take its NIfTI release, or convert it"
        )
    if out.resolve().is_relative_to(listing.root.resolve()) or listing.root.resolve().is_relative_to(out.resolve()):
        raise UsageError(f"--out: {out} and the cohort's folder {listing.root} overlap; choose another folder")
    known = [case.id for case in listing.cases]
    for name in cases:
        if name not in known:
            raise UsageError(f"--cases: cohort {listing.card.name!r} has no case {name!r}; {did_you_mean(name, known)}")
    jobs: dict[tuple[Path, ...], Job] = {}
    faults: dict[str, DataError] = {}
    owners: dict[str, str] = {}
    for case in listing.cases:
        if cases and case.id not in cases:
            continue
        try:
            job = _job(case, listing, out)
        except (DataError, UsageError) as error:
            faults[case.id] = DataError(str(error))
            continue
        files = tuple(job.sources[kind] for kind in sorted(job.sources))
        if files in jobs:  # cases that differ in lesion or class, not in files
            continue
        taken = [path for path in job.outputs.values() if path in owners]
        if taken:
            faults[case.id] = DataError(
                f"case {case.id} of {case.cohort}: {taken[0]} also belongs to case {owners[taken[0]]}, which lies in "
                "another space; give each case a file of its own"
            )
            continue
        owners |= dict.fromkeys(job.outputs.values(), case.id)
        jobs[files] = job
    return Plan(tuple(sorted(jobs.values(), key=lambda job: job.name)), faults)


def _job(case: Case, listing: Listing, out: Path) -> Job:
    files = {**case.images, MASK: case.mask, BRAIN_MASK: case.brain_mask}
    outputs = {kind: _relative(path, listing.root, case) for kind, path in files.items() if path is not None}
    if BRAIN_MASK not in outputs and listing.layout.brain_mask is not None:
        outputs[BRAIN_MASK] = _brain_mask_path(case, listing)
    return Job(case.id, case, listing.policy, listing.root, out, outputs)


def _relative(path: Path, root: Path, case: Case) -> str:
    if not path.is_relative_to(root) or ".." in path.parts:
        raise DataError(f"case {case.id} of {case.cohort}: {path} lies outside {root}; copy it there")
    if not path.name.endswith(_ENDINGS):
        raise DataError(f"case {case.id} of {case.cohort}: {path} is no NIfTI file; convert it to .nii.gz first")
    return path.relative_to(root).as_posix()


def _brain_mask_path(case: Case, listing: Listing) -> str:
    """Where the layout expects the brain mask of a case that has none, from the fields of its images' paths."""
    layout = listing.layout
    fields: dict[str, str] = {}
    for path in case.images.values():
        match = layout.match(PurePosixPath(path.relative_to(listing.root).as_posix()))
        fields |= match[1] if match is not None else {}
    pattern = layout.patterns()[BRAIN_MASK]
    if lacking := [name for name in language.field_names(pattern) if name not in fields]:
        raise DataError(
            f"case {case.id} of {case.cohort}: the pattern {pattern!r} of the brain mask has the field {lacking[0]!r}, "
            "which no image of the case tells; leave brain_mask out of the card's layout"
        )
    return layout.path(BRAIN_MASK, **fields).as_posix()
