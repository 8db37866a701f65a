"""Candidates of a search in a stored run, against scikit-learn on the same validation voxels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from cerebench.cli.chosen import print_choices
from cerebench.errors import UsageError
from cerebench.jsonio import read_json, write_json
from cerebench.scoring.sketch import ScoreSketch
from cerebench.scoring.storage import save_sketches
from cerebench.search.choices import Candidate, candidates
from cerebench.search.table import render_choices
from cerebench.store import Store, status_record

Pair = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]

SHIFTS = {"": {"glioma": 2.0, "ms": 0.2}, "score=b": {"glioma": 1.0, "ms": 1.5}}
"""How far either variant tells each kind of lesion apart: the plain one is better on the kind that the cohorts hold."""
COLUMNS = {"": ("gli-t1", "gli-t2", "ms-t1"), "score=b": ("gli-t1", "ms-t1")}


def voxels(variant: str, kind: str, case: int) -> Pair:
    rng = np.random.default_rng([len(variant), len(kind), case])
    labels = np.arange(300) < 40
    return (rng.normal(size=300) + SHIFTS[variant][kind] * labels).astype(np.float32), labels


def ap(*pairs: Pair) -> float:
    scores, labels = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    return float(average_precision_score(labels, scores))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    store = Store(tmp_path / "results")
    cells = []
    for variant, columns in COLUMNS.items():
        for modality in sorted({name.partition("-")[2] for name in columns}):
            write_reference(store, variant, modality)
        for name in columns:
            cohort, _, modality = name.partition("-")
            identity = {"protocol": "p", "protocol_version": 1, "preset": "quick", "method": "m", "variant": variant}
            identity |= {"cohort": cohort, "modality": modality, "seed": 0, "provenance": "in-silico"}
            path = f"runs/{variant or 'plain'}-{name}"
            cells.append({**identity, "training_source": "", "healthy": False, "path": path, "status": "planned"})
            cells[-1]["reason"] = ""
            row = {"level": "voxel", "stratum": "all", "post": "raw", "metric": "ap", "value": 0.5 + 0.1 * len(variant)}
            with store.writing(path) as folder:
                write_json(folder / "cell.json", {"reference": f"references/{variant or 'plain'}-{modality}"})
                write_json(folder / "metrics.json", {"rows": [row, {**row, "post": "median", "value": 0.0}]})
                write_json(folder / "status.json", status_record("ok"))
    about = {"protocol": "p", "protocol_version": 1, "preset": "quick", "banner": "", "ranked": True}
    about |= {"headline": ["ap"], "task": "anomaly", "preparation": "abc"}
    write_json(store.runs / "manifest-a.json", {"schema_version": 1, "updated": "2026", "about": about, "cells": cells})
    return store.root


def write_reference(store: Store, variant: str, modality: str) -> None:
    """Two gliomas for the selection; one of them and one ms patient for the balanced one; a healthy subject."""
    cases = [("lesion", "glioma", 0), ("lesion", "glioma", 1), ("balanced", "glioma", 0), ("balanced", "ms", 0)]
    records: list[dict[str, Any]] = [
        {"role": role, **({"kind": kind} if role == "balanced" else {})} for role, kind, _ in cases
    ]
    sketches = {
        f"{number:06d}/raw": ScoreSketch().update(*voxels(variant, kind, case))
        for number, (_, kind, case) in enumerate(cases)
    }
    records.append({"role": "healthy"})
    sketches[f"{len(cases):06d}/raw"] = ScoreSketch().update(np.ones(50, np.float32), np.zeros(50, dtype=bool))
    with store.writing(f"references/{variant or 'plain'}-{modality}") as folder:
        save_sketches(folder / "sketches.npz", sketches)
        write_json(folder / "validation.json", {"cases": records})
        write_json(folder / "status.json", status_record("ok"))


def by_place(found: list[Candidate]) -> dict[tuple[str, str], Candidate]:
    return {(one.variant, one.selection): one for one in found}


def test_each_selection_chooses_by_its_own_validation_voxels(results: Path) -> None:
    found = by_place(candidates(results))

    for variant in SHIFTS:
        first, second, third = (voxels(variant, *which) for which in (("glioma", 0), ("glioma", 1), ("ms", 0)))
        assert found[variant, "lesion"].validation_ap == pytest.approx(ap(first, second), abs=1e-3)
        balanced = (ap(first) + ap(third)) / 2
        assert found[variant, "balanced"].validation_ap == pytest.approx(balanced, abs=1e-3)
    assert {place for place, one in found.items() if one.chosen} == {("", "lesion"), ("score=b", "balanced")}


def test_test_figures_are_means_over_the_columns_that_all_have(results: Path) -> None:
    found = by_place(candidates(results))
    assert {one.n_columns for one in found.values()} == {2}
    assert found["", "lesion"].ap == pytest.approx(0.5)
    assert found["score=b", "lesion"].ap == pytest.approx(1.2)
    assert found["", "lesion"].best_dice is None


def test_without_balanced_cases_there_is_no_balanced_choice(results: Path) -> None:
    for path in (results / "references").glob("*/validation.json"):
        stored = read_json(path)
        for record in stored["cases"]:
            record["role"] = record["role"].replace("balanced", "controls")
        write_json(path, stored)
    assert {one.selection for one in candidates(results)} == {"lesion"}


def test_the_table_marks_what_is_chosen(results: Path) -> None:
    lines = render_choices(candidates(results)).splitlines()
    assert lines[0] == "p v1 · preset quick · in-silico data · m:"
    plain, other = (next(line for line in lines if line.startswith(start)) for start in ("(preset)", "score=b"))
    assert plain.split("chosen")[0].count(".") == 1
    assert other.split("chosen")[0].count(".") == 2


def test_printing(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_choices(results, "csv", None, None, "raw")
    assert len(capsys.readouterr().out.splitlines()) == 5
    print_choices(results, "json", None, None, "raw")
    assert '"candidates"' in capsys.readouterr().out
    with pytest.raises(UsageError, match=r"no method in .* has several variants"):
        print_choices(results, "table", None, "nightly", "raw")
    with pytest.raises(UsageError, match=r"did you mean 'table'"):
        print_choices(results, "tabel", None, None, "raw")
