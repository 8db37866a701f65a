"""How a check ends if not well."""

from __future__ import annotations


class Broken(Exception):
    """The method breaks the contract; the message says how."""


class NotApplicable(Exception):
    """The check does not apply to this method; the message says why."""


def require(condition: bool, fault: str) -> None:
    """Raise :class:`Broken` with the fault unless the condition holds."""
    if not condition:
        raise Broken(fault)
