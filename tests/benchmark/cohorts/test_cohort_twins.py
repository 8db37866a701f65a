"""In-silico twins: made once, never half, by one process at a time."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from cerebench.cohorts.reader import MARKER, read_cohort
from cerebench.cohorts.twins import ensure_twin, write_twin
from cerebench.errors import PluginError, UsageError

SIMULATE = {
    "generator": "empty-files",
    "layout": "nested",
    "lesion": "ms",
    "modalities": ["t1", "flair"],
    "centres": ["A", "B"],
    "fields": {"site": "{centre}", "patient": "P{index}", "visit": "1"},
    "parameters": {"lesion_contrast": 0},
}


def simulate(card, out, cases, spacing, seed, progress=None):
    layout = card.layout(card.simulate.layout)
    for index in range(cases):
        for kind in layout.patterns():
            path = out / layout.path(kind, **card.simulate.field_values(index))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        if progress is not None:
            progress(index + 1, cases, card.name)
    with (out.parent.parent / "calls").open("a") as calls:
        calls.write("x")


@pytest.fixture
def card(base, make_card):
    base["simulate"] = SIMULATE
    base["layouts"][0]["skull_stripped"] = False
    return make_card(base)


def ensure(card, cache, simulator=simulate, **changes):
    arguments = {"cases": 3, "spacing": 4.0, "seed": 1, "digest": "d", **changes}
    return ensure_twin(card, simulator, cache=cache, **arguments)


def test_made_once_and_read_like_any_cohort(card, tmp_path):
    seen = []
    root = ensure(card, tmp_path, progress=lambda *step: seen.append(step))
    assert root.name == "toy"
    assert root.parent.parent == tmp_path / "insilico"
    assert seen == [(1, 3, "toy"), (2, 3, "toy"), (3, 3, "toy")]
    listing = read_cohort(card, root)
    assert (listing.provenance, len(listing.cases), listing.unready, listing.faults) == ("in-silico", 3, (), ())
    marker = json.loads((root / MARKER).read_text())
    assert marker["generator"] == "empty-files"
    assert marker["parameters"] == {"lesion_contrast": 0}
    assert (marker["cases"], marker["spacing_mm"], marker["seed"], marker["generator_digest"]) == (3, 4.0, 1, "d")

    def never(*arguments, **options):
        raise AssertionError("generated again")

    assert ensure(card, tmp_path, never) == root


@pytest.mark.parametrize("change", [{"cases": 4}, {"spacing": 3.0}, {"seed": 2}, {"digest": "e"}])
def test_any_parameter_makes_another_twin(card, tmp_path, change):
    assert ensure(card, tmp_path) != ensure(card, tmp_path, **change)


def test_card_content_makes_another_twin(card, tmp_path, base, make_card):
    base["simulate"] = {**SIMULATE, "parameters": {"lesion_contrast": 1}}
    base["layouts"][0]["skull_stripped"] = False
    root = ensure(card, tmp_path)
    assert root != ensure(make_card(base), tmp_path)
    base["simulate"] = SIMULATE
    base["summary"] = "Better words."
    assert root == ensure(make_card(base), tmp_path)


def test_killed_generation_is_made_again(card, tmp_path):
    def killed(card, out, cases, spacing, seed, progress=None):
        simulate(card, out, 1, spacing, seed)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensure(card, tmp_path, killed)
    store = tmp_path / "insilico"
    assert not [path for path in store.iterdir() if path.is_dir() and path.suffix != ".partial"]
    assert len(read_cohort(card, ensure(card, tmp_path)).cases) == 3
    assert not list(store.glob("*.partial"))


def test_wrong_tree_is_the_generator_s_fault(card, tmp_path):
    def short(card, out, cases, spacing, seed, progress=None):
        simulate(card, out, cases - 1, spacing, seed)

    with pytest.raises(PluginError, match="'empty-files' was asked for 3 cases of 'toy', found 2 cases"):
        ensure(card, tmp_path, short)
    with pytest.raises(PluginError, match="wrote no readable tree for 'toy'"):
        ensure(card, tmp_path, lambda *arguments, **options: None)

    def maskless(card, out, cases, spacing, seed, progress=None):
        simulate(card, out, cases, spacing, seed)
        next(out.rglob("lesion.nii.gz")).unlink()

    with pytest.raises(PluginError, match="lesion mask missing"):
        ensure(card, tmp_path, maskless)


def test_three_at_once_make_one_twin(card, tmp_path):
    """The lock belongs to the open file, so threads exclude each other just as processes do."""
    start = threading.Barrier(3)

    def slow(card, out, cases, spacing, seed, progress=None):
        time.sleep(0.2)
        simulate(card, out, cases, spacing, seed)

    def work(_):
        start.wait(30)
        return ensure(card, tmp_path, slow)

    with ThreadPoolExecutor(3) as pool:
        roots = list(pool.map(work, range(3)))
    assert len(set(roots)) == 1
    assert [path.read_text() for path in (tmp_path / "insilico").rglob("calls")] == ["x"]


def test_senseless_requests(card, base, make_card, tmp_path):
    with pytest.raises(UsageError, match="0 cases of 'toy' asked for"):
        ensure(card, tmp_path, cases=0)
    with pytest.raises(UsageError, match="spacing of 50 mm"):
        ensure(card, tmp_path, spacing=50)
    del base["simulate"]
    with pytest.raises(UsageError, match="'toy' has no in-silico twin"):
        write_twin(make_card(base), simulate, tmp_path / "x", 1, 4.0, 0)


def test_unwritable_cache(card, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"file/insilico cannot be written .*set CEREBENCH_CACHE"):
        ensure(card, tmp_path / "file")
