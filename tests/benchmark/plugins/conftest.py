"""Fake installed distributions: a package, its manifest and its dist-info in a folder on ``sys.path``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Install = Callable[..., Path]

METHOD = """
from cerebench.api import Method, MethodInfo

class Invert(Method):
    info = MethodInfo(name="{name}", summary="Inverts.", supervision="none", unit="volume", stages=())
"""

PLUGIN = """
from cerebench.api import hookimpl

@hookimpl
def bench_register_methods(register):
    register("{name}", "{package}.method:Invert")
"""

MANIFEST = """
schema: 1
api: 1
methods:
  - name: {name}
    target: {package}.method:Invert
    summary: Inverts.
    task: anomaly
    supervision: none
    modalities: []
    unit: volume
"""


@pytest.fixture(autouse=True)
def only_own_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plugins that happen to be installed on this machine never reach a test."""
    monkeypatch.setenv("CEREBENCH_PLUGINS", "fake-*")
    monkeypatch.delenv("CEREBENCH_BLOCK_PLUGINS", raising=False)
    monkeypatch.delenv("CEREBENCH_STRICT_PLUGINS", raising=False)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """``install("fake-a")`` makes distribution fake-a 1.0 with package fake_a that offers method ``a``.

    Keyword arguments replace a file's text (``manifest=None`` leaves it out), where ``{default}`` stands for the usual
    text; ``files`` adds more to the package; ``edit`` is an (old, new) pair for the manifest.
    """
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def make(
        distribution: str,
        *,
        name: str = "",
        version: str = "1.0",
        manifest: str | None = MANIFEST,
        plugin: str = PLUGIN,
        method: str = METHOD,
        files: dict[str, str] | None = None,
        edit: tuple[str, str] = ("", ""),
    ) -> Path:
        package = distribution.replace("-", "_")
        words = {"name": name or distribution.removeprefix("fake-"), "package": package}
        folder = site / package
        texts = {
            "__init__.py": "",
            "plugin.py": plugin.replace("{default}", PLUGIN),
            "method.py": method,
            **(files or {}),
        }
        if manifest is not None:
            texts["cerebench.yaml"] = manifest.replace("{default}", MANIFEST).replace(*edit)
        for file, text in texts.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            for word, value in words.items():
                text = text.replace(f"{{{word}}}", value)
            (folder / file).write_text(text)
        info = site / f"{package}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[cerebench]\n{distribution} = {package}.plugin\n")
        importlib.invalidate_caches()
        return folder

    yield make
    for module in [module for module in sys.modules if module.startswith("fake_")]:
        del sys.modules[module]
