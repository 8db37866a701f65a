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
    assert {row["name"]: row["provides"] for row in rows}["cerebench-metrics"] == {
        "metrics": len(Registry.discover().metrics()),
        "reporters": 2,
    }
    assert "reporters 2" in bench("plugins", "list").out
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


def test_plugins_list_names_what_is_registered(bench):
    rows = {row["name"]: row["names"] for row in bench("plugins", "list", "--json").json}
    assert "autoencoder" in rows["cerebench-methods"]["methods"]
    assert {"phantom"} == set(rows["cerebench-datasets"]["simulators"])


BROKEN = {
    "fake_broken/__init__.py": "",
    "fake_broken/plugin.py": "import nonesuch\n",
    "fake_broken/cerebench.yaml": "schema: 1\napi: 1\n",
    "fake_broken-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: fake-broken\nVersion: 1.0\n",
    "fake_broken-1.0.dist-info/entry_points.txt": "[cerebench]\nfake-broken = fake_broken.plugin\n",
}


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """An installed plugin whose module cannot be imported."""
    for name, text in BROKEN.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("CEREBENCH_PLUGINS", "fake-*")


@pytest.mark.usefixtures("broken")
def test_strict_ends_with_the_traceback_of_the_author(bench, monkeypatch):
    fault = "plugin 'fake-broken' of fake-broken 1.0 cannot be imported: ModuleNotFoundError"
    calm = bench("plugins", "list", "--load")
    assert (calm.code, "Traceback" in calm.err) == (0, False)
    assert "failed" in calm.out
    strict = bench("plugins", "list", "--strict")
    assert (strict.code, strict.out) == (2, "")
    assert f"Error: {fault}" in strict.err
    assert "fake_broken/plugin.py" in strict.err
    monkeypatch.setenv("CEREBENCH_STRICT_PLUGINS", "1")
    assert "Traceback" in bench("plugins", "list", "--load").err
    # a mistake of the user gets no traceback
    unknown = bench("plugins", "check", "nonesuch")
    assert (unknown.code, "Traceback" in unknown.err) == (2, False)


def test_plugins_check_of_a_card(bench, tmp_path):
    page = (Path(__file__).resolve().parents[3] / "docs" / "cards.md").read_text(encoding="utf-8")
    text = page.split("```yaml\n")[1].split("```")[0]
    card = tmp_path / "mine.yaml"
    card.write_text(text.split("simulate:")[0])
    done = bench("plugins", "check", str(card), "--json")
    assert [row["check"] for row in done.json] == ["card", "patterns", "files", "references", "splits", "leakage"]
    assert {row["result"] for row in done.json} == {"ok", "skipped"}
    assert done.code == 0
    lost = bench("plugins", "check", str(card), "--data-root", str(tmp_path))
    assert (lost.code, "no folder of cohort" in lost.err) == (2, True)


def test_plugins_check_of_everything_a_plugin_brings(bench, monkeypatch):
    from cerebench.cli import plugins_check

    monkeypatch.setattr(plugins_check, "_cohort", lambda name, registry, root: [{"check": "card", "result": "ok"}])
    rows = bench("plugins", "check", "cerebench-datasets", "--json").json
    assert {"ixi", "mslub"} < {row["name"] for row in rows}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("autoencodr", "unknown method, cohort or plugin 'autoencodr': did you mean 'autoencoder'"),
        ("cerebench-metrics", "has nothing to check: it brings neither methods nor cohorts"),
        ("none.yaml", "none.yaml does not exist"),
        ("none.py:Mine", "there is no file none.py"),
    ],
)
def test_plugins_check_of_what_is_not_there(bench, tmp_path, monkeypatch, name, words):
    monkeypatch.chdir(tmp_path)
    done = bench("plugins", "check", name)
    assert (done.code, words in done.err) == (2, True), done.err


def test_plugins_new(bench, tmp_path):
    done = bench("plugins", "new", "new-method", "--dir", str(tmp_path))
    assert done.code == 0
    assert str(tmp_path / "new-method" / "pyproject.toml") in done.out
    assert "bench run --methods new-method" in done.out
    again = bench("plugins", "new", "new-method", "--dir", str(tmp_path))
    assert (again.code, "is already there" in again.err) == (2, True)
    cohort = bench("plugins", "new", "new-cohort", "--kind", "cohort", "--dir", str(tmp_path))
    assert "bench run --cohorts new-cohort" in cohort.out


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
