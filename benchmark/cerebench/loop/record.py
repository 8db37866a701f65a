"""What a cell's ``provenance.json`` says beyond the run's: machine, determinism, data, seed."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cerebench.plan.cells import CaseRef, EvaluationCell, Job
from cerebench.plan.keys import scored_fingerprint
from cerebench.provenance import machine
from cerebench.training.seeding import deterministic

if TYPE_CHECKING:
    from torch import device

_LACKING = re.compile(r"(\S+) does not have a deterministic implementation")
_SEEN: set[str] = set()
"""Operations without a deterministic kernel that this process has used since its job began."""


@contextmanager
def reproducible(target: device) -> Iterator[None]:
    """Deterministic kernels wherever torch has them; the operations that have none are noted, not refused."""
    _SEEN.clear()
    with deterministic(target), warnings.catch_warnings():
        warnings.filterwarnings("always", message=f".*{_LACKING.pattern}")
        show = warnings.showwarning

        def note(message: Warning | str, *where: Any, **more: Any) -> None:
            found = _LACKING.search(str(message))
            if found:
                _SEEN.add(found[1])
            else:
                show(message, *where, **more)

        warnings.showwarning = note
        yield


def cell_provenance(
    job: Job, target: device, data: Mapping[str, Sequence[CaseRef]], seed: int, **more: Any
) -> dict[str, Any]:
    """The run's provenance with what holds for one cell.

    Args:
        job: the cell's job.
        target: device it ran on.
        data: use (``tested``, ``validation``, ``training``) → its cases, in order; their content gives a fingerprint.
        seed: of the cell.
        more: further fields.
    """
    return {
        **job.provenance,
        "machine": machine(target),
        "nondeterministic_operations": sorted(_SEEN),
        "precision": job.options.precision if target.type == "cuda" else "32-true",
        "seed": seed,
        "data": {
            use: {"cases": len(cases), "fingerprint": scored_fingerprint(cases, covariates=True)}
            for use, cases in data.items()
        },
        **more,
    }


def data_of(job: Job, cell: EvaluationCell) -> dict[str, list[CaseRef]]:
    """Every case that a cell's numbers rest on: tested, for thresholds and controls, and learnt from."""
    (reference,) = [item for item in job.references if item.path == cell.reference]
    return {
        "tested": list(cell.cases),
        "validation": [*reference.lesion, *reference.healthy, *reference.controls],
        "training": [ref for stage in job.stages for ref in (*stage.train, *stage.validation)],
    }
