"""Reference cells: validation predictions of one artefact, and its scores of healthy controls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from cerebench.contract.method import Method
from cerebench.jsonio import read_json, write_json
from cerebench.loop.cases import SliceScore, predict_case
from cerebench.loop.device import StageTimer, peak_memory
from cerebench.loop.feed import feed
from cerebench.loop.predict import BatchBackoff
from cerebench.loop.record import cell_provenance
from cerebench.loop.thresholds import Scored, ThresholdRule
from cerebench.plan.cells import CaseRef, Job, ReferenceCell
from cerebench.scoring.sketch import ScoreSketch
from cerebench.scoring.storage import load_sketches, save_sketches
from cerebench.store import Store, status_record

if TYPE_CHECKING:
    from torch import device

ROLES = ("lesion", "healthy", "controls", "balanced")


def run_reference(
    method: Method,
    job: Job,
    cell: ReferenceCell,
    store: Store,
    target: device,
    progress: Callable[[int, int, str], None],
) -> None:
    """Predict the validation and control cases and keep their counts and scores."""
    timer = StageTimer(target)
    batch = BatchBackoff(job.options.slice_batch)
    with store.writing(cell.path) as folder:
        records: list[dict[str, Any]] = []
        sketches: dict[str, ScoreSketch] = {}
        todo: list[tuple[str, CaseRef]] = [(role, ref) for role in ROLES for ref in getattr(cell, role)]
        done: dict[tuple[str, str], Scored] = {}
        # not by content: two patients may share a file, and one scan may hold several lesions
        fresh = list({(ref.patient, ref.id): ref for _, ref in todo}.values())
        for count, loaded in enumerate(feed(fresh, target)):
            progress(count, len(fresh), "validation")
            scores = predict_case(method, loaded, job.options, job.seed, batch, timer)
            done[loaded.ref.patient, loaded.ref.id] = Scored.of(scores)
        for number, (role, ref) in enumerate(todo):
            item = done[ref.patient, ref.id]
            records.append(
                {
                    "role": role,
                    "case": item.case,
                    "patient": item.patient,
                    "healthy": item.healthy,
                    "label": item.label,
                    "score": item.score,
                    "slices": [[each.index, int(each.lesion), each.score] for each in item.slices],
                }
            )
            if role == "balanced":
                records[-1]["kind"] = cell.kinds[item.patient.partition("/")[0]]
            if role != "controls":
                sketches |= {f"{number:06d}/{post}": sketch for post, sketch in item.sketches.items()}
        save_sketches(folder / "sketches.npz", sketches)
        write_json(folder / "validation.json", {"schema_version": 1, "mixed": cell.mixed, "cases": records})
        spent = {"seconds": dict(timer.seconds), "waiting": dict(timer.waiting)}
        write_json(folder / "timing.json", {**spent, "peak_bytes": peak_memory(target)})
        cases = [ref for _, ref in todo]
        write_json(folder / "provenance.json", cell_provenance(job, target, {"validation": cases}, job.seed))
        write_json(folder / "status.json", status_record("ok"))


def validation_ap(folder: Path, post: str = "raw") -> dict[str, float | None]:
    """AP of a finished reference cell on the validation voxels of either selection; ``None`` where there is no lesion.

    ``lesion``: of the pooled lesion cases. ``balanced``: the mean over kinds of lesion of the AP pooled over a kind.
    """
    sketches = load_sketches(folder / "sketches.npz")
    groups: dict[tuple[str, str], list[ScoreSketch]] = {}
    for number, record in enumerate(read_json(folder / "validation.json")["cases"]):
        sketch = sketches.get(f"{number:06d}/{post}")
        if sketch is not None and record["role"] in ("lesion", "balanced"):
            groups.setdefault((record["role"], record.get("kind", "")), []).append(sketch)
    found: dict[str, list[float]] = {"lesion": [], "balanced": []}
    for (role, _), members in groups.items():
        pooled = ScoreSketch.merge(members)
        if pooled.n_positive:
            found[role].append(pooled.average_precision())
    return {role: fmean(values) if values else None for role, values in found.items()}


def load_reference(folder: Path, percentiles: Sequence[int] = ()) -> tuple[ThresholdRule, list[Scored]]:
    """The threshold rule and the healthy controls of a finished reference cell."""
    sketches = load_sketches(folder / "sketches.npz")
    roles: dict[str, list[Scored]] = {role: [] for role in ROLES}
    balanced: list[tuple[str, Scored]] = []
    stored = read_json(folder / "validation.json")
    for number, record in enumerate(stored["cases"]):
        prefix = f"{number:06d}/"
        roles[record["role"]].append(
            Scored(
                case=record["case"],
                patient=record["patient"],
                healthy=record["healthy"],
                label=record["label"],
                score=record["score"],
                sketches={key[len(prefix) :]: value for key, value in sketches.items() if key.startswith(prefix)},
                slices=tuple(SliceScore(index, bool(lesion), score) for index, lesion, score in record["slices"]),
            )
        )
        if record["role"] == "balanced":
            balanced.append((record["kind"], roles["balanced"][-1]))
    rule = ThresholdRule(roles["lesion"], roles["healthy"], stored["mixed"], percentiles, balanced)
    return rule, roles["controls"]
