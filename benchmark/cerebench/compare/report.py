"""What a comparison found, and the exit code that follows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["regression", "improvement", "change"]
Subject = Literal["metric", "cell", "time", "memory"]

SCHEMA_VERSION = 1
FINE, REGRESSION, ERROR, NOTHING = 0, 1, 2, 3
"""Exit codes of ``bench compare`` and ``bench nightly``."""
STATES = {FINE: "fine", REGRESSION: "regression", ERROR: "error", NOTHING: "nothing measured"}


@dataclass(frozen=True)
class Limits:
    """What counts as worse.

    Attributes:
        alpha: family-wise error rate of the permutation tests of all methods.
        margin: smallest mean loss that a test may call a regression, as a share of the baseline's mean.
        slower: ratio of seconds beyond which a method is slower.
        bigger: ratio of peak memory beyond which a method is bigger.
        floor_s: extra seconds of a method, over all its cells, below which no ratio counts.
        floor_bytes: extra bytes below which no ratio of memory counts.
    """

    alpha: float = 0.05
    margin: float = 0.02
    slower: float = 1.3
    bigger: float = 1.5
    floor_s: float = 1.0
    floor_bytes: int = 256 * 2**20


@dataclass(frozen=True)
class Finding:
    """One difference between two runs.

    Attributes:
        kind: ``regression``, ``improvement`` or ``change`` (different, but not worse beyond the tolerance).
        subject: ``metric``, ``cell`` (its status), ``time`` or ``memory``.
        section: protocol, version, preset and provenance.
        method: method with its variant; empty for the whole run.
        cells: columns and seeds that it is about, the worst first; empty for all of the method.
        what: metric with level and map, stage, or kind of memory.
        baseline, current: what was found on both sides; ``None`` where there is no number.
        difference: current minus baseline for metrics, ratio for time and memory.
        p: adjusted p-value; ``None`` where equal code has to give equal numbers.
        n: cases behind it.
        text: one sentence.
    """

    kind: Kind
    subject: Subject
    section: str
    method: str
    cells: tuple[str, ...]
    what: str
    baseline: float | None
    current: float | None
    difference: float | None
    p: float | None
    n: int
    text: str


@dataclass(frozen=True)
class Report:
    """A whole comparison.

    Attributes:
        baseline, current: labels of the two sides.
        findings: regressions first.
        compared: pairs of finished cells that were held against each other.
        exact: of these, pairs for which any difference is a change.
        tested: tests of methods that could be made.
        incomparable: why cells must not be compared, one sentence each.
        notes: what else a reader should know.
    """

    baseline: str
    current: str
    findings: tuple[Finding, ...] = ()
    compared: int = 0
    exact: int = 0
    tested: int = 0
    incomparable: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def of(self, kind: Kind) -> list[Finding]:
        """The findings of a kind."""
        return [finding for finding in self.findings if finding.kind == kind]

    @property
    def exit_code(self) -> int:
        """0 fine, 1 regression, 2 something must not be compared, 3 nothing or too little measured."""
        if self.of("regression"):
            return REGRESSION
        if self.incomparable:
            return ERROR
        return FINE if self.exact or self.tested else NOTHING

    @property
    def verdict(self) -> str:
        """One sentence."""
        counts = {kind: len(self.of(kind)) for kind in ("regression", "improvement", "change")}
        what = ", ".join(f"{count} {kind}{'s' * (count != 1)}" for kind, count in counts.items() if count)
        equal = "all equal" if self.exact == self.compared else "no difference beyond chance"
        pairs = f"{self.compared} pair{'s' * (self.compared != 1)} of cells compared"
        return {
            FINE: f"fine: {pairs}, {what or equal}",
            REGRESSION: f"regression: {what}; {pairs}",
            ERROR: f"not comparable: {self.incomparable[0] if self.incomparable else ''}",
            NOTHING: f"too little measured: {pairs}; {'; '.join(self.notes) or 'none could be tested'}",
        }[self.exit_code]

    def to_json(self) -> dict[str, Any]:
        """As JSON values, with the exit code and the state in words."""
        return {
            "schema_version": SCHEMA_VERSION,
            "exit_code": self.exit_code,
            "state": STATES[self.exit_code],
            "verdict": self.verdict,
            **asdict(self),
        }


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Regressions, improvements, changes; lost cells first, then by method."""
    kinds = ("regression", "improvement", "change")
    subjects = ("cell", "metric", "time", "memory")
    return tuple(
        sorted(
            findings,
            key=lambda one: (kinds.index(one.kind), subjects.index(one.subject), one.section, one.method, one.what),
        )
    )
