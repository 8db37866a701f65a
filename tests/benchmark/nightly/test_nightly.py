"""One night after the other: exit states, history, trends, resuming, housekeeping."""

from __future__ import annotations

from pathlib import Path

import pytest

from cerebench.cli.main import main
from cerebench.compare.accepted import accept
from cerebench.errors import UsageError
from cerebench.jsonio import read_json
from cerebench.nightly.config import load_config
from cerebench.nightly.history import append, entries
from cerebench.nightly.night import run_night
from cerebench.nightly.summary import trend


def test_the_first_night_has_no_baseline_and_says_how_to_get_one(fake, config) -> None:
    night = run_night(config(), "2026-01-01")
    assert night.exit_code == 3
    assert "bench baseline accept" in night.verdict
    assert "nothing measured" in night.page.read_text(encoding="utf-8").splitlines()[0]


def test_equal_worse_and_better_nights(fake, config) -> None:
    nightly = config()
    run_night(nightly, "2026-01-01")
    accept(nightly.folder("2026-01-01"), "start", nightly.baseline)
    codes = []
    for day, level in enumerate((0.5, 0.4, 0.6), start=2):
        fake.level = level
        codes.append(run_night(nightly, f"2026-01-0{day}").exit_code)
    assert codes == [0, 1, 0]
    history = entries(nightly.history)
    assert [entry["state"] for entry in history] == ["nothing measured", "fine", "regression", "fine"]
    assert [entry["baseline"] for entry in history] == [None, 1, 1, 1]
    assert "one on here t1 seed 0: ap" in history[2]["regressions"][0]
    assert history[3]["improvements"]
    assert [entry["headline"][0]["value"] for entry in history] == pytest.approx([0.5, 0.5, 0.4, 0.6])
    assert history[1]["seconds"] == {"one": {"predict": 1.5, "training": 0.0}}
    page = (nightly.results / "summary.md").read_text(encoding="utf-8")
    assert "| one      | ap (voxel) | 0.5000" in page
    assert "## Leaderboard" in page
    assert "Improvements (1)" in page


def test_every_night_has_a_results_folder_of_its_own_and_only_some_are_kept(fake, config) -> None:
    nightly = config(keep=2)
    (nightly.results / "nights" / "mine").mkdir(parents=True)
    for day in range(1, 5):
        run_night(nightly, f"2026-01-0{day}")
    kept = sorted(path.name for path in (nightly.results / "nights").iterdir())
    assert kept == ["2026-01-03", "2026-01-04", "mine"]
    assert len(entries(nightly.history)) == 4


def test_the_same_night_again_resumes_and_writes_no_second_entry(fake, config) -> None:
    nightly = config()
    first = run_night(nightly, "2026-01-01")
    before = first.entry.read_bytes()
    again = run_night(nightly, "2026-01-01")
    assert again.entry == first.entry
    assert first.entry.read_bytes() == before
    assert fake.requests[0].results == fake.requests[1].results
    accept(nightly.folder("2026-01-01"), "start", nightly.baseline)
    third = run_night(nightly, "2026-01-01")
    assert third.entry.name == "2026-01-01-2.json"
    assert [entry["exit_code"] for entry in entries(nightly.history)] == [0]  # the last attempt counts


def test_an_all_skipped_night_is_never_fine(fake, config) -> None:
    nightly = config()
    run_night(nightly, "2026-01-01")
    accept(nightly.folder("2026-01-01"), "start", nightly.baseline)
    fake.status = "skipped"
    night = run_night(nightly, "2026-01-02")
    assert night.exit_code == 3
    assert "every cell was skipped" in night.verdict


def test_a_night_of_another_preset_is_an_error(fake, config) -> None:
    nightly = config()
    run_night(nightly, "2026-01-01")
    accept(nightly.folder("2026-01-01"), "start", nightly.baseline)
    night = run_night(config(run={"preset": "quick"}), "2026-01-02")
    assert night.exit_code == 2
    assert "preset nightly in the baseline, quick now" in night.verdict


