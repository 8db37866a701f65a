"""docs/tutorial-method.md: its commands and its code are run as they stand there."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

PAGE = "docs/tutorial-method.md"
METHOD = "shallow-autoencoder/shallow_autoencoder/method.py"
TIMEOUT_S = 1800
COMPUTING_S = 180

PIP = """#!{python}
import sys, tomllib
from pathlib import Path

words = sys.argv[1:]
assert words[:2] == ["install", "-e"], words
folder = Path(words[2].partition("[")[0]).resolve()
project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
package = project["name"].replace("-", "_")
info = Path("{site}") / f"{{package}}-{{project['version']}}.dist-info"
info.mkdir(parents=True)
about = f"Name: {{project['name']}}\\nVersion: {{project['version']}}\\n"
(info / "METADATA").write_text("Metadata-Version: 2.1\\n" + about)
points = project["entry-points"]["cerebench"]
(info / "entry_points.txt").write_text("[cerebench]\\n" + "".join(f"{{k}} = {{v}}\\n" for k, v in points.items()))
(info.parent / package).symlink_to(folder / package)
"""
"""Stands for pip where nothing may be downloaded: makes the package importable and its entry point known."""

Run = Callable[..., str]


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / PAGE).read_text(encoding="utf-8")


def steps(page: str) -> list[tuple[str, str]]:
    """(language, block) in the page's order."""
    return re.findall(r"^```(sh|python)\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def run_steps(page: str, folder: Path, environment: dict[str, str]) -> dict[str, tuple[str, float]]:
    """Run everything in a folder; command line → its output and seconds."""
    done = {}
    for language, block in steps(page):
        if language == "python":
            (folder / METHOD).write_text(block)
            continue
        for line in block.splitlines():
            start = time.monotonic()
            ended = subprocess.run(
                ["bash", "-euc", line],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=TIMEOUT_S,
                check=False,
            )
            assert ended.returncode == 0, f"{line}\n{ended.stdout}"
            done[line] = ended.stdout, time.monotonic() - start
    return done


def base_environment(folder: Path) -> dict[str, str]:
    """This environment without plugins or settings of this machine, at one thread."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CEREBENCH_", "PYTEST_"))}
    kept |= {"CEREBENCH_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1", "COLUMNS": "160"}
    return kept | {"CEREBENCH_PLUGINS": "shallow-autoencoder"}


def check(done: dict[str, tuple[str, float]]) -> None:
    """What the reader has to see."""
    text = {line: output for line, (output, _) in done.items()}
    assert "shallow-autoencoder" in text["bench plugins list"]
    assert "code" in text["bench show method shallow-autoencoder"]
    assert "failed" not in text["bench plugins check shallow-autoencoder"]
    assert "1 passed" in text["pytest shallow-autoencoder"]
    first, second = (output for line, output in text.items() if line.startswith("bench run"))
    for name in ("shallow-autoencoder", "mirror-difference", "intensity-threshold"):
        assert re.search(rf"^{name} +0\.\d", first, re.MULTILINE), first
    assert "2 evaluated now" in second
    board = text["bench leaderboard --metric ap"]
    assert re.search(r"^shallow-autoencoder\[width=8\] +0\.\d", board, re.MULTILINE), board


def test_code_is_short(page):
    (block,) = [block for language, block in steps(page) if language == "python"]
    tree = ast.parse(block)
    lines = {number for node in tree.body for number in range(node.lineno, node.end_lineno + 1)}
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, ast.Import | ast.ImportFrom):
            lines -= set(range(node.lineno, node.end_lineno + 1))
        elif isinstance(body, list) and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            lines -= set(range(body[0].lineno, body[0].end_lineno + 1))
    count = sum(bool(block.splitlines()[number - 1].strip()) for number in lines)
    assert count <= 15
    assert f"a method of {count} lines" in page


def test_every_command_is_one_of_bench_pip_or_pytest(page):
    lines = [line for language, block in steps(page) if language == "sh" for line in block.splitlines()]
    assert {line.split()[0] for line in lines} == {"bench", "pip", "pytest", "echo"}


def test_tutorial_runs_as_written(page, tmp_path):
    tools, site, work = tmp_path / "bin", tmp_path / "site", tmp_path / "work"
    for folder in (tools, site, work):
        folder.mkdir()
    scripts = {
        "pip": PIP.format(python=sys.executable, site=site),
        "bench": f"#!{sys.executable}\nfrom cerebench.cli.main import main\nmain()\n",
        "pytest": f"#!{sys.executable}\nimport sys, pytest\nsys.exit(pytest.main())\n",
    }
    for name, text in scripts.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    environment = base_environment(tmp_path)
    environment |= {"PATH": f"{tools}{os.pathsep}{environment['PATH']}", "PYTHONPATH": str(site)}
    check(run_steps(page, work, environment))


@pytest.mark.slow
def test_tutorial_in_a_fresh_environment(page, tmp_path, root):
    """With pip itself; libraries come from this environment, so that nothing large is downloaded."""
    work = tmp_path / "work"
    work.mkdir()
    fresh = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(fresh)], check=True)
    here = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    there = next(fresh.glob("lib/python*/site-packages"))
    (there / "libraries.pth").write_text(f"{here}\n")
    environment = base_environment(tmp_path)
    environment["PATH"] = f"{fresh / 'bin'}{os.pathsep}{environment['PATH']}"
    pip = [str(fresh / "bin" / "python"), "-m", "pip", "install", "--no-deps", "--ignore-installed"]
    for words in (["pytest", "iniconfig", "pluggy", "pygments", "packaging"], ["-e", str(root)]):
        done = subprocess.run([*pip, *words], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"packages cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
    done = run_steps(page, work, environment)
    check(done)
    computing = sum(seconds for line, (_, seconds) in done.items() if line.startswith("bench run"))
    assert computing < COMPUTING_S, f"{computing:.0f} s"
