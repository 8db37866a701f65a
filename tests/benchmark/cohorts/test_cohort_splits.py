"""Splits: who moves when a patient is added, grouping, strata, and cohorts that are too small."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cerebench.cohorts.splits import assign_splits, patient_fraction
from cerebench.contract.data import Case
from cerebench.errors import DataError, UsageError

THREE = {"test": 0.2, "validation": 0.2, "train": 0.6}
TWO = {"validation": 0.3, "test": 0.7}


def make(patients, centre=None, visits=1):
    return [
        Case(id=f"{name}-{visit}", patient=name, cohort="toy", images={"t1": Path("x")}, healthy=True, centre=centre)
        for name in patients
        for visit in range(visits)
    ]


def by_patient(cases, splits):
    return {case.patient: splits.roles[case.id] for case in cases}


names = st.sets(st.text("abcdefgh0123456789", min_size=1, max_size=6), min_size=3, max_size=60)


@given(patients=names, new=st.text("xyz", min_size=1, max_size=4), fractions=st.sampled_from([THREE, TWO]))
def test_a_new_patient_moves_nobody(patients, new, fractions):
    cases = make(sorted(patients))
    before = assign_splits(cases, fractions)
    after = assign_splits([*cases, *make([new])], fractions)
    for case in cases:
        if case.patient not in before.moved | after.moved:
            assert before.roles[case.id] == after.roles[case.id]
    for splits in (before, after):
        assert bool(splits.moved) == (splits.fallback is not None)


@given(patients=names, order=st.randoms(use_true_random=False), fractions=st.sampled_from([THREE, TWO]))
def test_patients_stay_together_and_order_does_not_matter(patients, order, fractions):
    cases = make(sorted(patients), visits=3)
    splits = assign_splits(cases, fractions)
    for patient in patients:
        assert len({splits.roles[case.id] for case in cases if case.patient == patient}) == 1
    order.shuffle(cases)
    assert assign_splits(cases, fractions) == splits


@given(patients=names)
def test_every_wanted_role_has_a_patient(patients):
    splits = assign_splits(make(sorted(patients)), THREE)
    assert all(splits.counts[role] >= 1 for role in THREE)
    assert sum(splits.counts.values()) == len(patients)
    assert sorted(case for role in THREE for case in splits.ids(role)) == sorted(splits.roles)


def test_roles_follow_the_hash():
    cases = make([f"p{i}" for i in range(2000)])
    roles = by_patient(cases, splits := assign_splits(cases, THREE))
    assert splits.fallback is None
    for patient, role in roles.items():
        place = patient_fraction("cerebench-1", "toy", patient)
        assert role == {"test" if place < 0.2 else "validation" if place < 0.4 else "train"}
    assert splits.counts["test"] == pytest.approx(400, abs=60)
    other = by_patient(cases, assign_splits(cases, THREE, salt="other"))
    assert sum(roles[name] != other[name] for name in roles) > 800


def test_hash_is_fixed_for_all_time():
    import hashlib

    number = int(hashlib.sha256(b"cerebench-1/toy/p1").hexdigest()[:16], 16)
    assert patient_fraction("cerebench-1", "toy", "p1") == pytest.approx(number / 2**64, abs=1e-15)


def test_each_large_centre_has_each_role():
    cases = [case for centre in "ABCD" for case in make([f"{centre}{i}" for i in range(8)], centre)]
    splits = assign_splits(cases, {"test": 0.1, "validation": 0.1, "train": 0.8})
    for centre in "ABCD":
        held = {role for case in cases if case.centre == centre for role in splits.roles[case.id]}
        assert held == {"test", "validation", "train"}
    assert splits.fallback is not None
    assert "no patient of centre " in splits.fallback
    for patient in splits.moved:
        assert f"patient {patient} moved from" in splits.fallback


def test_nearest_patient_moves():
    cases = make([f"p{i}" for i in range(400)])
    inside = [case for case in cases if patient_fraction("cerebench-1", "toy", case.patient) >= 0.3][:10]
    splits = assign_splits(inside, {"test": 0.3, "train": 0.7})
    nearest = min(inside, key=lambda case: patient_fraction("cerebench-1", "toy", case.patient)).patient
    assert splits.moved == {nearest}
    assert splits.fallback == f"patient {nearest} moved from train to test: no patient had it"


def test_shares_below_one_leave_patients_out():
    splits = assign_splits(make([f"p{i}" for i in range(50)]), {"test": 0.5})
    assert 0 < splits.counts["test"] < 50
    assert frozenset() in splits.roles.values()


@pytest.mark.parametrize(("count", "text"), [(4, "4 patients: thresholds are chosen leave-one-patient-out")])
def test_small_cohort_validates_and_tests_on_everybody(count, text):
    splits = assign_splits(make([f"p{i}" for i in range(count)], visits=2), TWO)
    assert set(splits.roles.values()) == {frozenset({"validation", "test"})}
    assert (splits.fallback, splits.leave_one_out) == (text, True)
    assert splits.counts == {"test": count, "validation": count}


def test_single_patient_has_no_threshold_of_its_own():
    splits = assign_splits(make(["p"]), TWO)
    assert splits.fallback == "1 patient: thresholds are chosen on other cohorts, if any"
    assert not splits.leave_one_out


def test_five_patients_are_split():
    splits = assign_splits(make([f"p{i}" for i in range(5)]), TWO)
    assert {len(roles) for roles in splits.roles.values()} == {1}
    assert not splits.leave_one_out


def test_training_needs_a_patient_a_role():
    with pytest.raises(DataError, match="has 2 patients, but the roles test, validation, train need at least 3"):
        assign_splits(make(["a", "b"]), THREE)
    assert sorted(assign_splits(make(["a", "b", "c"]), THREE).counts.values()) == [1, 1, 1]


@pytest.mark.parametrize(
    ("fractions", "expected"),
    [
        ({"tset": 1.0}, "unknown split role 'tset'"),
        ({"test": -0.1}, "is -0.1: expected a number from 0 to 1"),
        ({"test": 0.7, "train": 0.7}, r"sum to 1\.4"),
        ({}, "sum to 0"),
    ],
)
def test_senseless_shares(fractions, expected):
    with pytest.raises(UsageError, match=expected):
        assign_splits(make(["a"]), fractions)


def test_no_case():
    with pytest.raises(DataError, match="no case to split"):
        assign_splits([], TWO)
