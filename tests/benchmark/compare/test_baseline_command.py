"""``bench baseline`` and ``bench compare``: files, formats, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cerebench.cli.main import main
from cerebench.compare.accepted import accept, baselines_in, load
from cerebench.compare.engine import compare
from cerebench.errors import UsageError


def bench(capsys, *words: object) -> tuple[int, str, str]:
    """Exit code, output and error stream."""
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    printed = capsys.readouterr()
    return int(end.value.code or 0), printed.out, printed.err


def test_a_baseline_holds_what_is_compared(folder, tmp_path: Path) -> None:
    old = folder("old").add().add(cohort="there", status="failed", reason="x")
    done = accept(old.root, " first numbers ", tmp_path / "baseline")
    assert (done.version, done.reason, done.cells, done.ok) == (1, "first numbers", 2, 1)
    assert sorted(path.name for path in done.folder.iterdir()) == ["baseline.json", "values.parquet"]
    for path in (done.folder, tmp_path / "baseline"):
        report = compare(load(path), load(old.root))
        assert (report.exit_code, report.exact, report.findings) == (0, 1, ())


def test_baselines_are_numbered_and_never_changed(folder, tmp_path: Path, usual) -> None:
    store = tmp_path / "baseline"
    first = accept(folder("a").add().root, "one", store)
    before = {path: path.read_bytes() for path in first.folder.iterdir()}
    better = {name: value + 0.1 for name, value in usual("here").items()}
    second = accept(folder("b").add(values=better).root, "two", store)
    assert [item.version for item in baselines_in(store)] == [1, 2]
    assert {path: path.read_bytes() for path in first.folder.iterdir()} == before
    assert compare(load(store), load(tmp_path / "b")).exit_code == 0  # the newest counts
    assert compare(load(second.folder), load(tmp_path / "a")).exit_code == 1


def test_no_baseline_without_values_or_reason(folder, tmp_path: Path) -> None:
    empty = folder("empty").add(status="skipped")
    with pytest.raises(UsageError, match="no finished cell"):
        accept(empty.root, "why", tmp_path / "baseline")
    with pytest.raises(UsageError, match="--reason is empty"):
        accept(folder("full").add().root, " ", tmp_path / "baseline")
    assert not baselines_in(tmp_path / "baseline")


def test_damaged_baselines_are_named(folder, tmp_path: Path) -> None:
    done = accept(folder("a").add().root, "one", tmp_path / "baseline")
    (done.folder / "values.parquet").write_bytes(b"no")
    with pytest.raises(UsageError, match=r"values\.parquet cannot be read"):
        load(done.folder)
    (done.folder / "baseline.json").write_text('{"schema_version": 9}')
    with pytest.raises(UsageError, match="has form 9, expected 1"):
        load(done.folder)


def test_commands_accept_list_and_compare(folder, tmp_path: Path, capsys, usual) -> None:
    store = tmp_path / "baseline"
    old = folder("old").add().add(cohort="there")
    code, out, _ = bench(capsys, "baseline", "accept", old.root, "--reason", "start", "--baselines", store)
    assert (code, out.startswith("Baseline 1 accepted")) == (0, True)
    code, out, _ = bench(capsys, "baseline", "list", "--baselines", store, "--json")
    (item,) = json.loads(out)["baselines"]
    assert (item["version"], item["reason"], item["ok"]) == (1, "start", 2)
    assert "start" in bench(capsys, "baseline", "list", "--baselines", store)[1]

    code, out, _ = bench(capsys, "compare", store, old.root)
    assert (code, out.splitlines()[0]) == (0, "Fine: 2 pairs of cells compared, all equal.")
    worse = {name: value - 0.1 for name, value in usual("here").items()}
    new = folder("new").add(values=worse).add(cohort="there")
    code, out, _ = bench(capsys, "compare", store, new.root)
    assert code == 1
    assert "Regressions (2):" in out
    code, out, _ = bench(capsys, "compare", store, new.root, "--format", "markdown")
    assert "### Regressions (2)" in out
    assert "| one " in out
    code, out, _ = bench(capsys, "compare", store, new.root, "--json")
    report = json.loads(out)
    assert (code, report["exit_code"], report["state"]) == (1, 1, "regression")
    assert {finding["what"] for finding in report["findings"]} == {"ap (voxel, raw)", "dice (voxel, raw)"}
    assert bench(capsys, "compare", store, new.root, "-c", "there")[0] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--format", "tabel"], "did you mean 'table'?"),
        (["--methods", "on"], "did you mean 'one'?"),
        (["--alpha", "2"], "expected a number between 0 and 1"),
        (["--slower", "0.5"], "expected a ratio above 1"),
    ],
)
def test_wrong_options_are_errors(folder, capsys, words, message) -> None:
    root = folder("old").add().root
    code, _, err = bench(capsys, "compare", root, root, *words)
    assert code == 2
    assert message in err


def test_many_cells_are_one_line_of_their_method(folder, usual) -> None:
    from cerebench.compare.render import render

    old, new = folder("old"), folder("new")
    for cohort in "abcd":
        old.add(cohort=cohort)
        new.add(cohort=cohort, values={name: value - 0.1 for name, value in usual(cohort).items()})
    text = render(compare(load(old.root), load(new.root)))
    assert len([line for line in text.splitlines() if line.startswith("one ")]) == 2
    assert "and 3 more" in text


def test_reading_imports_no_torch(folder) -> None:
    import subprocess
    import sys

    root = folder("old").add().root
    code = (
        "import sys; from cerebench.compare.accepted import load; from cerebench.compare.engine import compare; "
        "from pathlib import Path; side = load(Path(sys.argv[1])); "
        "print(compare(side, side).exit_code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "False"]
