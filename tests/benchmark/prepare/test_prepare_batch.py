from __future__ import annotations

import dataclasses
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cerebench.contract.data import ReadPolicy
from cerebench.errors import DataError
from cerebench.prepare import batch
from cerebench.prepare.batch import Request, prepare_all
from cerebench.prepare.cache import Prepared, Preparer
from cerebench.prepare.spec import PrepareSpec

Make = Callable[..., Any]


class KillsItsReader:
    """Unpickling it kills the process that does so, as a crash in a C library would."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[int]]:
        return signal.raise_signal, (signal.SIGKILL,)


@pytest.fixture
def preparer(tmp_path: Path, spec: PrepareSpec) -> Preparer:
    return Preparer(tmp_path / "cache", spec)


@pytest.fixture
def requests(phantom: Make, stripped: ReadPolicy) -> list[Request]:
    """Six cases: sound, truncated image, sound, mask with an unknown label, missing image, sound."""
    cases = [phantom(folder=f"case{number}", radius=30.0 + number)[1] for number in range(6)]
    path = cases[1].images["t1"]
    path.write_bytes(path.read_bytes()[:2000])
    cases[4].images["t1"].unlink()
    found = [Request(case, ("t1",), stripped) for case in cases]
    found[3] = Request(cases[3], ("t1",), dataclasses.replace(stripped, labels={5: "anomaly"}))
    return found


def outcome(results: dict[Any, Prepared | DataError]) -> list[str]:
    return ["ok" if isinstance(result, Prepared) else str(result).split(": ", 1)[1] for result in results.values()]


@pytest.mark.parametrize("workers", [0, 2])
def test_faults_stay_with_their_case(preparer: Preparer, requests: list[Request], workers: int) -> None:
    seen: list[tuple[int, int, str]] = []
    results = prepare_all(preparer, requests, workers, lambda *told: seen.append(told))
    assert list(results) == [request.key for request in requests]
    found = outcome(results)
    assert [text == "ok" for text in found] == [True, False, True, False, False, True]
    assert found[1].startswith("found a truncated gzip")
    assert found[3].startswith("found label value 1, expected one of 0, 5")
    assert found[4].startswith("the file is missing")
    assert [told[0] for told in seen] == [1, 2, 3, 4, 5, 6]
    assert {told[1] for told in seen} == {6}
    assert any("phantom case2 t1" in told[2] for told in seen)


def test_workers_give_the_same_arrays_as_this_process(
    tmp_path: Path, spec: PrepareSpec, requests: list[Request]
) -> None:
    ours = prepare_all(Preparer(tmp_path / "one", spec), requests, workers=0)
    theirs = prepare_all(Preparer(tmp_path / "two", spec), requests, workers=2)
    for key, mine in ours.items():
        other = theirs[key]
        if isinstance(mine, Prepared):
            assert isinstance(other, Prepared)
            assert other.key == mine.key
            np.testing.assert_array_equal(mine.image(), other.image())


def test_hits_start_no_process(preparer: Preparer, requests: list[Request], monkeypatch: pytest.MonkeyPatch) -> None:
    sound = [requests[0], requests[2], requests[5]]
    prepare_all(preparer, sound, workers=0)

    def fail(*_: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(batch, "_in_processes", fail)
    assert outcome(prepare_all(preparer, sound, workers=4)) == ["ok"] * 3


def test_a_killed_worker_is_the_fault_of_its_case_alone(preparer: Preparer, requests: list[Request]) -> None:
    deadly = dataclasses.replace(requests[2].case, covariates={"bomb": KillsItsReader()})  # type: ignore[dict-item]
    requests[2] = Request(deadly, ("t1",), requests[2].policy)
    results = prepare_all(preparer, requests, workers=2)
    found = outcome(results)
    assert [text == "ok" for text in found] == [True, False, False, False, False, True]
    assert "the process preparing it ended by signal SIGKILL" in found[2]
    assert "case case2 of phantom" in str(results[requests[2].key])


def test_an_unforeseen_error_becomes_a_sentence(
    preparer: Preparer, requests: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("surprise")

    monkeypatch.setattr(preparer, "prepare", broken)
    (result,) = prepare_all(preparer, requests[:1], workers=0).values()
    assert isinstance(result, DataError)
    assert "case case0 of phantom: preparation failed with RuntimeError: surprise" in str(result)


def test_a_request_made_twice_is_prepared_once(preparer: Preparer, requests: list[Request]) -> None:
    seen: list[int] = []
    results = prepare_all(preparer, [requests[0], requests[0]], 0, lambda done, total, text: seen.append(total))
    assert list(results) == [requests[0].key]
    assert seen == [1]


def test_two_processes_making_the_same_entry_agree(preparer: Preparer, requests: list[Request], tmp_path: Path) -> None:
    """Copies of one case under eight names share a cache key, and two workers meet there."""
    first = requests[0]
    copies = [
        Request(dataclasses.replace(first.case, id=f"copy{number}"), ("t1",), first.policy) for number in range(8)
    ]
    results = list(prepare_all(preparer, copies, workers=2).values())
    assert len(results) == 8
    assert all(isinstance(result, Prepared) and result.image().max() > 0 for result in results)
    assert len(list((preparer.cache_root / "prepared").glob("*/*"))) == 1
    assert not list((preparer.cache_root / "drafts").iterdir())


def test_nothing_wanted_is_nothing_done(preparer: Preparer) -> None:
    assert prepare_all(preparer, [], workers=2) == {}
