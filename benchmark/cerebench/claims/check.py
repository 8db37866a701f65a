"""Every claim on data without an effect, where it must not come out supported, and on a gross one, where it must."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cerebench.claims.ledger import Claim
from cerebench.claims.simulate import simulate
from cerebench.claims.verdicts import Word, judge
from cerebench.store import Store

NULL_DRAWS = 20
GROSS_DRAWS = 3
ALLOWED = 0.05
"""Share of ledgers without effect that may come out supported."""
SURPRISE = 0.01
"""More of them count as a fault where the allowed share would give so many this rarely."""


@dataclass(frozen=True)
class Checked:
    """Verdicts of one claim on simulated ledgers.

    Attributes:
        claim: the claim.
        null: verdict → ledgers without effect.
        gross: verdict → ledgers with a gross effect.
    """

    claim: Claim
    null: Counter[Word]
    gross: Counter[Word]

    @property
    def sound(self) -> bool:
        """Whether no effect is supported no oftener than allowed, and a gross one always."""
        from scipy.stats import binom

        wrong = self.null["supported"]
        rare = wrong > 0 and binom.sf(wrong - 1, self.null.total(), ALLOWED) < SURPRISE
        return not rare and self.gross["supported"] == self.gross.total()


def check(
    claims: Sequence[Claim],
    null_draws: int = NULL_DRAWS,
    gross_draws: int = GROSS_DRAWS,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> Iterator[Checked]:
    """Judge every claim on simulated results folders, through the reader that judges real ones.

    Raises:
        UsageError: a claim contradicts itself.
    """
    total = len(claims) * (null_draws + gross_draws)
    done = 0
    for claim in claims:
        found: tuple[Counter[Word], Counter[Word]] = (Counter(), Counter())
        for gross, draws in ((False, null_draws), (True, gross_draws)):
            for seed in range(draws):
                found[gross][verdict_of(claim, gross, seed)] += 1
                done += 1
                progress(done, total, f"claim {claim.id}")
        yield Checked(claim, *found)


def verdict_of(claim: Claim, gross: bool, seed: int) -> Word:
    """The verdict on one simulated results folder."""
    only = claim.model_copy(update={"presets": ()})
    with tempfile.TemporaryDirectory(prefix="cerebench-claims-") as folder:
        simulate(Path(folder), only, gross, seed)
        (judged,) = judge([only], Store(Path(folder)))
    (verdict,) = judged.verdicts
    return verdict.word
