"""The numbers beside the pictures: the case as the leaderboard sees it, and where it stands among validation cases."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cerebench.jsonio import read_json

if TYPE_CHECKING:
    import numpy as np

    from cerebench.explain.predict import Explained
    from cerebench.explain.target import Target
    from cerebench.store import Store

SCHEMA_VERSION = 1


def numbers(explained: Explained, target: Target, store: Store) -> dict[str, Any]:
    """What ``numbers.json`` holds, without values that are not finite."""
    import numpy as np

    cell = target.cell
    validation = validation_scores(store.path(cell.reference))
    lesions = np.flatnonzero(explained.lesion.any(axis=(0, 1)))
    identity = {name: value for name, value in asdict(cell.identity).items() if name != "training_source"}
    found = {
        "schema_version": SCHEMA_VERSION,
        **identity,
        "training_source": cell.identity.training_source,
        "case": target.case.id,
        "patient": target.case.patient,
        "healthy": target.case.healthy,
        "label": target.case.label,
        "cell": cell.path,
        "artefact": cell.artefact,
        "reference": cell.reference,
        "notes": list(cell.notes),
        "score": explained.score,
        "score_rank_among_healthy_validation_cases": rank(explained.score, validation["healthy"]),
        "slices": [
            {
                "index": index,
                "lesion": index in lesions if explained.labelled else None,
                "score": explained.slice_scores[index],
                "rank_among_normal_validation_slices": rank(explained.slice_scores[index], validation["slices"]),
            }
            for index in sorted(explained.slice_scores)
        ],
        "shown": [asdict(level) for level in explained.levels],
        "map": {} if explained.map is None else _map_statistics(explained),
        "metrics": {"/".join(filter(None, row[3:6])): row[6] for row in explained.rows},
        "equals_stored_rows": equals_stored(explained, store.path(cell.path)),
        "thresholds": asdict(explained.thresholds),
        "method_numbers": dict(explained.numbers),
        "pictures": {
            name: {"lowest": float(planes.min()), "highest": float(planes.max())}
            for name, planes in explained.pictures.items()
        },
        "provenance_of_run": dict(target.job.provenance),
    }
    cleaned: dict[str, Any] = _finite(found)
    return cleaned


def validation_scores(reference: Path) -> dict[str, list[float]]:
    """Scores of healthy validation cases, and of validation slices without a lesion."""
    stored = read_json(reference / "validation.json")["cases"]
    cases = [case for case in stored if case["role"] in ("lesion", "healthy")]
    return {
        "healthy": [float(case["score"]) for case in cases if case["healthy"] and case["score"] is not None],
        "slices": [float(score) for case in cases for _, lesion, score in case["slices"] if not lesion],
    }


def rank(score: float | None, others: Sequence[float]) -> float | None:
    """Share of the others that lie below a score, ties half; ``None`` where there is nothing to compare."""
    if score is None or not others:
        return None
    return sum((other < score) + 0.5 * (other == score) for other in others) / len(others)


def equals_stored(explained: Explained, folder: Path) -> bool:
    """Whether the case's rows are those that the cell's leaderboard rows were computed from, to 1e-6."""
    import pandas as pd

    stored = pd.read_parquet(folder / "cases.parquet")
    name = explained.rows[0][0]
    rows = stored.loc[stored["case"] == name, ["level", "post", "metric", "value"]]
    kept = {tuple(row[:3]): float(row[3]) for row in rows.to_numpy().tolist()}
    mine = {row[3:6]: row[6] for row in explained.rows}
    same = (math.isclose(kept[key], mine[key], rel_tol=1e-6, abs_tol=1e-9) for key in mine)
    return mine.keys() == kept.keys() and all(same)


def _map_statistics(explained: Explained) -> dict[str, Any]:
    assert explained.map is not None
    places = {
        "inside_lesion": explained.lesion,
        "outside_lesion": explained.region & ~explained.lesion,
        "brain": explained.region,
    }
    known = places if explained.labelled else {"brain": explained.region}
    return {name: _statistics(explained.map[mask]) for name, mask in known.items() if mask.any()}


def _statistics(values: np.ndarray[Any, Any]) -> dict[str, float]:
    import numpy as np

    low, middle, high = np.percentile(values, [5, 50, 95])
    return {
        "voxels": int(values.size),
        "mean": float(values.mean(dtype=np.float64)),
        "standard_deviation": float(values.std(dtype=np.float64)),
        "percentile_5": float(low),
        "median": float(middle),
        "percentile_95": float(high),
        "highest": float(values.max()),
    }


def _finite(value: Any) -> Any:
    """The same with JSON keys, infinities and NaN as ``None``."""
    if isinstance(value, Mapping):
        return {str(key): _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
