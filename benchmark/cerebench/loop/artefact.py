"""Trained artefacts: safetensors and JSON in a folder, nothing that needs unpickling."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cerebench.contract.method import Method
from cerebench.errors import MethodError
from cerebench.jsonio import read_json, write_json

if TYPE_CHECKING:
    from torch import device

WEIGHTS, SETTINGS = "weights.safetensors", "settings.json"


def save_artefact(method: Method, folder: Path, keeps: tuple[str, ...] | None, about: dict[str, Any]) -> None:
    """Write tensors (all, or those of the attributes in ``keeps``) and settings.

    Raises:
        MethodError: ``keeps`` names an attribute that holds no tensor.
    """
    from safetensors.torch import save_file

    tensors = method.tensors()
    if keeps is not None:
        tensors = {key: value for key, value in tensors.items() if key.partition(".")[0] in keeps}
        lacking = [name for name in keeps if not any(key.partition(".")[0] == name for key in tensors)]
        if lacking:
            raise MethodError(f"method {method.info.name!r}: a stage keeps {lacking[0]!r}, which holds no tensor")
    plain = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    save_file(plain, folder / WEIGHTS)
    write_json(folder / SETTINGS, {**about, "settings": method.settings.model_dump(mode="json")})


def restore_artefact(method: Method, folder: Path, target: device, *, partial: bool = False) -> None:
    """Load an artefact into a built method and move it to a device.

    Raises:
        MethodError: the artefact is unreadable or does not fit.
    """
    from safetensors.torch import load_file

    try:
        tensors = load_file(folder / WEIGHTS)
    except Exception as error:
        raise MethodError(f"artefact {folder} cannot be read ({error}); delete the folder to train it again") from None
    method.restore(tensors, partial=partial)
    to_device(method, target)


def to_device(method: Method, target: device) -> None:
    """Move modules and tensors of a method; modules go to evaluation mode."""
    from torch import Tensor

    for module in method.modules().values():
        module.to(target)
        module.eval()
    for name, value in list(vars(method).items()):
        if isinstance(value, Tensor):
            setattr(method, name, value.to(target))


def artefact_about(folder: Path) -> dict[str, Any]:
    """What :func:`save_artefact` wrote beside the tensors."""
    return dict(read_json(folder / SETTINGS))
