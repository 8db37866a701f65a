"""Makes a method's class out of a network that maps slices to slices."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from pydantic import create_model

from cerebench.contract.info import MethodInfo
from cerebench.errors import MethodError, UsageError
from cerebench.training.reconstruction import ReconstructionMethod

if TYPE_CHECKING:
    from torch import Tensor, nn

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "mock": {"steps": 60, "batch_size": 16, "learning_rate": 3e-3},
    "quick": {"steps": 200, "batch_size": 32, "learning_rate": 2e-3},
    "nightly": {"steps": 1500, "batch_size": 32, "learning_rate": 2e-3},
    "standard": {},
}
"""Length of the training by preset, where the author gives none."""

_CHANNELS = ("channels", "in_channels", "out_channels")
_PLAIN = (bool, int, float, str)


def wrapped(
    base: type[ReconstructionMethod],
    module: nn.Module | Callable[..., nn.Module],
    stride: int,
    presets: Mapping[str, Mapping[str, Any]] | None,
    origin: str,
    info: Mapping[str, Any],
) -> type[ReconstructionMethod]:
    """The class that :meth:`ReconstructionMethod.from_module` returns.

    Args:
        base: class to derive from.
        module, stride, presets, info: see there.
        origin: name of the module that asks; the class counts as a part of it, so that its code enters the keys.

    Raises:
        UsageError: a required parameter of the factory that nobody can give, or one with the name of a setting.
    """
    if not callable(module):
        raise UsageError(f"from_module: {module!r} is neither a torch module nor a function that makes one")
    made = isinstance(module, type) or not hasattr(module, "state_dict")
    parameters = _parameters(module) if made else {}
    options = _options(module, parameters, base)
    about = MethodInfo(**{"unit": "slice", **info})
    fields: dict[str, Any] = {name: (type(value), value) for name, value in options.items()}
    settings = create_model("Settings", __base__=base.Settings, __module__=origin, **fields)
    settings.__doc__ = base.Settings.__doc__

    def network_for(self: Any, channels: int, canvas: tuple[int, ...]) -> nn.Module:
        """The wrapped network, its weights drawn from the seed."""
        if not made:
            return _fresh(module)
        given: dict[str, Any] = dict.fromkeys(_channel_names(parameters), channels)
        if "canvas" in parameters:
            given["canvas"] = canvas
        network: nn.Module = module(**given, **{name: getattr(self.settings, name) for name in options})
        return network

    def restore_slices(self: Any, padded: Tensor) -> Tensor:
        return _checked(self.network(padded), padded, about.name)

    def training_loss(self: Any, batch: Tensor) -> Any:
        return self.distance(_checked(self.network(batch), batch, about.name), batch)

    body = {
        "__module__": origin,
        "__doc__": about.summary,
        "info": about,
        "Settings": settings,
        "presets": PRESETS if presets is None else presets,
        "stride": lambda self: stride,
        "network_for": network_for,
        "restore_slices": restore_slices,
        "training_loss": training_loss,
    }
    return type("".join(part.capitalize() for part in re.split("[^a-z0-9]+", about.name)), (base,), body)


def _parameters(factory: Any) -> Mapping[str, inspect.Parameter]:
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = inspect.signature(factory).parameters
    return {name: parameter for name, parameter in found.items() if parameter.kind in by_name}


def _channel_names(parameters: Mapping[str, inspect.Parameter]) -> list[str]:
    """How the factory calls the number of channels; with ``in_channels``, ``channels`` is something of its own."""
    names = [name for name in _CHANNELS if name in parameters]
    return [name for name in names if name != "channels"] or names


def _options(
    factory: Any, parameters: Mapping[str, inspect.Parameter], base: type[ReconstructionMethod]
) -> dict[str, Any]:
    """Parameters of a factory that become settings: those with a plain default."""
    title = getattr(factory, "__name__", repr(factory))
    given = {*_channel_names(parameters), "canvas"}
    options: dict[str, Any] = {}
    for name, parameter in parameters.items():
        if name in given:
            continue
        if parameter.default is inspect.Parameter.empty:
            raise UsageError(
                f"from_module: parameter {name!r} of {title} has no default; give it one, or wrap {title} in a "
                "function of channels alone"
            )
        if type(parameter.default) not in _PLAIN:
            continue
        if name in base.Settings.model_fields:
            raise UsageError(
                f"from_module: parameter {name!r} of {title} has the name of a setting of the training; rename it"
            )
        options[name] = parameter.default
    return options


def _fresh(module: Any) -> nn.Module:
    """A copy with new weights wherever a layer can draw them; others keep the values they were given."""
    network: nn.Module = deepcopy(module)
    for layer in network.modules():
        reset = getattr(layer, "reset_parameters", None)
        if callable(reset):
            reset()
    return network


def _checked(restored: Any, slices: Tensor, name: str) -> Tensor:
    """The network's output, if it is a picture of the slices."""
    shape = getattr(restored, "shape", None)
    if shape != slices.shape:
        found = type(restored).__name__ if shape is None else str(list(shape))
        raise MethodError(
            f"the network of {name!r} made {found} of slices {list(slices.shape)}: it has to return a tensor of the "
            "same shape; sides that it divides by 2 n times need stride=2**n"
        )
    tensor: Tensor = restored
    return tensor
