"""Claims and simulated results folders for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cerebench.claims.ledger import Claim
from cerebench.claims.simulate import simulate
from cerebench.jsonio import read_json, write_json


@pytest.fixture
def claim() -> Callable[..., Claim]:
    """``claim(metric=…, level=…, higher={…}, lower={…})``: a claim of one contrast, or of several mappings."""

    def make(*contrasts: Mapping[str, Any], **one: Any) -> Claim:
        parts = [{**_BASE, **part} for part in (contrasts or (one,))]
        about = {"id": "X1", "sentence": "One is better.", "source": "nobody", "kind": "re-implementation"}
        return Claim.model_validate({**about, "protocol": "p", "contrasts": parts})

    return make


_BASE = {
    "metric": "auroc",
    "level": "subject",
    "higher": {"method": "good", "cohort": "c", "modality": "t1"},
    "lower": {"method": "bad", "cohort": "c", "modality": "t1"},
}


@pytest.fixture
def simulated(tmp_path: Path) -> Callable[..., Path]:
    """``simulated(claim, gross=True, seed=0, patients=40, ranked=…)``: a results folder."""

    def make(claim: Claim, gross: bool = True, seed: int = 0, patients: int = 40, **about: Any) -> Path:
        root = tmp_path / f"results-{len(list(tmp_path.iterdir()))}"
        simulate(root, claim, gross, seed, patients)
        edit(root, about=about)
        return root

    return make


def edit(root: Path, about: Mapping[str, Any] | None = None, **cells: Any) -> None:
    """Change what the manifest of a simulated folder says."""
    path = root / "runs" / "manifest-simulated.json"
    manifest = read_json(path)
    manifest["about"] |= about or {}
    manifest["cells"] = [{**cell, **cells} for cell in manifest["cells"]]
    write_json(path, manifest)


@pytest.fixture
def relabel() -> Callable[..., None]:
    """``relabel(root, provenance="real")``: change every cell of a folder's manifest."""
    return edit
