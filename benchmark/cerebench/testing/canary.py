"""Stand-ins for what a method must not use: looking at one raises, and is remembered even if the method catches it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NoReturn

from cerebench.contract.info import MethodInfo
from cerebench.contract.volumes import Volume, Volumes
from cerebench.errors import MethodError


class LabelAccessError(MethodError):
    """A method used something it did not declare."""


class Canary:
    """Takes the place of an undeclared label, mask or covariate.

    Args:
        what: for the message.
        sightings: list to which every use is added.
    """

    def __init__(self, what: str, sightings: list[str]) -> None:
        object.__setattr__(self, "_what", what)
        object.__setattr__(self, "_sightings", sightings)

    def _caught(self, *_: Any, **__: Any) -> NoReturn:
        what = object.__getattribute__(self, "_what")
        object.__getattribute__(self, "_sightings").append(what)
        raise LabelAccessError(f"the method used {what}, which it does not declare as an input")

    def __getattr__(self, name: str) -> Any:
        self._caught()

    __array__ = __bool__ = __call__ = __contains__ = __float__ = __getitem__ = __index__ = __int__ = _caught
    __iter__ = __len__ = __lt__ = __gt__ = __le__ = __ge__ = __add__ = __radd__ = __mul__ = __rmul__ = _caught
    __eq__ = __ne__ = __str__ = __repr__ = __format__ = __sub__ = __rsub__ = __neg__ = _caught
    __hash__ = object.__hash__


class GuardedVolumes(Volumes):
    """Volumes in which everything a method did not declare is a canary.

    Args:
        volumes: what is delivered.
        info: what the method declares.
        labelled: whether the stage is fed with labels.
        sightings: list to which every forbidden use is added.
    """

    def __init__(self, volumes: Volumes, info: MethodInfo, labelled: bool, sightings: list[str]) -> None:
        hidden: dict[str, Any] = {}
        if not labelled:
            hidden["label"] = Canary("the label of a training case", sightings)
        if "lesion-mask" not in info.inputs:
            hidden["lesion_mask"] = Canary("the lesion mask of a training case", sightings)
        if "covariates" not in info.inputs:
            hidden["covariates"] = Canary("the covariates of a training case", sightings)
        self._items: list[Volume] = [replace(volume, **hidden) for volume in volumes]

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]
