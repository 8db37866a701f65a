"""Hostile plugins, each a distribution of its own: one sentence for each, the others' table complete, nothing outside.

The run that all tests look at is one ``bench run`` in a house of its own: home, working and temporary folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cerebench.boards import leaderboard_rows
from cerebench.cli.main import main

METHOD = """
import os, signal, sys, tempfile, time
from pathlib import Path
from cerebench.api import Method, MethodInfo, Prediction, Stage


class Hostile(Method):
    info = MethodInfo(name="{name}", summary="Hostile.", supervision="{supervision}", stages={stages})

    def fit(self, train, validation, run):
        raise KeyError("a bug in the method")

    def predict(self, images, context):
        prediction = Prediction(maps=images[:, 0].abs() ** 2 * context.brain)
        {body}
        return prediction
"""
PLUGIN = """
from cerebench.api import hookimpl


@hookimpl
def bench_register_methods(register):
    register("{name}", "{package}.method:Hostile")
"""
MANIFEST = """
schema: 1
api: {api}
methods:
  - name: {name}
    target: "{package}.method:Hostile"
    summary: Hostile.
    task: anomaly
    supervision: {supervision}
    modalities: []
    unit: volume
"""


@dataclass(frozen=True)
class Plugin:
    """A distribution ``hostile-…`` with a method of that name.

    ``sentence`` is in the one line that it costs, ``status`` what its cells come to.
    """

    sentence: str
    status: str = ""
    body: str = "pass"
    plugin: str = PLUGIN
    name: str = ""
    api: int = 1
    trains: bool = False


BROKEN = {
    "import-error": Plugin("cannot be imported: ModuleNotFoundError", plugin="import no_such_module\n"),
    "unknown-hook": Plugin(
        "uses a hook that cerebench does not have: ",
        plugin=PLUGIN.replace("bench_register_methods", "bench_register_method"),
    ),
    "duplicate": Plugin("method 'toy-good' is already provided by cerebench-toy-world; block one", name="toy-good"),
    "old-contract": Plugin("written for API 0, this cerebench has 1: upgrade the plugin", api=0),
}
CONTAINED = {
    "raises": Plugin(
        "training stage 'fit' failed: method 'hostile-raises' raised KeyError at method.py:11: 'a bug in the method'",
        "failed",
        trains=True,
    ),
    "hangs": Plugin("took longer than 20 s (--timeout", "timeout", "time.sleep(3600)"),
    "crashes": Plugin("was ended by SIGSEGV", "failed", "os.kill(os.getpid(), signal.SIGSEGV); time.sleep(60)"),
    "greedy": Plugin("GiB, more than the 1.2 GiB allowed", "oom", "self.hoard = b'x' * 2**33"),
    "writes": Plugin("tried to write {home}/evil, outside", "failed", "(Path.home() / 'evil').write_text('evil')"),
    "writes-beside": Plugin("tried to write evil, outside", "failed", "open('evil', 'w').write('evil')"),
    "removes": Plugin("tried to write {home}/dear, outside", "failed", "os.remove(Path.home() / 'dear')"),
    "nan": Plugin("NaN", "failed", "prediction.maps[:] = float('nan')"),
}
HARMLESS = {
    "prints": "print('out ' * 2**20); print('err ' * 2**20, file=sys.stderr); os.write(1, b'raw ' * 2**18)",
    "litters": "tempfile.mkdtemp(); open(tempfile.mkstemp()[1], 'w').write('litter')",
    "mutates": "images.fill_(1e6); context.brain.fill_(False)",
}
COLUMNS = {("toy-lesion", "t1"), ("toy-lesion", "t2")}


def add(site: Path, title: str, plugin: Plugin) -> None:
    """Make distribution ``hostile-TITLE`` look installed."""
    package = f"hostile_{title.replace('-', '_')}"
    words = {
        "package": package,
        "name": plugin.name or f"hostile-{title}",
        "api": plugin.api,
        "supervision": "healthy" if plugin.trains else "none",
        "stages": '(Stage(name="fit"),)' if plugin.trains else "()",
        "body": plugin.body,
    }
    (site / package).mkdir(parents=True)
    texts = {"__init__": "", "plugin": plugin.plugin, "method": METHOD}
    for name, text in texts.items():
        (site / package / f"{name}.py").write_text(fill(text, words))
    (site / package / "cerebench.yaml").write_text(fill(MANIFEST, words))
    record = site / f"{package}-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: hostile-{title}\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text(f"[cerebench]\nhostile-{title} = {package}.plugin\n")


def fill(text: str, words: dict[str, object]) -> str:
    for word, value in words.items():
        text = text.replace(f"{{{word}}}", str(value))
    return text


@dataclass(frozen=True)
class Finished:
    """The run, and its house before and after."""

    house: Path
    code: int
    out: str
    err: list[str]
    before: dict[str, str]
    after: dict[str, str]

    def cells(self, method: str) -> dict[tuple[str, str], tuple[str, str]]:
        """(cohort, modality) → status and reason."""
        rows = [row for row in leaderboard_rows(self.house / "results") if row["method"] == method]
        return {(row["cohort"], row["modality"]): (row["status"], row["reason"]) for row in rows}

    def values(self, method: str) -> dict[tuple[str, ...], float]:
        """What the table says of a method."""
        names = ("cohort", "modality", "level", "post", "metric")
        rows = [row for row in leaderboard_rows(self.house / "results") if row["method"] == method]
        return {tuple(row[name] for name in names): row["value"] for row in rows}


def contents(house: Path) -> dict[str, str]:
    """Every file and folder of a house except for the results, the cache and the user's cache of libraries."""
    own = (house / "results", house / "cache", house / "home" / ".cache")
    paths = [path for path in house.rglob("*") if not any(path.is_relative_to(folder) for folder in own)]
    return {
        str(path.relative_to(house)): path.read_text() if path.is_file() else ""
        for path in paths
        if "__pycache__" not in path.parts
    }


