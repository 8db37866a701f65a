"""Progress of a run: plain lines, and bars drawn into a recorded terminal."""

from __future__ import annotations

import io
import re
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from cerebench.cli.display import BarDisplay, PlainDisplay, make_display
from cerebench.executors.work import Event

PLAN: Any = SimpleNamespace(
    protocol=SimpleNamespace(name="toy", version=2), preset_name="quick", skipped=[SimpleNamespace()]
)
JOB: Any = SimpleNamespace(id="mean t1 clinic seed0", evaluations=[0] * 10)


def path(cohort: str) -> str:
    return f"runs/toy@2/mean/{cohort}-t1/seed0-abc"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that the test moves."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr("cerebench.cli.display.time.monotonic", lambda: clock.now)
    return clock


def test_plain_lines_go_to_the_error_stream(capsys):
    display = PlainDisplay()
    for done in range(3):
        display.phase(done, 3, "simulating toy")
        display.phase(done, 3, f"clinic p{done} t1")
    display.planned(PLAN, [JOB], 4)
    display.warn("three cases are left out")
    display.event(JOB, Event("start", "artefacts/fit/mean-abc", "train"))
    display.event(JOB, Event("progress", "artefacts/fit/mean-abc", "train", done=1, total=2))
    display.event(JOB, Event("end", "artefacts/fit/mean-abc", "train", "ok"))
    display.event(JOB, Event("end", path("a"), "evaluate", "kept"))
    display.event(JOB, Event("end", path("b"), "evaluate", "failed", "it broke"))
    display.close()
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert "toy v2, preset quick: 10 cells (4 already done), 1 skipped or failed beforehand" in lines
    assert "Warning: three cases are left out" in lines
    assert "training of mean t1 clinic seed0: ok" in lines
    assert lines[-1].startswith("[5/10] mean on b-t1: failed (it broke)")
    assert "kept" not in captured.err
    assert "\x1b" not in captured.err


def test_a_phase_is_one_line_however_many_cases(capsys):
    display = PlainDisplay()
    for done in range(50):
        display.phase(done, 50, f"clinic p{done} t1")
    assert capsys.readouterr().err.splitlines() == ["preparing cases (50)"]


def test_the_estimate_counts_new_cells_and_time_since_the_plan_only(capsys, clock):
    display = PlainDisplay()
    clock.now += 500  # simulation and preparation
    display.planned(PLAN, [JOB], 4)
    clock.now += 60
    display.event(JOB, Event("end", path("a"), "evaluate", "ok"))
    assert "[5/10] mean on a-t1: ok, about 5 min left" in capsys.readouterr().err
    for name in "bcde":
        display.event(JOB, Event("end", path(name), "evaluate", "ok"))
    capsys.readouterr()
    display.event(JOB, Event("end", path("f"), "evaluate", "ok"))
    assert "left" not in capsys.readouterr().err


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A display of bars on a recorded terminal, with the clock of its bars in the test's hands."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120, color_system=None, legacy_windows=False)
    monkeypatch.setattr("rich.console.Console", lambda **options: console)
    display = BarDisplay()
    clock = SimpleNamespace(now=0.0)
    display._bars.get_time = lambda: clock.now  # type: ignore[method-assign]
    yield SimpleNamespace(display=display, out=out, clock=clock)
    display.close()


def shown(bars: SimpleNamespace) -> str:
    """What the bars look like now."""
    paper = Console(file=io.StringIO(), width=120, color_system=None)
    paper.print(bars.display._bars.get_renderable())
    return paper.file.getvalue()


def test_bars_live_through_every_event(bars):
    display = bars.display
    display.phase(0, 2, "simulating toy")
    display.phase(1, 2, "clinic p0 t1")
    assert "clinic p0 t1" in shown(bars)
    display.planned(PLAN, [JOB], 4)
    assert "clinic p0" not in shown(bars)
    assert re.search(r"cells .*4/10", shown(bars))
    display.event(JOB, Event("start", "artefacts/fit/mean-abc", "train"))
    display.event(JOB, Event("progress", "artefacts/fit/mean-abc", "train", done=3, total=20, text="step"))
    assert re.search(r"training mean t1 clinic seed0 .*3/20", shown(bars))
    display.event(JOB, Event("end", "artefacts/fit/mean-abc", "train", "ok"))
    assert "training" not in shown(bars)
    display.event(JOB, Event("end", path("kept"), "evaluate", "kept"))
    assert "4/10" in shown(bars)  # counted when the plan was shown
    display.event(JOB, Event("start", path("a"), "evaluate"))
    display.event(JOB, Event("end", path("a"), "evaluate", "failed", "found [red]brackets[/red] in it"))
    assert "5/10" in shown(bars)
    display.warn("a [bold]warning")
    display.planned(PLAN, [JOB], 0)  # a second protocol
    assert "5/20" in shown(bars)
    display.close()
    text = bars.out.getvalue()
    assert "mean on a-t1: failed (found [red]brackets[/red] in it)" in text
    assert "Warning: a [bold]warning" in text


def test_the_estimate_appears_though_every_cell_takes_minutes(bars):
    display = bars.display
    display.planned(PLAN, [JOB], 0)
    assert "-:--:--" in shown(bars)
    for name in "abcd":
        bars.clock.now += 120
        display.event(JOB, Event("end", path(name), "evaluate", "ok"))
    assert "0:12:00" in shown(bars)  # six cells of two minutes


def test_bars_only_where_a_person_watches(monkeypatch):
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert isinstance(make_display(), PlainDisplay)
