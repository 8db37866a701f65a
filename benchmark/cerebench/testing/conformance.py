"""The conformance suite: what every method has to keep, tried on mock volumes in seconds.

A method with a preset ``mock`` is tried with it, so that an author can keep the trial short.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cerebench.contract.method import Method
from cerebench.errors import UsageError
from cerebench.testing.declaration import check_declaration, check_manifest, check_settings
from cerebench.testing.outcome import Broken, NotApplicable

if TYPE_CHECKING:
    from cerebench.testing.trial import Trial


@dataclass(frozen=True)
class CheckResult:
    """Outcome of one check.

    Attributes:
        name: what was checked.
        ok: False where the method breaks the contract. A skipped check is ok.
        detail: what was found: the fault, the reason for skipping, or a figure.
        skipped: True where the check does not apply or could not be made.
    """

    name: str
    ok: bool
    detail: str
    skipped: bool = False


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
    results = [_outcome("info", lambda: check_declaration(cls))]
    if not results[0].ok:
        return results
    results += [
        _outcome("manifest", lambda: check_manifest(cls)),
        _outcome("settings", lambda: check_settings(cls)),
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
            results.append(_outcome(name, _bound(check, trial)))
            if not results[-1].ok and name in behaviour.FOUNDATIONS:
                broken = f"{name!r} failed"
    return results


def assert_conforms(cls: type[Method], preset: str = "quick", device: str = "cpu") -> None:
    """Fail with a list of what a method breaks; for use in a plugin's own tests.

    Raises:
        AssertionError: a check failed.
    """
    failed = [result for result in check_method(cls, preset, device) if not result.ok]
    if failed:
        lines = "".join(f"\n  {result.name}: {result.detail}" for result in failed)
        raise AssertionError(f"method {cls.info.name!r} breaks the contract:{lines}")


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


def _bound(check: Callable[[Trial], str], trial: Trial) -> Callable[[], str]:
    return lambda: check(trial)


def _outcome(name: str, check: Callable[[], str]) -> CheckResult:
    try:
        return CheckResult(name, True, check())
    except NotApplicable as reason:
        return CheckResult(name, True, str(reason), skipped=True)
    except Broken as fault:
        return CheckResult(name, False, str(fault))
    except Exception as error:  # whatever a method raises is a finding
        return CheckResult(name, False, f"{type(error).__name__}: {error}")
