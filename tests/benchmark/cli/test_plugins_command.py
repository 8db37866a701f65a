"""``bench plugins`` and ``bench doctor``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cerebench.cli import checkup
from cerebench.plugins.registry import Registry
from cerebench.testing import conformance


def test_plugins_list(bench):
    rows = bench("plugins", "list", "--json").json
    assert {row["name"]: row["state"] for row in rows} == {
        "cerebench-datasets": "ok",
        "cerebench-methods": "ok",
        "cerebench-metrics": "ok",
    }
    assert {row["name"]: row["provides"] for row in rows}["cerebench-metrics"] == {"metrics": 15}
    assert "15" in bench("plugins", "list").out
    assert {row["state"] for row in bench("plugins", "list", "--load", "--json").json} == {"ok"}


@pytest.mark.parametrize(
    ("result", "shown", "code"),
    [
        (conformance.CheckResult("shapes", True, ""), "ok", 0),
        (conformance.CheckResult("shapes", True, "no GPU", skipped=True), "skipped", 0),
        (conformance.CheckResult("shapes", False, "map is [1], expected [2]"), "failed", 1),
    ],
)
def test_plugins_check_shows_each_result(bench, monkeypatch, result, shown, code):
    monkeypatch.setattr(conformance, "check_method", lambda method, preset, device: [result])
    monkeypatch.setattr(Registry, "method_disagreements", lambda self, name: [])
    done = bench("plugins", "check", "intensity-threshold", "--json")
    assert done.json[1:] == [{"check": "shapes", "result": shown, "detail": result.detail}]
    assert done.code == code


def test_plugins_check_holds_manifest_and_class_together(bench, monkeypatch):
    monkeypatch.setattr(conformance, "check_method", lambda method, preset, device: [])
    monkeypatch.setattr(Registry, "method_disagreements", lambda self, name: ["cost is 'light'"])
    done = bench("plugins", "check", "intensity-threshold", "--json")
    assert (done.json[0]["result"], done.json[0]["detail"]) == ("failed", "cost is 'light'")
    assert done.code == 1


def test_doctor_on_a_working_machine(bench, tmp_path, monkeypatch):
    monkeypatch.setenv("CEREBENCH_CACHE", str(tmp_path / "cache"))
    done = bench("doctor", "--results", str(tmp_path / "results"), "--json")
    rows = {(row["area"], row["name"]): row for row in done.json}
    assert rows["package", "torch"]["state"] == "ok"
    assert rows["folder", "cache"]["detail"].startswith(str(tmp_path / "cache"))
    assert rows["folder", "data"]["state"] == "note"
    assert rows["device", "cpu"]["state"] == "ok"
    assert done.code == (1 if any(row["state"] == "failed" for row in done.json) else 0)
    assert not (tmp_path / "results").exists()
    assert not (tmp_path / "cache").exists()


def test_doctor_names_a_torchvision_that_does_not_fit(monkeypatch):
    def fail(name: str):
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(checkup, "import_module", fail)
    monkeypatch.setattr(checkup, "version", lambda name: {"torchvision": "0.28.0", "torch": "2.13.0"}[name])
    finding = checkup.vision_finding()
    assert finding.state == "failed"
    assert finding.detail.startswith("torchvision 0.28.0 does not fit torch 2.13.0")
    assert "pip install" in finding.detail


@pytest.mark.skipif(sys.platform == "win32", reason="needs a file in the place of a folder")
def test_doctor_names_a_folder_that_cannot_be_written(bench, tmp_path: Path, monkeypatch):
    blocker = tmp_path / "file"
    blocker.touch()
    monkeypatch.setenv("CEREBENCH_CACHE", str(blocker / "cache"))
    done = bench("doctor", "--results", str(tmp_path), "--json")
    row = next(row for row in done.json if row["name"] == "cache")
    assert row["state"] == "failed"
    assert "CEREBENCH_CACHE" in row["detail"]
    assert done.code == 1
