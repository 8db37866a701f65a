"""Signatures of failure on hand-made rows, against sums by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cerebench.diagnose.rows import COLUMNS
from cerebench.diagnose.signatures import signatures

DEFAULT = {"modality": "t1", "kind": "", "healthy": True, "seen": True, "centre": "", "lesion_voxels": 0.0}


def table(*rows):
    """Cases of the columns of ``case_table``; what a row does not name is undefined."""
    made = [{**dict.fromkeys(COLUMNS, np.nan), **DEFAULT, "case": f"c{n}", **row} for n, row in enumerate(rows)]
    return pd.DataFrame(made, columns=list(COLUMNS))


def findings(cases):
    return {item.name: item for item in signatures(cases).findings}


def figures(cases):
    return {item.name: item.value for item in signatures(cases).figures}


HEALTHY = "false positives in normal regions of healthy subjects"
PATIENTS = "false positives in normal regions of patients"
MISSED = "low sensitivity to lesions"
NEW = "more false positives on new centres"
DROP = "drop of average precision on new centres"


def test_false_positives_are_pooled_over_normal_voxels_of_healthy_subjects_and_of_patients():
    cases = table(
        {"cohort": "a", "fp": 10.0, "tn": 90.0},
        {"cohort": "a", "fp": 0.0, "tn": 300.0},
        {"cohort": "b", "healthy": False, "kind": "ms", "fp": 1.0, "tn": 99.0, "lesion_voxels": 5.0},
        # without an outline nobody knows what is normal
        {"cohort": "c", "healthy": False, "kind": "atrophy", "lesion_voxels": np.nan},
    )

    found, numbers = findings(cases), figures(cases)

    assert found[HEALTHY].value == pytest.approx(10 / 400)
    assert numbers["FPR a t1"] == pytest.approx(10 / 400)
    assert found[PATIENTS].value == pytest.approx(0.01)
    assert (found[HEALTHY].triggered, found[PATIENTS].triggered) == (False, False)
    cases.loc[0, ["fp", "tn"]] = [40.0, 60.0]
    assert findings(cases)[HEALTHY].value == pytest.approx(0.1)
    assert findings(cases)[HEALTHY].triggered


def test_a_case_without_a_decision_leaves_the_rate_open():
    cases = table({"cohort": "a", "fp": 10.0, "tn": 90.0}, {"cohort": "a"})
    found = findings(cases)[HEALTHY]
    assert (found.triggered, found.value) == (None, None)
    assert found.text == "no lesion validation case to choose a threshold on"
    assert findings(table())[HEALTHY].text == "no result on healthy subjects with a reference of voxels"


def test_the_kind_that_is_missed_most_decides():
    lesion = {"healthy": False, "cohort": "a"}
    cases = table(
        {**lesion, "kind": "glioma", "lesion_voxels": 100.0, "tp_at_5fpr": 90.0},
        {**lesion, "kind": "ms", "lesion_voxels": 30.0, "tp_at_5fpr": 0.0},
        {**lesion, "kind": "ms", "lesion_voxels": 10.0, "tp_at_5fpr": 4.0},
        {**lesion, "kind": "stroke", "lesion_voxels": 10.0},
    )

    found, numbers = findings(cases)[MISSED], figures(cases)

    assert numbers["sensitivity to glioma"] == pytest.approx(0.9)
    assert found.value == numbers["sensitivity to ms"] == pytest.approx(0.1)
    assert "sensitivity to stroke" not in numbers
    assert found.triggered
    assert "ms" in found.text
    assert findings(cases[cases["kind"] == "glioma"])[MISSED].triggered is False
    assert findings(cases[cases["kind"] == "stroke"])[MISSED].triggered is None


@pytest.mark.parametrize(("new", "triggered"), [(9.0, True), (7.0, False)])
def test_false_positives_of_new_centres_are_held_against_trained_ones(new, triggered):
    cases = table(
        {"cohort": "a", "fp": 4.0, "tn": 96.0},
        {"cohort": "b", "seen": False, "fp": new, "tn": 100 - new},
    )
    found = findings(cases)[NEW]
    assert (found.value, found.triggered) == (pytest.approx(new / 4), triggered)
    assert findings(cases[cases["seen"]])[NEW].text == "no rate on healthy subjects of new centres"


def test_average_precision_drops_within_a_kind_of_lesion_only():
    lesion = {"healthy": False, "cohort": "a"}
    cases = table(
        {**lesion, "kind": "ms", "ap": 0.5},
        {**lesion, "kind": "ms", "ap": 0.7},
        {**lesion, "kind": "ms", "seen": False, "ap": 0.4},
        # an easy kind from a trained centre says nothing about centres
        {**lesion, "kind": "glioma", "ap": 1.0},
    )
    found = findings(cases)[DROP]
    assert found.value == pytest.approx(0.2)
    assert found.triggered
    assert findings(cases[cases["kind"] == "glioma"])[DROP].triggered is None
