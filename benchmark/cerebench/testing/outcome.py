"""How a check ends, and how it is recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


class Broken(Exception):
    """The contract is broken; the message says how."""


class NotApplicable(Exception):
    """The check does not apply; the message says why."""


@dataclass(frozen=True)
class CheckResult:
    """Outcome of one check.

    Attributes:
        name: what was checked.
        ok: False where the contract is broken. A skipped check is ok.
        detail: what was found: the fault, the reason for skipping, or a figure.
        skipped: True where the check does not apply or could not be made.
        figures: what was measured, by name with its unit.
    """

    name: str
    ok: bool
    detail: str
    skipped: bool = False
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """What a check returns that measures something: its sentence, and the figures in it."""

    detail: str
    figures: Mapping[str, float]


def require(condition: bool, fault: str) -> None:
    """Raise :class:`Broken` with the fault unless the condition holds."""
    if not condition:
        raise Broken(fault)


def outcome(name: str, check: Callable[[], str | Measured]) -> CheckResult:
    """Make a check and record how it ends; whatever it raises is a finding."""
    try:
        found = check()
    except NotApplicable as reason:
        return CheckResult(name, True, str(reason), skipped=True)
    except Broken as fault:
        return CheckResult(name, False, str(fault))
    except Exception as error:
        return CheckResult(name, False, f"{type(error).__name__}: {error}")
    if isinstance(found, Measured):
        return CheckResult(name, True, found.detail, figures=found.figures)
    return CheckResult(name, True, found)


def raise_failures(what: str, results: list[CheckResult]) -> None:
    """Raise an AssertionError that lists every failed check; ``what`` names what was checked."""
    failed = [result for result in results if not result.ok]
    if failed:
        lines = "".join(f"\n  {result.name}: {result.detail}" for result in failed)
        raise AssertionError(f"{what} breaks the contract:{lines}")
