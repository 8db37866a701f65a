"""Verdicts on simulated results folders: what decides, what never mixes, what is not measured."""

from __future__ import annotations

from collections import Counter

import pytest

from cerebench.claims import check as checking
from cerebench.claims.check import Checked, check, verdict_of
from cerebench.claims.ledger import load_ledger
from cerebench.claims.simulate import simulate
from cerebench.claims.verdicts import command, judge
from cerebench.errors import UsageError
from cerebench.jsonio import read_json, write_json
from cerebench.store import Store

TURNED = {"higher": {"method": "bad", "cohort": "c", "modality": "t1"}}
TURNED |= {"lower": {"method": "good", "cohort": "c", "modality": "t1"}}


def only(claim, root, **options):
    """The one verdict of a claim."""
    (judged,) = judge([claim], Store(root), **options)
    (verdict,) = judged.verdicts
    return verdict


def test_a_gross_effect_is_supported_and_its_reverse_is_not(claim, simulated):
    root = simulated(claim())
    verdict = only(claim(), root)
    assert verdict.word == "supported"
    (finding,) = verdict.findings
    assert finding.state == "holds"
    assert finding.effect.low > 0
    assert finding.effect.shared == 40
    rows = {name: row for name in ("good", "bad") for row in rows_of(root, name)}
    assert finding.effect.value == pytest.approx(rows["good"]["value"] - rows["bad"]["value"])
    reverse = only(claim(**TURNED), root)
    assert reverse.word == "not supported"
    assert reverse.findings[0].state == "fails"


def rows_of(root, method):
    cells = read_json(root / "runs" / "manifest-simulated.json")["cells"]
    (path,) = [cell["path"] for cell in cells if cell["method"] == method]
    rows = read_json(root / path / "metrics.json")["rows"]
    return [row for row in rows if row["metric"] == "auroc"]


def test_the_margin_has_to_be_exceeded(claim, simulated):
    root = simulated(claim())
    effect = only(claim(), root).findings[0].effect
    assert only(claim(margin=effect.low - 0.01), root).word == "supported"
    assert only(claim(margin=effect.low), root).word == "undecided"
    assert only(claim(margin=effect.value), root).word == "undecided"
    assert only(claim(margin=effect.high), root).word == "not supported"


def test_all_contrasts_must_hold_and_one_failure_decides(claim, simulated):
    root = simulated(claim())
    missing = {"lower": {"method": "absent", "cohort": "c", "modality": "t1"}}
    assert only(claim({}, {"margin": 0.9}), root).word == "not supported"
    assert only(claim({}, {"margin": only(claim(), root).findings[0].effect.value}), root).word == "undecided"
    lacking = only(claim({}, missing), root)
    assert (lacking.word, lacking.reason) == ("not measured", "absent on c t1: not run")
    assert only(claim(TURNED, missing), root).word == "not supported"


def test_nothing_run_is_not_measured(claim, tmp_path):
    verdict = only(claim(), tmp_path / "empty")
    assert verdict.word == "not measured"
    assert verdict.findings[0].state == "missing"
    assert verdict.group["provenance"] == ""


def test_a_smoke_test_is_never_a_verdict(claim, simulated):
    verdict = only(claim(), simulated(claim(), ranked=False))
    assert verdict.word == "not measured"
    assert "smoke test" in verdict.reason
    assert verdict.findings[0].effect.low > 0


def merge(root, other, tag):
    """The cells of ``other`` join ``root``."""
    import shutil

    shutil.copytree(other / "runs" / "simulated", root / "runs" / tag)
    manifest = read_json(other / "runs" / "manifest-simulated.json")
    for cell in manifest["cells"]:
        cell["path"] = cell["path"].replace("simulated", tag)
    write_json(root / "runs" / f"manifest-{tag}.json", manifest)


@pytest.mark.parametrize(
    ("field", "value"),
    [("provenance", "real"), ("preset", "paper"), ("protocol_version", 2), ("preparation", "other")],
)
def test_provenance_preset_version_and_preparation_never_mix(claim, simulated, relabel, field, value):
    good, bad = simulated(claim()), simulated(claim(), seed=1)
    about = {field: value} if field == "preparation" else {}
    relabel(bad, about=about, **({} if about else {field: value}))
    if about:
        relabel(bad, seed=1)  # identities must differ for both to count
    merge(good, bad, "other")
    (judged,) = judge([claim()], Store(good))
    assert [verdict.word for verdict in judged.verdicts] == ["supported", "supported"]
    assert {verdict.group[field] for verdict in judged.verdicts} >= {value}
    # half the cells here, half there: no verdict from both together
    for path, method in (("manifest-simulated.json", "good"), ("manifest-other.json", "bad")):
        manifest = read_json(good / "runs" / path)
        manifest["cells"] = [cell for cell in manifest["cells"] if cell["method"] == method]
        write_json(good / "runs" / path, manifest)
    (judged,) = judge([claim()], Store(good))
    assert [verdict.word for verdict in judged.verdicts] == ["not measured", "not measured"]


