"""The conformance suite: what every method has to keep, tried on mock volumes in seconds.

A method with a preset ``mock`` is tried with it, so that an author can keep the trial short.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cerebench.contract.method import Method
from cerebench.errors import UsageError
from cerebench.testing.declaration import check_declaration, check_manifest, check_settings
from cerebench.testing.outcome import CheckResult, Measured, outcome, raise_failures

if TYPE_CHECKING:
    from cerebench.testing.trial import Trial


def check_method(cls: type[Method], preset: str = "quick", device: str = "cpu") -> list[CheckResult]:
    """Try a method against the contract.

    Args:
        cls: the method's class.
        preset: settings to train with, unless the class has a preset ``mock``.
        device: torch device word, such as ``cpu`` or ``cuda:0``.

    Returns:
        one result a check, in order. A method that cannot be trained fails there, and what follows is skipped.

    Raises:
        UsageError: ``cls`` is not a method's class.
    """
    if not (isinstance(cls, type) and issubclass(cls, Method)):
        raise UsageError(f"{cls!r} is not a class derived from cerebench.api.Method")
    results = [outcome("info", lambda: check_declaration(cls))]
    if not results[0].ok:
        return results
    results += [
        outcome("manifest", lambda: check_manifest(cls)),
        outcome("settings", lambda: check_settings(cls)),
    ]
    if not all(result.ok for result in results):
        return results
    import torch

    from cerebench.testing import behaviour
    from cerebench.testing.trial import Trial

    with tempfile.TemporaryDirectory(prefix="cerebench-check-") as folder, _one_thread():
        trial = Trial(cls, preset, torch.device(device), Path(folder))
        broken = ""
        for name, check in behaviour.CHECKS.items():
            if broken and name != "no label access":
                results.append(CheckResult(name, True, f"not tried: {broken}", skipped=True))
                continue
            results.append(outcome(name, _bound(check, trial)))
            if not results[-1].ok and name in behaviour.FOUNDATIONS:
                broken = f"{name!r} failed"
    return results


def assert_conforms(cls: type[Method], preset: str = "quick", device: str = "cpu") -> None:
    """Fail with a list of what a method breaks; for use in a plugin's own tests.

    Raises:
        AssertionError: a check failed.
    """
    raise_failures(f"method {cls.info.name!r}", check_method(cls, preset, device))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Mock networks are too small for several threads, whose waiting for each other is slow on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _bound(check: Callable[[Trial], str | Measured], trial: Trial) -> Callable[[], str | Measured]:
    return lambda: check(trial)
