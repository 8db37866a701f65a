"""Without anomalib: the methods are listed and described, and say which extra they need when they are built."""

from __future__ import annotations

import sys

import pytest

from cerebench.api import MethodError
from cerebench.testing.declaration import check_declaration, check_manifest, check_settings
from cerebench_methods.anomalib_bridge import models
from cerebench_methods.anomalib_bridge.bridge import AnomalibMethod

MODELS = (
    models.AnomalibFastflow,
    models.AnomalibPadim,
    models.AnomalibPatchcore,
    models.AnomalibReverseDistillation,
)


@pytest.mark.parametrize("cls", MODELS)
def test_class_and_manifest_agree_without_anomalib(cls: type[AnomalibMethod], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anomalib", None)

    assert "pretrain, fit" in check_declaration(cls)
    assert check_manifest(cls) == "cerebench.yaml"
    assert check_settings(cls)


@pytest.mark.parametrize("cls", MODELS)
def test_building_names_the_extra(cls: type[AnomalibMethod], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "anomalib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "anomalib", None)
    method = cls(cls.settings_for("mock"))

    with pytest.raises(MethodError, match=r"need anomalib, .* not installed: pip install 'cerebench\[anomalib\]'"):
        method.build(("t1",), (32, 40), (4.0, 4.0))


def test_layers_that_the_bridge_has_not_are_refused() -> None:
    method = models.AnomalibPadim(models.AnomalibPadim.settings_for("mock", {"layers": (0, 1)}))
    with pytest.raises(MethodError, match=r"setting layers=\[0, 1\]: expected some of 1, 2, 3"):
        method.build(("t1",), (32, 40), (4.0, 4.0))
