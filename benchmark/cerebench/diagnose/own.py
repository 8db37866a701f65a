"""What a trained method says about itself, given held-out healthy subjects and unlabelled scans of every centre."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cerebench.contract.diagnosis import DiagnoseContext, Diagnosis, check_diagnosis
from cerebench.contract.method import Method
from cerebench.plan.cells import CaseRef, Job

if TYPE_CHECKING:
    from torch import device

    from cerebench.store import Store

HELD_OUT, CENTRES, A_CENTRE = 8, 4, 2
"""So many held-out subjects, centres of a column and scans of a centre are delivered."""


def diagnose_job(cls: type[Method], job: Job, store: Store, place: device) -> Diagnosis:
    """The diagnosis of one trained artefact; empty for methods that give none.

    Raises:
        MethodError: the method breaks the contract of ``diagnose``.
    """
    import torch

    from cerebench.loop.device import autocast
    from cerebench.loop.models import trained_method
    from cerebench.loop.training_data import training_volumes
    from cerebench.training.seeding import derived_seed, seed_all

    if cls.diagnose is Method.diagnose:
        return Diagnosis()
    method = trained_method(cls, job, job.evaluations[0].artefact, store, place)
    crop = job.options.lesion_crop_mm
    context = DiagnoseContext(
        held_out=training_volumes(held_out(job), cls.info, False, crop),
        tested={name: training_volumes(refs, cls.info, False, crop) for name, refs in centres(job).items()},
        device=place,
        seed=job.seed,
    )
    seed_all(derived_seed(job.seed, "diagnose"))
    with torch.inference_mode(), autocast(place, job.options.precision):
        return check_diagnosis(cls.info.name, method.diagnose(context))


def held_out(job: Job) -> tuple[CaseRef, ...]:
    """Validation subjects of the last training stage; healthy validation scans where nothing is learnt."""
    refs = job.stages[-1].validation if job.stages else job.references[0].healthy
    return refs[:HELD_OUT]


def centres(job: Job) -> Mapping[str, tuple[CaseRef, ...]]:
    """Cohort, centre (where its card names one) and modality → the first scans; the first centres of every column."""
    found: dict[str, tuple[CaseRef, ...]] = {}
    for cell in job.evaluations:
        names = sorted({ref.centre or "" for ref in cell.cases})
        for centre in names[:CENTRES]:
            refs = [ref for ref in cell.cases if (ref.centre or "") == centre]
            name = " ".join(filter(None, (cell.identity.cohort, centre, cell.identity.modality)))
            found[name] = tuple(refs[:A_CENTRE])
    return found
