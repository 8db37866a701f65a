"""Which methods run under which protocol: tasks, globs, names, packages that are not installed."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from cerebench import selection
from cerebench.errors import UsageError
from cerebench.plugins.registry import Registry
from cerebench.request import Quiet

BOTH = ("multicentre-anomaly", "necrosis")


class Heard(Quiet):
    def __init__(self) -> None:
        self.said: list[str] = []

    def warn(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(autouse=True)
def _everything_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "find_spec", lambda name: importlib.util.find_spec("json"))


def chosen(methods: str, protocols: str = "all", among: tuple[str, ...] = BOTH) -> dict[str, list[str]]:
    found = selection.choose_methods(methods, protocols, among, Registry.discover([]), Quiet())
    return {title: [one.cls.info.name for one in picked] for title, picked in found.items()}


def test_every_method_runs_where_its_task_is_asked_for() -> None:
    found = chosen("all")
    assert set(found) == set(BOTH)
    assert not set(found[BOTH[0]]) & set(found[BOTH[1]])
    assert "clinical" in found["necrosis"]


def test_a_named_method_leaves_out_protocols_of_another_task_unless_they_are_named_too() -> None:
    assert chosen("autoencoder") == {"multicentre-anomaly": ["autoencoder"]}
    assert chosen("clinical,vae") == {"multicentre-anomaly": ["vae"], "necrosis": ["clinical"]}
    with pytest.raises(UsageError, match="'autoencoder' does anomaly, protocol 'necrosis' asks for lesion-class"):
        chosen("autoencoder", "necrosis,multicentre-anomaly")
    with pytest.raises(UsageError, match="'autoencoder' does anomaly, protocol 'necrosis'"):
        chosen("autoencoder", "nec*", among=("necrosis",))


def test_nothing_that_fits_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"no selected method does the task .* necrosis \(lesion-classification\)"):
        chosen("auto*", "nec*", among=("necrosis",))


def test_a_method_without_its_package_is_left_out_of_globs_and_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "find_spec", lambda name: None)
    display: Any = Heard()

    found = selection.choose_methods("all", "all", BOTH, Registry.discover([]), display)

    assert "radiomics" not in [one.cls.info.name for one in found["necrosis"]]
    assert [line for line in display.said if "radiomics needs the package mirp" in line] == [
        "left out: method radiomics needs the package mirp, which is not installed: pip install 'cerebench[radiomics]'"
    ]
    with pytest.raises(UsageError, match="radiomics needs the package mirp, which is not installed: pip install"):
        chosen("radiomics")
