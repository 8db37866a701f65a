"""``bench data``: the table, its JSON, and writing a twin with a generator of the test's own."""

from __future__ import annotations

import json

import pytest
import yaml
from typer.testing import CliRunner

from cerebench.cli.data import app
from cerebench.cohorts.reader import MARKER
from cerebench.errors import UsageError
from cerebench.plugins.registry import Registry

SIMULATE = {
    "generator": "empty-files",
    "layout": "nested",
    "lesion": "ms",
    "modalities": ["t1", "flair"],
    "fields": {"site": "A", "patient": "P{index}", "visit": "1"},
}


def simulate(card, out, cases, spacing, seed, progress=None):
    for index in range(cases):
        for kind in card.layouts[0].patterns():
            path = out / card.layouts[0].path(kind, **card.simulate.field_values(index))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        progress(index + 1, cases, card.name)


@pytest.fixture
def cards(base, tmp_path, monkeypatch):
    """Two cards in a local folder: one that can be simulated, one that is broken."""
    monkeypatch.setenv("CEREBENCH_PLUGINS", "")
    monkeypatch.delenv("CEREBENCH_DATA", raising=False)
    folder = tmp_path / "cards"
    folder.mkdir()
    (folder / "toy.yaml").write_text(yaml.safe_dump({**base, "simulate": SIMULATE}))
    (folder / "broken.yaml").write_text(yaml.safe_dump({**base, "name": "broken", "healthy": True}))
    return folder


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def row(output, name):
    return next(item for item in json.loads(output) if item["name"] == name)


def test_status_as_json(cards, tree, case_files):
    root = tree([*case_files("A", "P1"), *case_files("A", "P2", without="lesion.nii.gz")])
    toy = row(run("status", "--cards", cards, "--data-root", root.parent, "--json"), "toy")
    assert (toy["status"], toy["cases"], toy["patients"], toy["masks"]) == ("partial", 1, 1, 1)
    assert (toy["modalities"], toy["licence"], toy["access"]) == (["t1", "flair"], "CC0", "Make it up.")
    assert (toy["provenance"], toy["layout"], toy["folder"]) == ("real", "nested", str(root))
    assert len(toy["faults"]) == 1
    missing = row(run("status", "--cards", cards, "--json"), "toy")
    assert (missing["status"], missing["cases"], missing["folder"]) == ("missing", 0, None)


def test_one_broken_card_hides_no_other(cards):
    output = run("status", "--cards", cards, "--json")
    assert row(output, "broken")["status"] == "error"
    assert "but the cohort is healthy" in row(output, "broken")["note"]
    assert row(output, "toy")["status"] == "missing"


def test_status_as_table(cards, tree, case_files):
    root = tree(case_files())
    output = run("status", "--cards", cards, "--data-root", root.parent)
    line = next(line for line in output.splitlines() if line.startswith("toy"))
    assert line.split() == ["toy", "found", "1", "1", "t1", "flair", "1", "real", "CC0"]
    output = run("status", "--cards", cards)
    assert "toy: Make it up." in output
    assert "No data root is set" in output


def test_simulated_tree_is_found_again(cards, tmp_path, monkeypatch):
    monkeypatch.setattr(Registry, "load_simulator", lambda self, name: simulate)
    out = tmp_path / "out"
    common = ("simulate", "--cohort", "toy", "--out", out, "--cards", cards)
    assert f"2 cases of toy in {out / 'toy'}" in run(*common, "--cases", 2, "--spacing", 4, "--seed", 3)
    assert json.loads((out / "toy" / MARKER).read_text())["seed"] == 3
    assert [path.name for path in out.iterdir()] == ["toy"]
    toy = row(run("status", "--cards", cards, "--data-root", out, "--json"), "toy")
    assert (toy["status"], toy["cases"], toy["provenance"]) == ("found", 2, "in-silico")
    with pytest.raises(UsageError, match="is already there"):
        run(*common)


def test_simulate_refuses_what_it_cannot_do(cards, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="unknown cohort 'tyo'"):
        run("simulate", "--cohort", "tyo", "--out", tmp_path / "out", "--cards", cards)
    monkeypatch.setattr(Registry, "load_simulator", lambda self, name: simulate)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        run("simulate", "--cohort", "toy", "--out", tmp_path / "file", "--cards", cards)


def test_interrupted_simulation_leaves_nothing(cards, tmp_path, monkeypatch):
    def interrupted(card, out, **options):
        (out / "half.nii.gz").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(Registry, "load_simulator", lambda self, name: interrupted)
    result = CliRunner().invoke(
        app, ["simulate", "--cohort", "toy", "--out", str(tmp_path / "out"), "--cards", str(cards)]
    )
    assert result.exit_code != 0
    assert list((tmp_path / "out").iterdir()) == []


@pytest.fixture
def scans(base, cards, tmp_path):
    """Two sound cases on disk, of 1.2 and 0.6 ml."""
    import nibabel as nib
    import numpy as np

    root = tmp_path / "data" / "toy"
    image = np.zeros((20, 20, 20), np.float32)
    image[3:17, 3:17, 3:17] = np.random.default_rng(0).uniform(1, 2, (14, 14, 14))
    for patient, size in (("P1", 12), ("P2", 6)):
        mask = np.zeros(image.shape, np.uint8)
        mask[5:15, 5:15, 4 : 4 + size] = 1  # 0.1 ml a slice
        folder = root / f"A/{patient}-1"
        folder.mkdir(parents=True)
        for name, values in (("T1", image), ("FLAIR", image), ("lesion", mask)):
            nib.save(nib.Nifti1Image(values, np.eye(4)), folder / f"{name}.nii.gz")
    return root


def test_check_reads_everything(cards, scans):
    output = run("check", "toy", "--cards", cards, "--data-root", scans.parent)
    assert output.strip() == (
        "toy (real, layout nested): 2 cases of 2 patients, 6 files read; lesions 0.6 to 1.2 ml, median 0.9 ml; no fault"
    )
    found = json.loads(run("check", "toy", "--cards", cards, "--data-root", scans.parent, "--json"))
    assert [(case["case"], case["lesion_ml"]) for case in found["cases"]] == [("A-P1-1", 1.2), ("A-P2-1", 0.6)]
    assert (found["faults"], found["provenance"]) == ([], "real")


def test_check_names_every_fault_in_one_line_and_fails(cards, scans):
    (scans / "A/P1-1/T1.nii.gz").write_bytes(b"nothing")
    (scans / "A/P2-1/lesion.nii.gz").unlink()
    result = CliRunner().invoke(app, ["check", "toy", "--cards", str(cards), "--data-root", str(scans.parent)])
    assert result.exit_code == 1
    faults = [line for line in result.stdout.splitlines() if line.startswith("fault: ")]
    assert len(faults) == 2
    assert "A-P2-1" in faults[0]
    assert "not read as healthy" in faults[0]
    assert "P1-1/T1.nii.gz" in faults[1]
    assert result.stdout.splitlines()[-1].endswith("2 faults")


def test_check_of_what_is_not_there(cards, tmp_path):
    with pytest.raises(UsageError, match="no data root"):
        run("check", "toy", "--cards", cards)
    with pytest.raises(UsageError, match=r"'toy' is missing under .*Make it up.*expected a folder named toy"):
        run("check", "toy", "--cards", cards, "--data-root", tmp_path)
