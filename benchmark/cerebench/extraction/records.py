"""The record of each case: what it was made from and how, by which a second run knows what is done."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cerebench.errors import DataError
from cerebench.extraction.plan import Job
from cerebench.extraction.settings import EXTRACTION_VERSION, NUMBERS, Options
from cerebench.jsonio import digest, read_json, write_json
from cerebench.paths import cache_root
from cerebench.prepare.index import HashIndex
from cerebench.templates import TEMPLATE_FILES, template_file

RECORDS, QUALITY, TRANSFORMS = "records", "quality", "transforms"


def file_index() -> HashIndex:
    """Hashes of files, remembered in the cache by path, size and time."""
    return HashIndex(cache_root() / "hashes.sqlite")


def record_path(job: Job) -> Path:
    """Where the record of a case lies."""
    return job.out / RECORDS / f"{job.name}.json"


def source_hashes(job: Job, index: HashIndex) -> dict[str, dict[str, str]]:
    """Kind → path relative to the cohort's folder, and SHA-256.

    Raises:
        DataError: a file is missing or unreadable.
    """
    return {
        kind: {"path": path.relative_to(job.root).as_posix(), "sha256": index.digest(path)}
        for kind, path in sorted(job.sources.items())
    }


def fingerprint(job: Job, sources: Mapping[str, Any], options: Options, index: HashIndex) -> str:
    """SHA-256 of everything that the voxels of a case depend on; places and dates of files are not part of it."""
    return digest(
        {
            "version": EXTRACTION_VERSION,
            "numbers": NUMBERS.as_dict(),
            "spacing_mm": options.spacing_mm,
            "template": {kind: index.digest(template_file(kind)) for kind in TEMPLATE_FILES},
            "antspyx": ants_version(),
            "sources": {kind: source["sha256"] for kind, source in sources.items()},
            "outputs": dict(job.outputs),
            "reference": job.reference,
            "mask_modality": job.case.mask_modality,
            "skull_stripped": job.policy.skull_stripped,
            "resample_mask": job.policy.resample_mask,
        }
    )


def ants_version() -> str:
    """Version of ANTsPy, ``absent`` where it is not installed."""
    try:
        return version("antspyx")
    except PackageNotFoundError:
        return "absent"


def finished(job: Job, key: str, options: Options, index: HashIndex) -> dict[str, Any] | None:
    """The record of a case that is done and whole, else ``None``.

    Every output is hashed again (remembered by size and time), so a damaged or changed file is noticed.
    """
    record = read_record(record_path(job))
    if record is None or record.get("fingerprint") != key:
        return None
    if options.keep_transforms and not record.get("transforms_kept"):
        return None
    try:
        whole = all(index.digest(job.out / name) == entry["sha256"] for name, entry in record["outputs"].items())
    except (DataError, KeyError, TypeError, AttributeError):  # a file is gone, or the record is mangled
        return None
    return record if whole else None


def read_record(path: Path) -> dict[str, Any] | None:
    """A record, ``None`` where there is none or it is damaged."""
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write_record(job: Job, record: Mapping[str, Any]) -> None:
    """Commit a case: what an older record named and this one does not is removed."""
    path = record_path(job)
    old = read_record(path) or {}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, dict(record))
    for name in sorted(set(old.get("outputs", {})) - set(record["outputs"])):
        stale = job.out / name
        if ".." not in Path(name).parts and stale.resolve().is_relative_to(job.out.resolve()):
            stale.unlink(missing_ok=True)