def test_a_fault_of_the_harness_is_recorded_and_raised(fake, config) -> None:
    fake.error = RuntimeError("the disk is full")
    nightly = config()
    with pytest.raises(RuntimeError):
        run_night(nightly, "2026-01-01")
    (entry,) = entries(nightly.history)
    assert (entry["exit_code"], entry["state"]) == (2, "error")
    assert "the disk is full" in entry["verdict"]
    assert "the disk is full" in (nightly.results / "summary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("night", ["yesterday", "2026-13-01", "2026-1-1"])
def test_a_night_is_a_date(fake, config, night) -> None:
    with pytest.raises(UsageError, match="expected a date"):
        run_night(config(), night)


def test_history_files_are_never_overwritten(tmp_path: Path) -> None:
    entry = {"night": "2026-01-01", "exit_code": 0}
    paths = [append(tmp_path, {**entry, "exit_code": code, "wall_s": code}).name for code in (0, 1, 1, 0)]
    assert paths == ["2026-01-01.json", "2026-01-01-2.json", "2026-01-01-2.json", "2026-01-01-3.json"]
    assert [entry["attempt"] for entry in entries(tmp_path)] == [3]


def test_a_damaged_entry_is_named(tmp_path: Path) -> None:
    (tmp_path / "2026-01-01.json").write_text("{")
    with pytest.raises(UsageError, match=r"2026-01-01\.json cannot be read"):
        entries(tmp_path)


def test_trend_marks_means_over_other_columns() -> None:
    item = {"section": "p v1", "method": "one", "metric": "ap (voxel)"}
    nights = [
        {"night": f"2026-01-0{day}", "state": "fine", "headline": [{**item, "value": 0.5, "columns": columns}]}
        for day, columns in ((1, 4), (2, 4), (3, 3))
    ]
    assert "| 0.5000       | 0.5000       | 0.5000*      |" in trend(nights)
    assert trend([]) == "No night is recorded yet."


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_configuration_names_file_line_and_field(tmp_path: Path) -> None:
    path = write(tmp_path / "n.yaml", "schema: 1\nrun:\n  metods: all\n")
    with pytest.raises(UsageError, match=r"n\.yaml, line 3, run\.metods: unknown field; did you mean 'methods'\?"):
        load_config(path)
    with pytest.raises(UsageError, match=r"line 2, keep"):
        load_config(write(path, "schema: 1\nkeep: 0\n"))


def test_the_run_takes_every_option_of_the_configuration(tmp_path: Path) -> None:
    lines = ["schema: 1", f"results: {tmp_path}/r", "run:", "  methods: a,b", "  seeds: 2", "  memory_limit: 3"]
    lines += ["  timeout: 9", "  workers: 2", "  threads: 4", "  device: cpu", "  cards: [cards]", "  cohorts: c"]
    request = load_config(write(tmp_path / "n.yaml", "\n".join(lines))).request("2026-01-01")
    assert (request.methods, request.cohorts, request.preset) == ("a,b", "c", "nightly")
    assert (request.seeds, request.memory_limit_gib, request.timeout_s) == (2, 3, 9)
    assert (request.workers, request.threads, request.device) == (2, 4, "cpu")
    assert (request.results, request.cards) == (tmp_path / "r/nights/2026-01-01", (Path("cards"),))


def test_the_command_ends_with_the_nights_exit_code(fake, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "n.yaml", "schema: 1\nname: ours\n")
    page = tmp_path / "page.md"
    with pytest.raises(SystemExit) as end:
        main(["nightly", "n.yaml", "--night", "2026-01-01", "--summary", str(page)])
    assert end.value.code == 3
    assert capsys.readouterr().out.startswith("ours 2026-01-01: no accepted baseline")
    assert page.is_file()
    assert read_json(tmp_path / "results/history/2026-01-01.json")["name"] == "ours"


def test_a_dry_run_writes_nothing(fake, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "n.yaml", "schema: 1\n")
    with pytest.raises(SystemExit) as end:
        main(["nightly", "n.yaml", "--dry-run"])
    assert not end.value.code
    assert fake.requests[0].dry_run
    assert not (tmp_path / "results/history").exists()
