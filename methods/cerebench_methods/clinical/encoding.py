"""Clinical variables as numbers: standardised, categories as indicators, each with an indicator of being missing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cerebench.api import MethodError

if TYPE_CHECKING:
    from torch import Tensor

Covariates = Mapping[str, float | str]


@dataclass(frozen=True)
class Encoding:
    """How mappings of variables become vectors; learnt from training cases alone.

    A missing number takes the training mean (0), a missing or unseen category no indicator; in both cases the
    variable's ``missing`` feature is 1. Only variables that training lacked somewhere have that feature.

    Attributes:
        numbers: variable → (mean, standard deviation).
        categories: variable → values, sorted.
        missing: variables that some training case lacks.
    """

    numbers: Mapping[str, tuple[float, float]]
    categories: Mapping[str, tuple[str, ...]]
    missing: tuple[str, ...]

    @classmethod
    def learn(cls, cases: Iterable[Covariates]) -> Encoding:
        """From the training cases; a variable with any text among its values is a category.

        Raises:
            MethodError: no case has any variable.
        """
        rows = [dict(case) for case in cases]
        names = sorted({name for row in rows for name in row})
        if not names:
            raise MethodError("no training case has a clinical variable: name them under `covariates` in the card")
        numbers: dict[str, tuple[float, float]] = {}
        categories: dict[str, tuple[str, ...]] = {}
        for name in names:
            values = [row[name] for row in rows if name in row]
            if any(isinstance(value, str) for value in values):
                categories[name] = tuple(sorted({str(value) for value in values}))
            else:
                plain = [float(value) for value in values]
                mean = math.fsum(plain) / len(plain)
                spread = math.sqrt(math.fsum((value - mean) ** 2 for value in plain) / len(plain))
                numbers[name] = (mean, spread or 1.0)
        return cls(numbers, categories, tuple(name for name in names if any(name not in row for row in rows)))

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        parts = [f"{name}={value}" for name, values in self.categories.items() for value in values]
        return (*self.numbers, *parts, *(f"{name} missing" for name in self.missing))

    def vector(self, case: Covariates) -> list[float]:
        """Features of one case."""
        found = [
            (float(case[name]) - mean) / spread if isinstance(case.get(name), (int, float)) else 0.0
            for name, (mean, spread) in self.numbers.items()
        ]
        for name, values in self.categories.items():
            found += [float(name in case and str(case[name]) == value) for value in values]
        return [*found, *(float(self._lacks(name, case)) for name in self.missing)]

    def _lacks(self, name: str, case: Covariates) -> bool:
        if name in self.categories:
            return str(case.get(name)) not in self.categories[name]
        return not isinstance(case.get(name), (int, float))

    def to_tensor(self) -> Tensor:
        """As bytes, so that it is stored with the method's tensors."""
        return text_tensor(asdict(self))

    @classmethod
    def from_tensor(cls, stored: Tensor) -> Encoding:
        """The inverse of :meth:`to_tensor`."""
        values = tensor_text(stored)
        return cls(
            {name: (mean, spread) for name, (mean, spread) in values["numbers"].items()},
            {name: tuple(items) for name, items in values["categories"].items()},
            tuple(values["missing"]),
        )


def text_tensor(values: Any) -> Tensor:
    """JSON values as a tensor of bytes."""
    import torch

    return torch.tensor(list(json.dumps(values).encode()), dtype=torch.uint8)


def tensor_text(stored: Tensor) -> Any:
    """The inverse of :func:`text_tensor`."""
    return json.loads(bytes(stored.cpu().tolist()))
