"""T1/T2 pairs of in-silico heads with their true tissues."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from cerebench.api import Volume


@cache
def paired_phantom(seed: int, spacing: float = 4.0) -> tuple[Volume, np.ndarray[Any, Any]]:
    """Healthy T1 and T2 of one head, and its fractions of CSF, grey and white matter ``[3, D, H, W]``."""
    from cerebench_datasets.insilico.centres import make_centre
    from cerebench_datasets.insilico.parameters import PhantomParameters, Scanner
    from cerebench_datasets.insilico.subject import Examination, make_subject

    parameters = PhantomParameters()
    subject = make_subject(Examination(seed, "phantom", f"subject-{seed}", None, False), spacing, "none", parameters)
    brain = np.asarray(subject.brain)
    centre = make_centre("phantom", None, parameters.scanner, Scanner())
    scans = [subject.scan(name, centre) for name in ("t1", "t2")]
    image = np.stack([np.where(brain, scan / np.percentile(scan[brain], 99), 0) for scan in scans]).astype(np.float32)
    tissue = np.stack([subject.tissue.csf, subject.tissue.gm, subject.tissue.wm])
    return Volume(image, brain, (spacing, spacing, spacing), ("t1", "t2")), tissue


@pytest.fixture(scope="session")
def pair() -> Callable[..., tuple[Volume, np.ndarray[Any, Any]]]:
    return paired_phantom