def test_seeds_are_pooled(claim, simulated, relabel):
    first, second = simulated(claim()), simulated(claim(), seed=1)
    alone = [only(claim(), root).findings[0].effect for root in (first, second)]
    relabel(second, seed=1)
    merge(first, second, "other")
    (finding,) = only(claim(), first).findings
    assert finding.seeds == (2, 2)
    assert finding.effect.value == pytest.approx((alone[0].value + alone[1].value) / 2)


def test_a_failed_seed_is_no_result(claim, simulated, relabel):
    root = simulated(claim())
    path = rows_path(root, "bad")
    write_json(root / path / "status.json", {"status": "failed", "reason": "it broke"})
    verdict = only(claim(), root)
    assert (verdict.word, verdict.reason) == ("not measured", "bad on c t1: failed: it broke")


def rows_path(root, method):
    cells = read_json(root / "runs" / "manifest-simulated.json")["cells"]
    return next(cell["path"] for cell in cells if cell["method"] == method)


def test_presets_of_the_claim_and_of_the_question(claim, simulated):
    root = simulated(claim())
    assert only(claim(), root, preset="simulated").word == "supported"
    assert only(claim(), root, preset="paper").word == "not measured"
    picky = claim().model_copy(update={"presets": ("paper",)})
    assert only(picky, root).word == "not measured"


def test_a_mean_over_columns(claim, simulated):
    many = {"cohort": ["c", "d"], "modality": ["t1", "t2"]}
    wide = claim(level="voxel", metric="ap", higher={"method": "good", **many}, lower={"method": "bad", **many})
    verdict = only(wide, simulated(wide))
    assert verdict.word == "supported"
    effect = verdict.findings[0].effect
    assert effect.n_patients == (80, 80)  # a patient counts once, whatever the modalities
    assert effect.shared == 80


def test_the_command_names_every_row_once(claim):
    variant = {"method": "good", "variant": "width=8,adapted", "cohort": "d", "modality": "t1"}
    assert command(claim({}, {"higher": variant})) == (
        "bench run --protocols p --methods 'good,bad,good[width=8]' --cohorts c,d --preset nightly"
    )


@pytest.mark.parametrize("name", [item.id for item in load_ledger().claims])
def test_each_claim_is_refused_without_effect_and_supported_with_a_gross_one(name):
    chosen = next(item for item in load_ledger().claims if item.id == name)
    assert verdict_of(chosen, gross=False, seed=0) != "supported"
    assert verdict_of(chosen, gross=True, seed=0) == "supported"


@pytest.mark.slow
def test_each_claim_over_a_hundred_ledgers_without_effect():
    for item in check(load_ledger().claims, null_draws=100, gross_draws=20):
        assert item.null["supported"] <= 5, item
        assert item.gross == Counter(supported=20), item


def test_a_claim_that_contradicts_itself_is_told(claim, tmp_path):
    with pytest.raises(UsageError, match="X1 contradicts itself"):
        simulate(tmp_path / "r", claim({}, TURNED), gross=True, seed=0)


def test_simulation_repeats(claim, tmp_path):
    for name in "ab":
        simulate(tmp_path / name, claim(level="voxel", metric="ap"), gross=False, seed=3)
    one, other = ({path.relative_to(tmp_path / name): path for path in (tmp_path / name).rglob("*.*")} for name in "ab")
    assert one.keys() == other.keys()
    assert all(one[key].read_bytes() == other[key].read_bytes() for key in one if one[key].is_file())


@pytest.mark.parametrize(
    ("null", "gross", "sound"),
    [(0, 3, True), (1, 3, True), (3, 3, True), (5, 3, False), (20, 3, False), (0, 2, False)],
)
def test_a_check_allows_what_chance_brings(claim, null, gross, sound):
    without = Counter({"supported": null, "undecided": 20 - null})
    found = Checked(claim(), without, Counter({"supported": gross, "undecided": 3 - gross}))
    assert found.sound is sound


def test_check_judges_every_claim_as_often_as_asked(claim, monkeypatch):
    seen = []

    def fake(item, gross, seed):
        seen.append((item.id, gross, seed))
        return "supported" if gross else "undecided"

    monkeypatch.setattr(checking, "verdict_of", fake)
    (item,) = check([claim()], null_draws=4, gross_draws=2)
    assert (item.null, item.gross, item.sound) == (Counter(undecided=4), Counter(supported=2), True)
    assert seen == [("X1", False, seed) for seed in range(4)] + [("X1", True, seed) for seed in range(2)]
