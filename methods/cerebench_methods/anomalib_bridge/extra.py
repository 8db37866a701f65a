"""What the bridge takes from anomalib, and the error where anomalib is not installed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from importlib import import_module
from io import StringIO
from typing import Any

from cerebench.api import MethodError


def from_anomalib(module: str, name: str) -> Any:
    """The object ``name`` of ``anomalib.models.image.<module>``.

    Raises:
        MethodError: anomalib is not installed, or this version of it has no such object.
    """
    try:
        with quietly():  # importing one model imports all of them, deprecated ones too
            return getattr(import_module(f"anomalib.models.image.{module}"), name)
    except ModuleNotFoundError as error:
        missing = str(error.name or "").partition(".")[0]
        if missing != "anomalib":
            raise MethodError(
                f"anomalib needs the package {missing!r}, which is not installed: pip install 'cerebench[anomalib]'"
            ) from None
        raise MethodError(
            "methods anomalib:NAME need anomalib, which is not installed: pip install 'cerebench[anomalib]'"
        ) from None
    except AttributeError:
        raise MethodError(
            f"the installed anomalib has no {module}.{name}: install the version of the extra, "
            "pip install 'cerebench[anomalib]'"
        ) from None


@contextmanager
def quietly() -> Iterator[None]:
    """Keep anomalib's progress bars and its warnings about itself to itself: they would tear the run's own display."""
    with warnings.catch_warnings(), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        yield
