"""The stored rows of a method's cases, one row a case, with what is known of where each comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cerebench.plan.cells import EvaluationCell, Job
from cerebench.plan.material import kind_of

if TYPE_CHECKING:
    import pandas as pd

    from cerebench.diagnose.subject import Subject
    from cerebench.plugins.registry import Registry
    from cerebench.store import Store

MEASURES = ("tp", "fp", "fn", "tn", "ap", "tp_at_5fpr")
COLUMNS = ("cohort", "modality", "case", "centre", "kind", "healthy", "seen", "lesion_voxels", *MEASURES)


def case_table(subject: Subject, store: Store, registry: Registry) -> pd.DataFrame:
    """Cases of every finished column.

    Columns: ``cohort, modality, case, centre``; ``kind`` of lesion, as the cohort's card names it for its twin
    (else the cohort's name); ``healthy``; ``seen``: whether the centre is one of those that training saw;
    ``lesion_voxels``; voxel counts ``tp, fp, fn, tn`` of the unfiltered map at the transferred threshold, ``ap`` and
    ``tp_at_5fpr``, NaN where undefined.
    """
    import pandas as pd

    parts = [
        _cases(job, cell, store, kind_of(registry.card(cell.identity.cohort)))
        for job, cell in subject.cells()
        if (store.status(cell.path) or {}).get("status") == "ok"
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))


def _cases(job: Job, cell: EvaluationCell, store: Store, kind: str) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    stored = pd.read_parquet(store.path(cell.path) / "cases.parquet")
    voxel = stored[(stored["level"] == "voxel") & (stored["post"] == "raw") & stored["metric"].isin(MEASURES)]
    wide = voxel.pivot(index="case", columns="metric", values="value")
    lesion = stored[(stored["level"] == "case") & (stored["metric"] == "lesion_voxels")].set_index("case")["value"]
    trained = {(ref.patient.partition("/")[0], ref.centre) for stage in job.stages for ref in stage.train}
    ids = [ref.id for ref in cell.cases]
    table = pd.DataFrame(
        {
            "cohort": cell.identity.cohort,
            "modality": cell.identity.modality,
            "case": ids,
            "centre": [ref.centre or "" for ref in cell.cases],
            "kind": ["" if ref.healthy else kind for ref in cell.cases],
            "healthy": [ref.healthy for ref in cell.cases],
            "seen": [(cell.identity.cohort, ref.centre) in trained for ref in cell.cases],
            "lesion_voxels": lesion.reindex(ids).to_numpy(dtype=np.float64),
        }
    )
    for name in MEASURES:
        table[name] = wide[name].reindex(ids).to_numpy(dtype=np.float64) if name in wide.columns else np.nan
    return table
