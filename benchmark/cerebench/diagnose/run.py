"""``bench diagnose`` as a function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cerebench.contract.diagnosis import Diagnosis, Panels
from cerebench.diagnose.subject import Complaint, Subject
from cerebench.request import Display, Quiet

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Report:
    """The content of ``diagnosis.json``, and the files that were written."""

    content: dict[str, Any]
    files: tuple[Path, ...] = ()


def diagnose(
    complaint: Complaint, out: Path | None = None, force: bool = False, display: Display | None = None
) -> Report:
    """Diagnose one row of the leaderboard: signatures of failure in its results, then what the method itself says.

    Args:
        complaint: method and cohorts.
        out: folder for ``diagnosis.json`` and pictures, in a folder of their own; ``None`` writes nothing.
        force: replace files that are there.
        display: told of progress.

    Raises:
        UsageError: an unknown name, nothing to diagnose, files that are there already, or a deleted artefact.
        DataError, MethodError: faulty files, a failing method, a diagnosis that breaks the contract.
    """
    import torch

    from cerebench.diagnose.own import diagnose_job
    from cerebench.diagnose.rows import case_table
    from cerebench.diagnose.signatures import signatures
    from cerebench.diagnose.subject import find_subject
    from cerebench.diagnose.write import check_free, folder_of, write
    from cerebench.explain.make import ensure
    from cerebench.loop.device import devices
    from cerebench.plugins.registry import Registry
    from cerebench.store import Store

    shown = display or Quiet()
    device = devices(complaint.device)[0]
    registry = Registry.discover(list(complaint.cards))
    subject = find_subject(complaint, registry, shown)
    folder = None if out is None else folder_of(out, subject)
    if folder is not None:
        check_free(folder, force)
    store = Store(Path(complaint.results))
    cls = registry.load_method(subject.jobs[0].method)
    for job, cell in subject.cells():
        if complaint.cohorts or store.done(cell.path):
            ensure(subject.target(job, cell), store, device, shown)
    parts = {"": signatures(case_table(subject, store, registry))} if cls.info.task == "anomaly" else {}
    for number, job in enumerate(subject.jobs):
        if any(store.done(cell.path) for cell in job.evaluations):
            shown.phase(number, len(subject.jobs), "diagnosing")
            parts["+".join(job.modalities)] = diagnose_job(cls, job, store, torch.device(device))
    content = _content(subject, parts, store)
    pictures = {_joined(part, name): item for part, found in parts.items() for name, item in found.pictures.items()}
    return Report(content, () if folder is None else tuple(write(folder, content, pictures, force)))


def _content(subject: Subject, parts: Mapping[str, Diagnosis], store: Any) -> dict[str, Any]:
    identity = subject.jobs[0].evaluations[0].identity
    about = asdict(identity)
    columns = [
        {
            "cohort": cell.identity.cohort,
            "modality": cell.identity.modality,
            "status": (store.status(cell.path) or {"status": "missing"})["status"],
            "cell": cell.path,
            "artefact": cell.artefact,
        }
        for _, cell in subject.cells()
    ]
    several = sum(1 for part in parts if part) > 1
    names = {part: part if several else "" for part in parts}
    return {
        "schema_version": SCHEMA_VERSION,
        **{name: about[name] for name in ("protocol", "protocol_version", "preset", "method", "variant", "seed")},
        "training_source": identity.training_source,
        "columns": columns,
        "findings": [
            {**asdict(item), "triggered": item.triggered, "by": "method" if part else "harness", "part": names[part]}
            for part, found in parts.items()
            for item in found.findings
        ],
        "figures": [
            {**asdict(item), "by": "method" if part else "harness", "part": names[part]}
            for part, found in parts.items()
            for item in found.figures
        ],
        "pictures": [
            {"name": name, "kind": "panels" if isinstance(item, Panels) else "scatter", "part": names[part]}
            for part, found in parts.items()
            for name, item in found.pictures.items()
        ],
    }


def _joined(part: str, name: str) -> str:
    return f"{part} {name}".strip()
