"""One case from its files to canonical volumes, quality picture and record."""

from __future__ import annotations

import sys
import time
from typing import Any

from cerebench.digest import library_versions
from cerebench.extraction.atlas import load_atlas
from cerebench.extraction.files import write_bytes
from cerebench.extraction.notes import Notes
from cerebench.extraction.plan import Job
from cerebench.extraction.records import file_index, fingerprint, source_hashes, write_record
from cerebench.extraction.results import make_results
from cerebench.extraction.settings import EXTRACTION_VERSION, NUMBERS, Options
from cerebench.extraction.spaces import find_spaces
from cerebench.jsonio import digest
from cerebench.prepare.grid import canonical
from cerebench.prepare.read import read_image
from cerebench.templates import TEMPLATE_NAME

LIBRARIES = ("antspyx", "numpy", "scipy", "nibabel", "nilearn", "pillow")


def extract(job: Job, options: Options) -> dict[str, Any]:
    """Do one case and write its files, the record last.

    Returns:
        The record, see ``docs/extraction.md``.

    Raises:
        DataError: a fault of the case's files, or no brain is found.
        UsageError: the output cannot be written.
    """
    start = time.perf_counter()
    index = file_index()
    sources = source_hashes(job, index)
    key = fingerprint(job, sources, options, index)
    notes = Notes()
    with notes.step("read"):
        atlas = load_atlas()
        scans = {name: canonical(read_image(path)) for name, path in sorted(job.case.images.items())}
    notes.warnings += [
        f"{name}: the header does not say where the patient's left is" for name in scans if not scans[name].oriented
    ]
    spaces = find_spaces(job, scans, atlas, NUMBERS, notes)
    results = make_results(job, spaces, atlas, options, notes)
    with notes.step("write"):
        outputs = {name: write_bytes(job.out / name, content) for name, content in sorted(results.files.items())}
    transforms = {name: matrix.tolist() for name, matrix in spaces.to_scan.items()}
    record = {
        "schema": 1,
        "cohort": job.case.cohort,
        "case": job.name,
        "version": EXTRACTION_VERSION,
        "fingerprint": key,
        "sources": sources,
        "outputs": outputs,
        "spacing_mm": options.spacing_mm,
        "template": TEMPLATE_NAME,
        "reference": spaces.reference,
        "brain": {"origin": spaces.found.origin, **spaces.found.detail},
        "template_to_image": transforms,
        "transforms_sha256": digest(transforms),
        "transforms_kept": options.keep_transforms,
        "quality": results.quality,
        "lesion": results.lesion,
        "warnings": notes.warnings,
        "steps": notes.steps,
        "numbers": NUMBERS.as_dict(),
        "libraries": library_versions(LIBRARIES),
        "seconds": round(time.perf_counter() - start, 2),
        "peak_memory_bytes": _peak_memory(),
    }
    write_record(job, record)
    return record


def _peak_memory() -> int | None:
    """Most memory that this process ever held; ``None`` where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
