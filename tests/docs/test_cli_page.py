"""docs/cli.md is what docs/make_cli.py writes today."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path


def test_page_is_current(root: Path, tmp_path: Path) -> None:
    # a process of its own: the script sets COLUMNS, and prints as it does for its author
    code = "import runpy, sys; sys.stdout.reconfigure(encoding='utf-8'); print(runpy.run_path(sys.argv[1])['page']())"
    done = subprocess.run(
        [sys.executable, "-c", code, str(root / "docs" / "make_cli.py")],
        capture_output=True,
        encoding="utf-8",
        cwd=tmp_path,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    current = (root / "docs" / "cli.md").read_text(encoding="utf-8")
    assert done.stdout.rstrip("\n") == current.rstrip("\n"), "run: python docs/make_cli.py"


def test_page_has_every_command_and_option(root: Path) -> None:
    from cerebench.cli.main import COMMANDS
    from cerebench.cli.run import run

    text = (root / "docs" / "cli.md").read_text(encoding="utf-8")
    assert all(f"\n## bench {name}\n" in text for name in COMMANDS)
    section = text.split("\n## bench run\n")[1].split("\n## ")[0]
    options = {name.replace("_", "-") for name in run.__annotations__ if name != "return"}
    assert {option for option in options if f"`--{option}" in section} == options


def test_kinds_of_listings_are_complete(root: Path) -> None:
    from cerebench.cli.listing import _LISTINGS

    spec = importlib.util.spec_from_file_location("make_cli", root / "docs" / "make_cli.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert set(module.KINDS) == set(_LISTINGS)
