"""What a trained method says about itself when it is diagnosed: figures, findings and pictures, as data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from cerebench.contract.volumes import Volumes
from cerebench.errors import MethodError

if TYPE_CHECKING:
    import numpy as np
    from torch import device


@dataclass(frozen=True)
class Figure:
    """A named number.

    Attributes:
        name: unique within a diagnosis.
        value: finite.
        unit: such as ``Dice``, ``%`` or ``mm``; empty for a plain ratio.
        text: what was measured, on what.
    """

    name: str
    value: float
    unit: str = ""
    text: str = ""


@dataclass(frozen=True)
class Finding:
    """A possible fault, and the figure that decides on it.

    Attributes:
        name: of the fault.
        figure: name of the figure that decides.
        value: of that figure; ``None`` where it could not be measured, for the reason in ``text``.
        threshold: beyond which the fault is there.
        beyond: on which side of the threshold: ``above`` or ``below``.
        text: what the figure is, or why there is none.
    """

    name: str
    figure: str
    value: float | None
    threshold: float
    beyond: Literal["above", "below"] = "above"
    text: str = ""

    @property
    def triggered(self) -> bool | None:
        """Whether the fault is there; ``None`` where that could not be measured."""
        if self.value is None:
            return None
        return self.value > self.threshold if self.beyond == "above" else self.value < self.threshold


@dataclass(frozen=True)
class Panels:
    """Rows of axial planes; the harness draws them.

    Attributes:
        rows: name → ``[n, D, H]`` float; the first row is an image, whose grey window the others share. Names make
            colours as those of :meth:`cerebench.contract.method.Method.explain` do.
        columns: words above each of the n planes.
        spacing: mm along D and H.
    """

    rows: Mapping[str, np.ndarray[Any, Any]]
    columns: tuple[str, ...]
    spacing: tuple[float, float]


@dataclass(frozen=True)
class Scatter:
    """Points in the plane, in groups; the harness draws them.

    Attributes:
        groups: name → ``[n, 2]`` float.
    """

    groups: Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Diagnosis:
    """All that a diagnosis found."""

    figures: tuple[Figure, ...] = ()
    findings: tuple[Finding, ...] = ()
    pictures: Mapping[str, Panels | Scatter] = field(default_factory=dict)


@dataclass(frozen=True)
class DiagnoseContext:
    """What ``diagnose`` may look at. There is no lesion label in it.

    Attributes:
        held_out: healthy validation subjects, with the channels that the method trains on; empty if there are none.
        tested: centre and modality, such as ``hospital-a t1`` → some of its test cases, each with that one channel.
        device: where the method's tensors are.
        seed: for methods that sample.
    """

    held_out: Volumes
    tested: Mapping[str, Volumes]
    device: device
    seed: int


def check_diagnosis(method: str, found: Any) -> Diagnosis:
    """What a method returned, if it is a diagnosis.

    Raises:
        MethodError: another type; a number that is not finite; a finding without its figure; a picture of a wrong
            shape or with values that are not finite; two figures of one name.
    """
    if not isinstance(found, Diagnosis):
        raise MethodError(f"method {method!r}: diagnose returned {type(found).__name__}, expected a Diagnosis")
    figures = [figure.name for figure in found.figures]
    doubled = next((name for name in figures if figures.count(name) > 1), None)
    if doubled:
        raise MethodError(f"method {method!r}: diagnose gives two figures the name {doubled!r}; name them apart")
    for figure in found.figures:
        if not math.isfinite(figure.value):
            raise MethodError(f"method {method!r}: figure {figure.name!r} is {figure.value}, expected a finite number")
    for finding in found.findings:
        if finding.value is not None and finding.figure not in figures:
            raise MethodError(
                f"method {method!r}: finding {finding.name!r} names the figure {finding.figure!r}, which diagnose does "
                "not give"
            )
    for name, picture in found.pictures.items():
        _check_picture(f"method {method!r}: picture {name!r}", picture)
    return found


def _check_picture(what: str, picture: Any) -> None:
    import numpy as np

    if isinstance(picture, Panels):
        arrays = picture.rows
        count = len(picture.columns)
        fits = {array.shape for array in arrays.values()}
        if len(fits) != 1 or len(shape := next(iter(fits))) != 3 or shape[0] != count or not count:
            raise MethodError(f"{what} has rows of shapes {sorted(fits)}, expected one shape [{count}, D, H]")
    elif isinstance(picture, Scatter):
        arrays = picture.groups
        wrong = next((array.shape for array in arrays.values() if array.ndim != 2 or array.shape[1] != 2), None)
        if wrong or not arrays:
            raise MethodError(f"{what} has points of shape {wrong}, expected groups of [n, 2]")
    else:
        raise MethodError(f"{what} is {type(picture).__name__}, expected Panels or Scatter")
    if not all(bool(np.isfinite(array).all()) for array in arrays.values()):
        raise MethodError(f"{what} holds NaN or infinite values")
