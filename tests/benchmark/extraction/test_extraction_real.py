"""Real heads with skull, where they are present, against brain masks made by others (DLMUSE labels above 0)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml

REAL = Path(__file__).parents[4] / "shared" / "real"
HEADS = sorted((REAL / "ixi").glob("*-T1_ds.nii.gz"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not HEADS, reason="needs real scans in ../shared/real, which are not shipped"),
]
pytest.importorskip("ants", reason="needs ANTs: pip install 'cerebench[prepare]'")

CARD = {
    "schema": 1,
    "name": "ixi-heads",
    "title": "IXI at 2 mm",
    "summary": "Heads with skull; the brain masks beside them are not told.",
    "citation": "brain-development.org",
    "licence": "CC BY-SA 3.0",
    "access": "none",
    "healthy": True,
    "modalities": ["t1"],
    "folders": ["ixi"],
    "layouts": [{"name": "flat", "images": {"t1": "{patient}-T1_ds.nii.gz"}, "patient": "{patient}"}],
}


def command(folder: Path, *more: str) -> list[str]:
    words = ["ixi-heads", "--data-root", str(REAL), "--cards", str(folder), "--out", str(folder / "out"), *more]
    return [sys.executable, "-m", "cerebench.cli.main", "data", "prepare", *words]


def dice(found: Path, labels: Path) -> float:
    mask, truth = nib.as_closest_canonical(nib.load(found)), nib.as_closest_canonical(nib.load(labels))
    np.testing.assert_allclose(mask.affine, truth.affine, atol=1e-3)
    first, second = np.asarray(mask.dataobj) > 0, np.asarray(truth.dataobj) > 0
    return float(2 * np.count_nonzero(first & second) / (np.count_nonzero(first) + np.count_nonzero(second)))


def test_a_killed_run_goes_on_and_the_brains_are_right(tmp_path):
    """The whole command on all heads, killed after the first case; then Dice with DLMUSE in native space."""
    (tmp_path / "heads.yaml").write_text(yaml.safe_dump(CARD))
    environment = {**os.environ, "CEREBENCH_CACHE": str(tmp_path / "cache")}
    records = tmp_path / "out" / "ixi-heads" / "records"
    run = subprocess.Popen(command(tmp_path, "--keep-transforms", "--workers", "2"), env=environment)
    end = time.monotonic() + 1200
    while not list(records.glob("*.json")):
        assert run.poll() is None
        assert time.monotonic() < end
        time.sleep(1)
    run.send_signal(signal.SIGKILL)
    run.wait()
    before = {path.name: path.read_bytes() for path in records.glob("*.json")}
    assert 0 < len(before) < len(HEADS)

    done = subprocess.run(
        command(tmp_path, "--keep-transforms", "--workers", "2", "--json"),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    cases = {case["case"]: case for case in json.loads(done.stdout)["cases"]}
    assert len(cases) == len(HEADS)
    assert {path.name: path.read_bytes() for path in records.glob("*.json") if path.name in before} == before
    assert {f"{name}.json" for name, case in cases.items() if case["status"] == "present"} >= set(before)

    found = {}
    for head in HEADS:
        name = head.name.removesuffix("-T1_ds.nii.gz")
        labels = head.with_name(head.name.replace("_ds", "_ds_DLMUSE"))
        found[name] = dice(tmp_path / "out" / "ixi-heads" / "transforms" / name / "brain.nii.gz", labels)
    print(found)
    assert np.mean(list(found.values())) >= 0.95
    assert min(found.values()) >= 0.94
    assert all(case["suspicion"] == 0 for case in cases.values()), cases
