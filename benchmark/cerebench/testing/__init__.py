"""For authors of plugins: mock volumes and the conformance suite. Importing it brings no torch."""

from __future__ import annotations

from cerebench.testing.conformance import CheckResult, assert_conforms, check_method
from cerebench.testing.mock import MemoryVolumes, MockCase, mock_case, mock_volumes

__all__ = ["CheckResult", "MemoryVolumes", "MockCase", "assert_conforms", "check_method", "mock_case", "mock_volumes"]
