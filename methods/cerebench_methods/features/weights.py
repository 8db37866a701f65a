"""Weights that are not learnt in place: from timm's hub or from a safetensors file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cerebench.api import MethodError

if TYPE_CHECKING:
    from cerebench_methods.features.encoder import SliceEncoder

_HEAD = ("fc.", "head.", "classifier.", "layer4.", "num_batches_tracked")


def load_from_hub(encoder: SliceEncoder, name: str, width: int) -> None:
    """Give the encoder timm's pretrained weights; timm folds the three input channels into as many as there are.

    Raises:
        MethodError: a width other than the published one, or the hub cannot be reached.
    """
    import timm

    if width != 64:
        raise MethodError(f"setting weights=hub with width={width}: pretrained weights have width 64; set width=64")
    channels = next(encoder.network.parameters()).shape[1]
    try:
        source = timm.create_model(
            name, features_only=True, in_chans=channels, out_indices=(0, 1, 2, 3), pretrained=True
        )
    except Exception as error:  # no network, no such weights: the hub's client raises many kinds
        raise MethodError(
            f"setting weights=hub: the weights of {name!r} cannot be had ({type(error).__name__}); connect to the "
            "network once, or set weights to the path of a safetensors file or to self-supervised"
        ) from None
    encoder.network.load_state_dict(source.state_dict())


def load_from_file(encoder: SliceEncoder, path: Path) -> None:
    """Give the encoder the weights of a safetensors file in timm's names; a classifier and later levels may be in it.

    A first convolution for three channels is summed to one channel, as timm does it.

    Raises:
        MethodError: the file is missing, is not safetensors, or does not fit the encoder.
    """
    from safetensors.torch import load_file

    if not path.is_file():
        raise MethodError(
            f"setting weights={str(path)!r}: there is no such file; give the path of a safetensors file, or one of "
            "self-supervised, random, hub"
        )
    try:
        found = load_file(path)
    except Exception as error:  # safetensors has its own error type for every kind of damage
        raise MethodError(f"setting weights: {path} is not a safetensors file ({error})") from None
    wanted = encoder.network.state_dict()
    first = next(key for key, value in wanted.items() if value.dim() == 4)
    if first in found and wanted[first].shape[1] == 1 and found[first].shape[1] == 3:
        found[first] = found[first].sum(1, keepdim=True)
    lacking = sorted(key for key in wanted if key not in found and not key.endswith("num_batches_tracked"))
    surplus = sorted(key for key in found if key not in wanted and not key.startswith(_HEAD))
    misfit = [key for key in wanted if key in found and found[key].shape != wanted[key].shape]
    problem = ""
    if lacking:
        problem = f"it lacks {lacking[0]!r}"
    elif misfit:
        name = misfit[0]
        problem = f"{name!r} is {tuple(found[name].shape)}, expected {tuple(wanted[name].shape)}"
    elif surplus:
        problem = f"it holds {surplus[0]!r}, which the encoder has not"
    if problem:
        raise MethodError(
            f"setting weights: {path} does not fit the encoder: {problem}; set encoder and width to match"
        )
    encoder.network.load_state_dict({**wanted, **{key: found[key] for key in wanted if key in found}})
