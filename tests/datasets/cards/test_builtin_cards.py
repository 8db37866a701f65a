"""The built-in cards on hand-made trees with the names of each release."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import cerebench_datasets
from cerebench.cohorts.card import load_card
from cerebench.cohorts.reader import read_cohort

PACKAGE = Path(cerebench_datasets.__file__).parent
CARDS = sorted((PACKAGE / "cards").glob("*.yaml"))


def card_named(name):
    return load_card(PACKAGE / "cards" / f"{name}.yaml")


@pytest.fixture
def tree(tmp_path):
    def make(paths):
        for path in paths:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).touch()
        return tmp_path

    return make


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_card_is_sound(path):
    card = load_card(path)
    assert card.name == path.stem
    assert card.simulate is not None
    layout = card.layout(card.simulate.layout)
    for index in (0, 7, 250):
        values = card.simulate.field_values(index)
        for kind in layout.patterns():
            assert layout.match(layout.path(kind, **values)) == (kind, values)


def test_manifest_lists_what_is_there():
    manifest = yaml.safe_load((PACKAGE / "cerebench.yaml").read_text())
    listed = [PACKAGE / item["card"] for item in manifest["cohorts"]]
    assert sorted(listed) == CARDS
    protocols = [PACKAGE / item["file"] for item in manifest["protocols"]]
    assert sorted(protocols) == sorted((PACKAGE / "protocols").glob("*.yaml"))


def test_ixi(tree):
    root = tree(
        [
            *(f"IXI002-Guys-0828-{kind}.nii.gz" for kind in ("T1", "T2", "PD", "MRA")),
            "IXI012-HH-1211-T1.nii.gz",
            "IXI.xls",
        ]
    )
    listing = read_cohort(card_named("ixi"), root)
    first, second = listing.cases
    assert (first.id, first.patient, first.centre) == ("IXI002-Guys-0828", "IXI002", "Guys")
    assert sorted(first.images) == ["pd", "t1", "t2"]
    assert sorted(second.images) == ["t1"]
    assert (first.healthy, first.mask) == (True, None)
    assert listing.unready == ("IXI002-Guys-0828", "IXI012-HH-1211")
    assert listing.faults == ()


@pytest.mark.parametrize(
    ("layout", "names", "enhancing"),
    [
        ("2021", ("t1", "t1ce", "t2", "flair", "seg"), 4),
        ("2023", ("t1n", "t1c", "t2w", "t2f", "seg"), 3),
    ],
)
def test_brats_releases_have_their_own_labels(tree, layout, names, enhancing):
    case, joint = ("BraTS2021_00002", "_") if layout == "2021" else ("BraTS-GLI-00002-000", "-")
    root = tree(f"{case}/{case}{joint}{name}.nii.gz" for name in names)
    listing = read_cohort(card_named("brats-gli"), root)
    (found,) = listing.cases
    assert (listing.layout.name, found.id, found.patient) == (layout, case, case.removesuffix("-000"))
    assert [found.images[kind].name.split(joint)[-1] for kind in ("t1", "t1c", "t2", "flair")] == [
        f"{name}.nii.gz" for name in names[:4]
    ]
    assert listing.policy.labels == {1: "anomaly", 2: "anomaly", enhancing: "anomaly"}
    assert listing.unready == ()
    assert found.mask is not None


def test_two_visits_are_one_patient(tree):
    root = tree(
        f"BraTS-GLI-00002-{visit}/BraTS-GLI-00002-{visit}-{name}.nii.gz"
        for visit in ("000", "001")
        for name in ("t1n", "t1c", "t2w", "t2f", "seg")
    )
    listing = read_cohort(card_named("brats-gli"), root)
    assert len(listing.cases) == 2
    assert listing.patients == ("BraTS-GLI-00002",)


@pytest.mark.parametrize(("layout", "prefix"), [("official", "patient07_"), ("mirror", "")])
def test_mslub_releases(tree, layout, prefix):
    names = ("FLAIR", "T1W", "T1WKS", "T2W", "consensus_gt", "brainmask")
    root = tree(f"patient07/{prefix}{name}.nii.gz" for name in names)
    listing = read_cohort(card_named("mslub"), root)
    (case,) = listing.cases
    assert listing.layout.name == layout
    assert case.images["t1c"].name == f"{prefix}T1WKS.nii.gz"
    assert case.images["t1"].name == f"{prefix}T1W.nii.gz"
    assert case.brain_mask is not None
    assert (listing.unready, listing.faults) == ((), ())


def test_mslub_mirror_takes_the_coregistered_copy(tree):
    names = ("FLAIR", "T1W", "T1WKS", "T2W", "consensus_gt", "brainmask")
    root = tree(f"cross_sectional/{copy}/patient07/{name}.nii.gz" for copy in ("raw", "coregistered") for name in names)
    listing = read_cohort(card_named("mslub"), root)
    assert listing.root == root / "cross_sectional/coregistered"
    assert len(listing.cases) == 1
