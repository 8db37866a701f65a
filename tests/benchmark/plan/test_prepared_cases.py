"""Preparation as the planner sees it: once for each case, faults as sentences, an honest dry run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cerebench.errors import DataError
from cerebench.plan import prepared as module
from cerebench.plan.columns import Member
from cerebench.plan.prepared import PreparedCases
from cerebench.prepare.cache import Prepared


@dataclass
class Cache:
    """Stands in for the preparer and for ``prepare_all``."""

    faults: dict[str, str] = field(default_factory=dict)
    there: set[str] = field(default_factory=set)
    calls: list[list[str]] = field(default_factory=list)

    def prepare_all(self, preparer, requests, workers, progress):
        self.calls.append([request.case.id for request in requests])
        return {request.key: self._entry(request.case.id) for request in requests}

    def _entry(self, name: str) -> Prepared | DataError:
        return DataError(self.faults[name]) if name in self.faults else Prepared(f"key-{name}", Path(name), {})

    def get(self, case, modalities, policy):
        return Prepared(f"key-{case.id}", Path(case.id), {}) if case.id in self.there else None


@pytest.fixture
def cache(monkeypatch) -> Cache:
    made = Cache()
    monkeypatch.setattr(module, "prepare_all", made.prepare_all)
    return made


@pytest.fixture
def members(world) -> list[Member]:
    pool = world.pools["tumours", "real"]
    return [Member(pool, case) for case in pool.cases("test", "t1")]


def test_each_case_is_prepared_once_however_often_it_is_asked_for(cache, members):
    cases = PreparedCases(cache)
    cases.want(members[:2], ("t1",))
    cases.want(members[:2], ("t1",))
    cases.run(0, lambda *_: None)
    cases.want(members, ("t1",))
    cases.run(0, lambda *_: None)
    assert cache.calls == [["test0", "test1"], ["test2"]]
    refs = cases.refs(members, ("t1",))
    assert (refs[0].id, refs[0].patient, refs[0].key) == ("test0", "tumours/test0", "key-test0")
    assert cases.complete


def test_faults_are_one_sentence_with_a_count(cache, members):
    cache.faults = {"test0": "test0.nii.gz is truncated", "test2": "test2.nii.gz holds NaN"}
    cases = PreparedCases(cache)
    cases.want(members, ("t1",))
    cases.run(0, lambda *_: None)
    assert cases.fault(members, ("t1",)) == "test0.nii.gz is truncated (and 1 more)"
    assert cases.fault(members[1:2], ("t1",)) == ""
    with pytest.raises(DataError, match="truncated"):
        cases.refs(members, ("t1",))


def test_a_dry_run_looks_but_prepares_nothing_and_knows_that_it_is_incomplete(cache, members):
    cache.there = {"test0"}
    cases = PreparedCases(cache, dry=True)
    cases.want(members[:1], ("t1",))
    cases.run(0, lambda *_: None)
    assert cases.complete
    cases.want(members, ("t1",))
    cases.run(0, lambda *_: None)
    assert not cases.complete
    assert [ref.key for ref in cases.refs(members, ("t1",))] == ["key-test0", "", ""]
    assert cache.calls == []
