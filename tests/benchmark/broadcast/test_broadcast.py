"""What reporters are told of a run, and that nothing they do reaches the run."""

from __future__ import annotations

import json
import sys
import threading
import time

import pandas as pd
import pytest

import cerebench
from cerebench.api import Reporter, ReporterSettings
from cerebench.boards import leaderboard_rows
from cerebench.broadcast import delivery
from cerebench.errors import UsageError
from cerebench.plugins.registry import Registry
from cerebench.request import Quiet


class Keeper(Reporter):
    """Keeps everything it is told."""

    def __init__(self, settings: ReporterSettings | None = None) -> None:
        super().__init__(settings)
        self.events: list = []
        self.run_started = self.cell_started = self.case_scored = self.events.append
        self.cell_finished = self.run_finished = self.events.append

    def named(self, name: str) -> list:
        return [event for event in self.events if event.name == name]


class Warnings(Quiet):
    """A display that keeps the warnings."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def warn(self, text: str) -> None:
        self.lines.append(text)


def test_the_life_of_a_run_in_worker_processes(world):
    keeper = Keeper()
    methods = ["toy-feature-distance", "toy-raises-late"]
    result = cerebench.run(methods, "toy-*", **world.options(reporters=[keeper, "jsonl"], workers=2))

    assert [keeper.events[0].name, keeper.events[-1].name] == ["run-started", "run-finished"]
    assert {event.run for event in keeper.events} == {keeper.events[0].run}
    (table,) = keeper.events[0].tables
    assert (table.protocol, table.methods, table.cells, table.kept) == ("toy-transfer", tuple(methods), 8, 0)
    assert keeper.events[0].results == str(world.results)
    assert keeper.events[0].provenance["cerebench"] == cerebench.__version__

    begun = [event.cell for event in keeper.named("cell-started")]
    ended = {event.cell: event for event in keeper.named("cell-finished")}
    assert {cell.kind for cell in begun} == {"train", "reference", "evaluate"}
    assert set(begun) <= set(ended)
    evaluated = {(cell.method, cell.cohort, cell.modality) for cell in ended if cell.kind == "evaluate"}
    assert evaluated == {(m, f"toy-{c}", t) for m in methods for c in ("healthy", "lesion") for t in ("t1", "t2")}

    for cell, event in ended.items():
        fine = cell.method != "toy-raises-late"
        assert event.status == ("ok" if fine else "failed")
        assert ("ZeroDivisionError" in event.reason) is not fine
        assert bool(event.metrics) == (fine and cell.kind == "evaluate")
        if event.metrics:
            check_cell(world, keeper, event)
    assert all(event.seconds > 0 for cell, event in ended.items() if cell in begun)

    last = keeper.events[-1]
    assert (last.status, last.evaluated, dict(last.counts)) == ("finished", 4, {"ok": 4, "failed": 4})
    assert dict(last.problems) == dict(result.problems)
    lines = [json.loads(line) for line in (world.results / "events.jsonl").read_text().splitlines()]
    assert lines == [event.to_json() for event in keeper.events]


def check_cell(world, keeper, event):
    """Cases and metrics of a cell as reporters are told them are those of its folder."""
    folder = world.results / event.cell.path
    table = pd.read_parquet(folder / "cases.parquet")
    cases = [case for case in keeper.named("case-scored") if case.cell == event.cell]
    assert [case.index for case in cases] == list(range(1, len(cases) + 1))
    assert {case.total for case in cases} == {len(cases)}
    told = {(case.case, case.patient, *name.split("/")): value for case in cases for name, value in case.values.items()}
    stored = {
        tuple(part for part in (row.case, row.patient, row.level, row.post, row.metric) if part): row.value
        for row in table.itertuples()
    }
    assert told == stored
    rows = [
        row
        for row in leaderboard_rows(world.results)
        if (row["method"], row["cohort"], row["modality"])
        == (event.cell.method, event.cell.cohort, event.cell.modality)
    ]
    measured = {(item.level, item.post, item.metric): (item.value, item.low, item.high) for item in event.metrics}
    assert measured == {
        (row["level"], row["post"], row["metric"]): (row["value"], row["low"], row["high"])
        for row in rows
        if row["value"] is not None
    }


def test_what_is_kept_is_counted_and_not_told_again(world):
    keeper = Keeper()
    cerebench.run("toy-good", "toy-lesion", **world.options(in_process=True))
    cerebench.run("toy-good", "toy-*", **world.options(in_process=True, reporters=[keeper]))
    assert (keeper.events[0].tables[0].cells, keeper.events[0].tables[0].kept) == (4, 2)
    assert {event.cell.cohort for event in keeper.named("cell-finished") if event.cell.kind == "evaluate"} == {
        "toy-healthy"
    }
    assert (keeper.events[-1].evaluated, dict(keeper.events[-1].counts)) == (2, {"ok": 4})


def test_events_cannot_be_changed_under_anothers_eyes(world):
    class Meddler(Reporter):
        def case_scored(self, event):
            event.values["voxel/raw/ap"] = 1.0

    keeper, display = Keeper(), Warnings()
    options = world.options(in_process=True, reporters=[Meddler(), keeper], display=display)
    assert cerebench.run("toy-good", "toy-lesion", **options).exit_code == 0
    assert "case_scored" in display.lines[0]
    assert "TypeError" in display.lines[0]
    assert len(keeper.named("case-scored")) > 1


@pytest.mark.parametrize("hook", ["run_started", "cell_started", "case_scored", "cell_finished", "run_finished"])
@pytest.mark.parametrize("error", [RuntimeError("no network\nat all"), SystemExit(3)], ids=["raises", "exits"])
def test_a_reporter_that_fails_gives_one_warning_and_is_called_no_more(hook, error):
    calls = []

    def fail(event):
        calls.append(event)
        raise error

    broken, keeper, warnings = Reporter(), Keeper(), []
    setattr(broken, hook, fail)
    told = tell_all([("reporter 'broken' of fake 1.0", broken), ("keeper", keeper)], warnings)
    assert len(calls) == 1
    assert [event.name for event in keeper.events] == told
    (line,) = warnings
    assert line.startswith(f"reporter 'broken' of fake 1.0 failed in {hook} and is told no more of this run: ")
    assert type(error).__name__ in line
    assert "\n" not in line


def tell_all(reporters, warnings):
    """Tell every event twice where a run may, as it does; returns the names of what was told."""
    from collections import Counter
    from pathlib import Path
    from types import SimpleNamespace

    from cerebench.broadcast.broadcast import Broadcast
    from cerebench.broadcast.choose import Chosen
    from cerebench.executors.work import Event
    from cerebench.store import Store

    identity = SimpleNamespace(
        protocol="p",
        protocol_version=1,
        preset="quick",
        method="m",
        variant="",
        cohort="c",
        modality="t1",
        provenance="real",
    )
    job = SimpleNamespace(
        evaluations=[SimpleNamespace(path="a", identity=identity)], seed=0, modalities=("t1",), provenance={}
    )
    result = SimpleNamespace(plans=[], counts=Counter(), problems=[], evaluated=0)
    broadcast = Broadcast([Chosen(*item) for item in reporters], Store(Path("nowhere")), warnings.append)
    with broadcast.run(result, (1, 1)):
        for _ in range(2):
            for kind in ("start", "progress", "case", "end"):
                broadcast.event(job, Event(kind, "a", status="failed" if kind == "end" else ""))
    return ["run-started", *["cell-started", "case-scored", "cell-finished"] * 2, "run-finished"]


def test_a_reporter_that_hangs_does_not_hold_the_run_and_is_left_alone(monkeypatch):
    monkeypatch.setattr(delivery, "PATIENCE_S", 0.3)
    release, stuck, keeper, warnings = threading.Event(), Reporter(), Keeper(), []
    stuck.cell_started = lambda event: release.wait(60)
    begin = time.monotonic()
    told = tell_all([("reporter 'stuck' of fake 1.0", stuck), ("keeper", keeper)], warnings)
    assert time.monotonic() - begin < 10
    release.set()
    assert [event.name for event in keeper.events] == told
    (line,) = warnings
    assert line.startswith("reporter 'stuck' of fake 1.0 is still busy in cell_started 0.3 s after the run")


def test_a_slow_reporter_is_waited_for_as_long_as_it_gets_on(monkeypatch):
    monkeypatch.setattr(delivery, "PATIENCE_S", 0.5)
    heard, slow, warnings = [], Reporter(), []

    def hear(event):
        time.sleep(0.1)
        heard.append(event.name)

    for hook in ("run_started", "cell_started", "case_scored", "cell_finished", "run_finished"):
        setattr(slow, hook, hear)
    assert tell_all([("slow", slow)], warnings) == heard
    assert warnings == []


def test_an_interrupted_run_is_told_as_such(world):
    keeper = Keeper()

    class Stop(Quiet):
        def event(self, job, event):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cerebench.run("toy-good", "toy-*", **world.options(in_process=True, reporters=[keeper], display=Stop()))
    assert (keeper.events[-1].name, keeper.events[-1].status) == ("run-finished", "interrupted")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("jsno", "unknown reporter 'jsno': did you mean 'jsonl'?"),
        ("jsonl[paht=x]", "reporter 'jsonl' has no setting 'paht': did you mean 'path'?"),
        ("jsonl[path=[1]]", "setting 'path' of reporter 'jsonl': Input should be a valid string"),
        ([3], "reporter 3: expected a name or an object"),
        ([Reporter], "expected a name or an object"),
    ],
)
def test_wrong_reporters_are_refused_before_anything_runs(world, wanted, words):
    with pytest.raises(UsageError) as raised:
        cerebench.run("toy-good", "toy-*", **world.options(dry_run=True, reporters=wanted))
    assert words in str(raised.value)
    assert not world.results.exists()


def test_a_reporter_of_a_plugin_runs_from_the_command_line(world, tmp_path, monkeypatch, capsys):
    from cerebench.cli.main import main

    install_reporter(tmp_path / "more", monkeypatch)
    words = ["run", "--methods", "toy-good", "--cohorts", "toy-lesion", "--protocols", "toy-transfer", "--in-process"]
    words += ["--data-root", str(world.data), "--cards", str(world.cards), "--results", str(world.results)]
    words += ["--report", f"fake-lines[path={tmp_path / 'lines.txt'},loud=true],fake-broken"]
    with pytest.raises(SystemExit) as ended:
        main(words)
    captured = capsys.readouterr()
    assert ended.value.code == 0
    assert (tmp_path / "lines.txt").read_text().splitlines() == [
        "TOY-GOOD ON TOY-LESION T1",
        "TOY-GOOD ON TOY-LESION T2",
    ]
    warnings = [line for line in captured.err.splitlines() if line.startswith("Warning: ")]
    assert warnings == [
        "Warning: reporter 'fake-broken' of fake-reporters 1.0 failed in run_started and is told no more of this run: "
        "ZeroDivisionError: division by zero (lines.py, line 27)"
    ]
    assert [entry.name for entry in Registry.discover().reporters() if entry.source == "fake-reporters"] == [
        "fake-broken",
        "fake-lines",
    ]


LINES = '''from pathlib import Path

from cerebench.api import Reporter, ReporterSettings


class Lines(Reporter):
    class Settings(ReporterSettings):
        path: str
        loud: bool = False

    def run_started(self, event):
        Path(self.settings.path).write_text("")

    def cell_finished(self, event):
        cell = event.cell
        if cell.kind == "evaluate":
            text = f"{cell.method} on {cell.cohort} {cell.modality}"
            with open(self.settings.path, "a") as stream:
                stream.write((text.upper() if self.settings.loud else text) + "\\n")


class Broken(Reporter):
    """Fails at once."""

    def run_started(self, event):
        text = "the next line fails"
        1 / 0
'''


def install_reporter(site, monkeypatch):
    """A distribution with two reporters."""
    package = site / "fake_reporters"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "lines.py").write_text(LINES)
    targets = {"fake-lines": "fake_reporters.lines:Lines", "fake-broken": "fake_reporters.lines:Broken"}
    rows = "".join(f"  - {{name: {n}, target: '{t}', summary: Tells.}}\n" for n, t in targets.items())
    (package / "cerebench.yaml").write_text(f"schema: 1\napi: 1\nreporters:\n{rows}")
    (package / "plugin.py").write_text(
        "from cerebench.api import hookimpl\n\n\n@hookimpl\ndef bench_register_reporters(register):\n"
        + "".join(f"    register({name!r}, {target!r})\n" for name, target in targets.items())
    )
    record = site / "fake_reporters-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-reporters\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text("[cerebench]\nfake = fake_reporters.plugin\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("CEREBENCH_PLUGINS", "*")
    for name in [name for name in sys.modules if name.startswith("fake_reporters")]:
        monkeypatch.delitem(sys.modules, name)


def test_the_listing_of_reporters(capsys):
    from cerebench.cli.main import main

    with pytest.raises(SystemExit) as ended:
        main(["list", "reporters", "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert not ended.value.code
    assert {row["name"]: row["source"] for row in rows} == {"jsonl": "cerebench", "mlflow": "cerebench"}


def test_reporters_of_the_manifest_load():
    registry = Registry.discover()
    for entry in registry.reporters():
        assert issubclass(registry.load_reporter(entry.name), Reporter)
