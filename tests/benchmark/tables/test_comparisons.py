"""Paired tests between the methods of a table: against DeLong and the permutation by hand, adjusted over the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cerebench.comparisons import FEW_LESIONS, compare, render_comparisons
from cerebench.jsonio import write_json
from cerebench.loop.rows import COLUMNS
from cerebench.manifest import IDENTITY
from cerebench.scoring.delong import paired_test
from cerebench.scoring.permutation import holm, permutation_p
from cerebench.store import Store, status_record


def lesions(n: int, seed: int, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores and classes; the difficulty of a lesion is the same for all methods."""
    labels = np.arange(n) % 2
    common = np.random.default_rng(n).normal(size=n)
    noise = np.random.default_rng(seed).normal(size=n)
    return 1 / (1 + np.exp(-(strength * labels + common + noise))), labels


class Board:
    """A results folder of made-up cells."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        self.cells: list[dict] = []

    def add(self, method: str, scores, labels, cohort: str = "here", seed: int = 0, task="lesion-classification"):
        values = ("p", 1, "standard", method, "", cohort, "t1c", seed, "in-silico")
        identity = {**dict(zip(IDENTITY, values, strict=True)), "training_source": "x"}
        path = f"runs/p@1/{method}/{cohort}-t1c/seed{seed}-0000000{seed}"
        rows = []
        for index, (score, label) in enumerate(zip(scores, labels, strict=True)):
            head = (f"l{index:03d}", f"{cohort}/p{index // 2}", "", "lesion", "")
            rows += [(*head, "score", float(score)), (*head, "label", float(label))]
        with self.store.writing(path) as folder:
            pd.DataFrame(rows, columns=list(COLUMNS)).to_parquet(folder / "cases.parquet", index=False)
            write_json(folder / "status.json", status_record("ok"))
        self.cells.append({**identity, "healthy": False, "path": path, "status": "planned", "reason": ""})
        about = {
            "protocol": "p",
            "protocol_version": 1,
            "preset": "standard",
            "banner": "",
            "ranked": True,
            "headline": ["auroc"],
            "task": task,
            "preparation": "0",
        }
        name = self.store.root / "runs/manifest-00000000.json"
        write_json(name, {"updated": "2000", "about": about, "cells": self.cells})


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path / "results")


@pytest.mark.parametrize(("n", "test"), [(28, "permutation"), (FEW_LESIONS, "delong")])
def test_pairs_of_a_column_with_the_test_of_its_size(board: Board, n: int, test: str) -> None:
    one, labels = lesions(n, 1, 2.0)
    other, _ = lesions(n, 2, 0.5)
    board.add("one", one, labels)
    board.add("other", other, labels)
    (found,) = compare(board.store.root)
    patients = [f"p{index // 2}" for index in range(n)]
    wanted = paired_test(one, other, labels, patients)
    assert (found.first, found.second, found.test, found.seeds) == ("one", "other", test, 1)
    assert (found.n_lesions, found.n_patients) == (n, n // 2)
    assert (found.difference, found.low, found.high) == pytest.approx(wanted[:3])
    p = wanted.p if test == "delong" else permutation_p(one, other, labels, patients)
    assert found.p == pytest.approx(p)
    assert found.p_holm == found.p


def test_holm_counts_every_pair_of_the_table_and_seeds_are_averaged(board: Board) -> None:
    for number, method in enumerate(("a", "b", "c")):
        for cohort in ("here", "there"):
            for seed in (0, 1):
                board.add(method, *lesions(60, 10 * number + seed, 0.7 * number), cohort=cohort, seed=seed)
    found = compare(board.store.root)
    assert [(one.cohort, one.first, one.second) for one in found] == [
        (cohort, *pair) for cohort in ("here", "there") for pair in (("a", "b"), ("a", "c"), ("b", "c"))
    ]
    assert [one.p_holm for one in found] == pytest.approx(holm([one.p or 0 for one in found]))
    sides = [np.stack([lesions(60, 10 * number + seed, 0.7 * number)[0] for seed in (0, 1)]) for number in (0, 1)]
    labels, patients = lesions(60, 0, 0)[1], [f"p{index // 2}" for index in range(60)]
    assert found[0].seeds == 2
    assert found[0].p == pytest.approx(paired_test(*sides, labels, patients).p)


def test_methods_on_other_lesions_or_of_another_task_are_not_compared(board: Board) -> None:
    board.add("one", *lesions(28, 1, 1.0))
    board.add("shorter", *lesions(26, 2, 1.0))
    assert compare(board.store.root) == []
    scores, labels = lesions(28, 3, 1.0)
    board.add("relabelled", scores, 1 - labels)
    assert compare(board.store.root) == []
    board.add("map", *lesions(28, 3, 1.0), task="anomaly")
    assert compare(board.store.root) == []


def test_one_class_has_no_test(board: Board) -> None:
    for method in ("one", "other"):
        board.add(method, np.linspace(0, 1, 28), np.ones(28))
    (found,) = compare(board.store.root)
    assert (found.test, found.p, found.p_holm, found.low) == ("none", None, None, None)
    assert "–" in render_comparisons([found])


def test_text_has_a_line_a_pair(board: Board) -> None:
    board.add("one", *lesions(28, 1, 2.0))
    board.add("other", *lesions(28, 2, 0.5))
    text = render_comparisons(compare(board.store.root, protocol="p", preset="standard"))
    assert text.startswith("p v1 · preset standard · in-silico data · paired tests of auroc (lesion):")
    (line,) = [line for line in text.splitlines() if line.startswith("here t1c")]
    assert "28 (14)" in line
    assert "permutation" in line
    assert compare(board.store.root, preset="quick") == []
