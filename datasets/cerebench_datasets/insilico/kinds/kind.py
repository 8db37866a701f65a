"""What a kind of lesion is: its parts with their signals, its parameters, and how it grows in a subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from cerebench.api import UsageError
from cerebench_datasets.insilico.anatomy import AnatomyChange, Tissue
from cerebench_datasets.insilico.lesion import Lesion


class Block(BaseModel):
    """Base of parameter blocks: unknown names are refused, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Signal:
    """How a lesion part shows.

    Attributes:
        t1_ms, t2_ms, density: relaxation times and proton density (water = 1) at 1.5 T.
        t1, t1c: signal on T1 and contrast-enhanced T1 in units of white matter.
        adc: apparent diffusion coefficient, 1e-3 mm²/s.
    """

    t1_ms: float
    t2_ms: float
    density: float
    t1: float
    t1c: float
    adc: float = 1.2


@dataclass(frozen=True)
class Draw:
    """What a kind is given to grow a lesion from.

    Attributes:
        rng: the patient's stream for lesions; two visits of a patient get the same numbers from it.
        tissue: the subject; a kind may change it in place (mass effect).
        visit: stream of this visit alone, for what changes between visits.
        growth: factor on volumes at this visit; 1 at the first.
        affected: whether the subject has the disease at all (cohorts with controls of their own).
        displace: False must leave ``tissue`` as it was but give the same lesion (null control).
    """

    rng: np.random.Generator
    tissue: Tissue
    visit: np.random.Generator
    growth: float = 1.0
    affected: bool = True
    displace: bool = True


@dataclass(frozen=True)
class Kind:
    """One kind of lesion.

    Attributes:
        name: what a card's ``simulate.lesion`` says.
        signals: lesion part → how it shows, in the order in which label values are given out by default.
        parameters: block of the kind's parameters; a card sets them in ``simulate.parameters.lesion``.
        grow: draws the lesion.
        shape: for diseases of the whole brain: from a stream of the patient, the growth at this visit and the block to
            the change of anatomy. Called for affected patients only, and not in the null control.
    """

    name: str
    signals: Mapping[str, Signal]
    parameters: type[Block]
    grow: Callable[[Draw, Any], Lesion]
    shape: Callable[[np.random.Generator, float, Any], AnatomyChange] | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts."""
        return tuple(self.signals)

    def read(self, card: str, values: Mapping[str, Any]) -> Block:
        """Validate a card's ``simulate.parameters.lesion``.

        Raises:
            UsageError: a parameter is unknown or out of its range.
        """
        try:
            return self.parameters(**values)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise UsageError(
                f"card {card!r}: simulate.parameters.lesion.{where}: {first['msg']} (found {first.get('input')!r}); "
                f"the parameters of {self.name} lesions are: {', '.join(self.parameters.model_fields)}"
            ) from None
