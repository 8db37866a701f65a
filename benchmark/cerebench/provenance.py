"""Where numbers come from: versions, code, machine, command line; collected once a run."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import Any

import cerebench
from cerebench.contract.info import API_VERSION
from cerebench.digest import git_revision, library_versions

LIBRARIES = ("torch", "monai", "timm", "numpy", "scipy", "scikit-learn", "nibabel", "lightning-fabric")
KEYED_LIBRARIES = ("torch", "monai", "timm")
"""Libraries whose version is part of every key: they change what a trained method predicts."""


def run_provenance(arguments: list[str] | None = None) -> dict[str, Any]:
    """Versions, commit, platform and command of this run."""
    return {
        "schema_version": 1,
        "cerebench": cerebench.__version__,
        "api_version": API_VERSION,
        "libraries": library_versions(LIBRARIES),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "git": git_revision(Path(cerebench.__file__).parent),
        "command": sys.argv if arguments is None else arguments,
    }