@pytest.fixture
def site(world, tmp_path, monkeypatch) -> Path:
    """Every hostile distribution beside the toy ones, for this process and its children."""
    folder = tmp_path / "hostile"
    harmless = {title: Plugin("", body=body) for title, body in HARMLESS.items()}
    for title, plugin in {**BROKEN, **CONTAINED, **harmless}.items():
        add(folder, title, plugin)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ['PYTHONPATH']}")
    monkeypatch.setenv("CEREBENCH_PLUGINS", f"{os.environ['CEREBENCH_PLUGINS']},hostile-*")
    return folder


def words(world, methods: str, results: Path) -> list[str]:
    options = ["--protocols", "toy-transfer", "--cohorts", "toy-lesion", "--data-root", str(world.data)]
    options += ["--cards", str(world.cards), "--device", "cpu", "--results", str(results)]
    return ["run", "--methods", methods, *options]


@pytest.fixture
def finished(world, site) -> Iterator[Finished]:
    """The run of the good method and of every hostile one."""
    house = Path(tempfile.mkdtemp(prefix="house-"))  # short: sockets in its temporary folder have limited names
    for name in ("home", "work", "temporary"):
        (house / name).mkdir(parents=True)
    (house / "home" / "dear").write_text("dear")
    before = contents(house)
    env = {
        **os.environ,
        "HOME": str(house / "home"),
        "TMPDIR": str(house / "temporary"),
        "CEREBENCH_CACHE": str(house / "cache"),
        # folders that torch and matplotlib make when they are imported, whatever runs
        "TORCHINDUCTOR_CACHE_DIR": str(house / "cache" / "torch"),
        "MPLCONFIGDIR": str(house / "cache" / "matplotlib"),
    }
    env.pop("XDG_CACHE_HOME", None)
    limits = ["--timeout", "20", "--memory-limit", "1.2", "--workers", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "cerebench.cli.main", *words(world, "toy-good,hostile-*", house / "results"), *limits],
        env=env,
        cwd=house / "work",
        capture_output=True,
        text=True,
        check=False,
    )
    yield Finished(house, done.returncode, done.stdout, done.stderr.splitlines(), before, contents(house))
    shutil.rmtree(house)


def test_a_run_with_every_hostile_plugin_completes_the_others_and_names_each(finished):
    assert finished.code == 1, "\n".join(finished.err)
    problems = [check for title in BROKEN for check in broken_plugin(finished, title)]
    problems += [check for title in CONTAINED for check in contained_plugin(finished, title)]
    assert not problems, "\n".join([*problems, *finished.err])

    assert finished.cells("toy-good") == dict.fromkeys(COLUMNS, ("ok", ""))
    good = finished.values("toy-good")
    assert None not in good.values()
    for title in HARMLESS:
        assert finished.values(f"hostile-{title}") == good, title

    assert len(finished.out) < 20_000
    assert not any(word in finished.out or word in "".join(finished.err) for word in ("out out", "err err", "raw raw"))
    assert not any(line.startswith("Traceback") for line in finished.err)
    assert finished.after == finished.before
    assert not list((finished.house / "results").rglob(".tmp-*"))


def broken_plugin(finished: Finished, title: str) -> list[str]:
    """What is wrong with the answer to a plugin that cannot be used: it is one warning."""
    lines = [line for line in finished.err if f"hostile-{title} " in line]
    start = f"Warning: plugin 'hostile-{title}' of hostile-{title} 1.0: "
    good = len(lines) == 1 and lines[0].startswith(start) and BROKEN[title].sentence in lines[0]
    return [] if good else [f"{title}: {lines}"]


def contained_plugin(finished: Finished, title: str) -> list[str]:
    """What is wrong with the answer to a method that misbehaves: its cells fail, with one sentence each."""
    found, sentence = finished.cells(f"hostile-{title}"), CONTAINED[title].sentence
    sentence = sentence.replace("{home}", str(finished.house / "home"))
    lines = [line for line in finished.err if line.startswith(f"Failed: hostile-{title} on ")]
    good = set(found) == COLUMNS and len(lines) == len(COLUMNS)
    good &= all(sentence in line for line in lines)
    # validation is predicted first, so the reference cell carries the status and the columns name the cause
    good &= {status for status, _ in found.values()} <= {CONTAINED[title].status, "failed"}
    return [] if good else [f"{title}: {found} {lines}"]


@pytest.mark.parametrize("title", [title for title in BROKEN if title != "duplicate"])
def test_a_broken_plugin_that_was_named_ends_the_run_with_one_sentence(world, site, capsys, title):
    with pytest.raises(SystemExit) as ended:
        main(words(world, f"hostile-{title}", world.results))
    lines = capsys.readouterr().err.strip().splitlines()
    assert ended.value.code == 2
    assert len(lines) == 1, lines
    assert lines[0].startswith("Error: ")
    assert f"hostile-{title} 1.0" in lines[0]
    assert BROKEN[title].sentence in lines[0]
    assert not (world.results / "runs").exists() or not list((world.results / "runs").iterdir())
