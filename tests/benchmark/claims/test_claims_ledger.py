"""The ledger's file: what is in the shipped one, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from cerebench.claims.ledger import Ledger, load_ledger
from cerebench.errors import UsageError
from cerebench.plugins.registry import Registry
from cerebench.text import parse_selection

ROOT = Path(__file__).resolve().parents[3]
PAPERS = {
    "S1": "2026.04.10.26350553",
    "S2": "2026.04.10.26350553",
    "N1": "2511.18208",
    "N2": "2511.18208",
    "N3": "2511.18208",
    "N4": "2511.18208",
    "D1": "2512.21924",
    "D2": "2512.21924",
    "D3": "2512.21924",
    "D4": "2512.21924",
}
"""Claim → number of the preprint that makes it."""

MINIMAL = """
schema: 1
claims:
  - id: X1
    sentence: One is better than the other.
    source: "nobody, 1900"
    kind: re-implementation
    protocol: p
    contrasts:
      - metric: ap
        level: voxel
        higher: {method: one, cohort: c, modality: t1}
        lower: {method: other, cohort: [c, d], modality: [t1, t2]}
"""


@pytest.fixture
def shipped() -> Ledger:
    return load_ledger()


def test_every_claim_of_the_three_papers_is_there_with_its_source(shipped):
    assert {claim.id for claim in shipped.claims} == set(PAPERS)
    for claim in shipped.claims:
        assert PAPERS[claim.id] in claim.source
        assert claim.kind == "re-implementation"


def test_published_figures_are_those_of_the_abstracts(shipped):
    figures = {claim.id: sorted(item.value for item in claim.published) for claim in shipped.claims}
    assert figures["S1"] == [0.7054, 0.9193, 0.9928, 0.9979]
    assert figures["N1"] == [0.496, 0.624, 0.764, 0.916]
    assert figures["N2"] == [0.691, 0.764, 0.807, 0.916]
    assert figures["N3"] == [0.764, 0.821, 0.916, 0.947]
    assert figures["N4"] == [0.496, 0.624, 0.691, 0.764, 0.807, 0.821, 0.916, 0.947]
    assert figures["D1"] == [0.1364, 0.1832]


def test_the_shipped_ledger_is_the_file_under_results(shipped):
    assert shipped == load_ledger(ROOT / "results" / "published" / "claims.yaml")


@pytest.mark.parametrize("file", sorted((ROOT / "results" / "published").glob("*.yaml")), ids=lambda path: path.stem)
def test_cohorts_exist_and_variants_are_settings_of_the_methods_that_exist(file: Path) -> None:
    registry = Registry.discover([])
    known = {entry.name for entry in registry.methods()}
    claims = load_ledger(file).claims
    sides = [side for claim in claims for item in claim.contrasts for side in (item.higher, item.lower)]
    for side in sides:
        for cohort in side.cohort:
            assert set(side.modality) <= set(registry.card(cohort).modalities)
        assert side.method in known
        settings = ",".join(part for part in side.variant.split(",") if part not in ("", "adapted"))
        if settings:
            registry.load_method(side.method).settings_for("quick", parse_selection(f"x[{settings}]")[1])


def test_columns_are_all_pairs(tmp_path):
    (tmp_path / "l.yaml").write_text(MINIMAL)
    (claim,) = load_ledger(tmp_path / "l.yaml").claims
    assert claim.contrasts[0].higher.columns == (("c", "t1"),)
    assert claim.contrasts[0].lower.columns == (("c", "t1"), ("c", "t2"), ("d", "t1"), ("d", "t2"))
    assert claim.contrasts[0].margin == 0


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("metric: ap", "metric: brier", "decides no claim"),
        ("metric: ap", "metric: apx", "decides no claim"),
        ("level: voxel", "level: subject\n        metrik: 1", "metrik: unknown field; did you mean 'metric'"),
        ("metric: ap\n        level: voxel", "metric: best_dice\n        level: slice", "not defined at slice level"),
        ("{method: other, cohort: [c, d], modality: [t1, t2]}", "{method: one, cohort: c, modality: t1}", "the same"),
        ("cohort: [c, d]", "cohort: []", "cohort"),
        ("id: X1", "id: x", "id"),
        ("    contrasts:", "    contrast:", "contrast"),
        ("level: voxel", "level: voxel\n        margin: 2", "margin"),
    ],
)
def test_faults_name_file_and_field(tmp_path, old, new, words):
    assert old in MINIMAL
    path = tmp_path / "ledger.yaml"
    path.write_text(MINIMAL.replace(old, new))
    with pytest.raises(UsageError, match=words) as caught:
        load_ledger(path)
    assert f"{path}, line" in str(caught.value)


def test_two_claims_of_one_id_are_refused(tmp_path):
    path = tmp_path / "ledger.yaml"
    path.write_text(MINIMAL + MINIMAL.split("claims:\n")[1])
    with pytest.raises(UsageError, match="'X1' is there twice"):
        load_ledger(path)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"nothing\.yaml"):
        load_ledger(tmp_path / "nothing.yaml")
