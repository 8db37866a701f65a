"""``bench claims`` on the command line."""

from __future__ import annotations

import json

import pytest

from cerebench.claims import check as checking
from cerebench.claims.ledger import load_ledger
from cerebench.claims.simulate import simulate
from cerebench.cli.main import main


@pytest.fixture
def bench(capsys):
    def call(*words):
        with pytest.raises(SystemExit) as ended:
            main(words)
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture
def results(tmp_path):
    """The second claim with a gross effect."""
    simulate(tmp_path / "r", load_ledger().claims[1], gross=True, seed=0)
    return str(tmp_path / "r")


def test_text_shows_claim_figures_effect_verdict_and_how_to_measure(bench, results):
    code, out, err = bench("claims", "--results", results, "--claim", "S1", "--claim", "S2")
    assert (code, err) == (0, "")
    first, second = out.split("\nS2  ")
    assert "0.9928" in first
    head = "NOT MEASURED in silico (symmetry-transfer v1, preset simulated)"
    assert f"{head}: symmetry-inverse[adapted] on brats-ssa t1: not run" in first
    assert "measure it: bench run --protocols symmetry-transfer --methods symmetry-inverse --cohorts brats-met" in first
    assert "SUPPORTED in silico (symmetry-transfer v1, preset simulated)" in second
    assert "no figure" in second
    assert "60 and 60 patients, 60 on both sides, few, 1 seed" in " ".join(second.split())
    assert "In silico is not on patients" in out
    assert max(map(len, (line for line in out.splitlines() if "measure it" not in line))) <= 140


def test_json_holds_every_contrast(bench, results):
    code, out, _ = bench("claims", "--results", results, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["schema_version"] == 1
    by_id = {item["id"]: item for item in found["claims"]}
    assert list(by_id) == [claim.id for claim in load_ledger().claims]
    (verdict,) = by_id["S2"]["verdicts"]
    assert (verdict["verdict"], verdict["provenance"], verdict["preset"]) == ("supported", "in-silico", "simulated")
    (contrast,) = verdict["contrasts"]
    assert contrast["state"] == "holds"
    assert contrast["effect"]["low"] < contrast["effect"]["value"] < contrast["effect"]["high"]
    assert contrast["higher"]["method"] == "symmetry-inverse"
    assert by_id["N1"]["verdicts"][0]["verdict"] == "not measured"
    assert by_id["N1"]["published"][0] == {"what": "AUC same centre, self-supervised", "value": 0.916, "p": None}
    assert by_id["S2"]["command"].startswith("bench run --protocols symmetry-transfer")


def test_an_absent_results_folder_is_told_and_nothing_is_measured(bench, tmp_path):
    code, out, err = bench("claims", "--results", str(tmp_path / "typo"))
    assert code == 0
    assert "typo" in err
    assert out.count("NOT MEASURED") == len(load_ledger().claims)


def test_an_unknown_claim_is_an_error(bench):
    code, _, err = bench("claims", "--claim", "S11")
    assert code == 2
    assert "no claim 'S11' in the ledger: did you mean" in err


def test_a_ledger_of_ones_own(bench, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("schema: 1\nclaims: []\n")
    code, _, err = bench("claims", "--ledger", str(path))
    assert code == 2
    assert "mine.yaml, line 2, claims" in err


@pytest.mark.parametrize(("word", "code"), [("undecided", 0), ("supported", 1)])
def test_check_ends_with_1_if_no_effect_is_supported(bench, monkeypatch, word, code):
    monkeypatch.setattr(checking, "verdict_of", lambda claim, gross, seed: "supported" if gross else word)
    found = bench("claims", "--check", "--claim", "D4")
    assert found[0] == code
    assert f"{word} 20" in found[1]
    rows = json.loads(bench("claims", "--check", "--claim", "D4", "--json")[1])["claims"]
    assert rows == [{"claim": "D4", "null": {word: 20}, "gross": {"supported": 3}, "sound": code == 0}]
