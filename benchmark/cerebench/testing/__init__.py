"""For authors of plugins: mock volumes, the conformance suites of methods and cards. Importing it brings no torch."""

from __future__ import annotations

from cerebench.testing.cards import assert_card_conforms, check_card
from cerebench.testing.conformance import assert_conforms, check_method
from cerebench.testing.mock import MemoryVolumes, MockCase, mock_case, mock_volumes
from cerebench.testing.outcome import CheckResult
from cerebench.testing.reporters import mock_events, tell

__all__ = [
    "CheckResult",
    "MemoryVolumes",
    "MockCase",
    "assert_card_conforms",
    "assert_conforms",
    "check_card",
    "check_method",
    "mock_case",
    "mock_events",
    "mock_volumes",
    "tell",
]
