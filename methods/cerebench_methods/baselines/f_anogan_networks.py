"""The three networks of f-AnoGAN from MONAI's blocks; imported when they are built."""

from __future__ import annotations

from typing import Any

from monai.networks.nets.classifier import Discriminator
from monai.networks.nets.generator import Generator
from monai.networks.nets.regressor import Regressor


def generator(image: tuple[int, ...], latent: int, width: int, depth: int, convolutions: int) -> Any:
    """Codes ``[B, latent]`` to images ``[B, *image]``, not bounded; sides are doubled ``depth`` times.

    All three networks are residual with so many ``convolutions`` a layer.
    """
    widths = _widths(width, depth)
    start = (widths[-1], *(side // 2**depth for side in image[1:]))
    return Generator(
        latent_shape=(latent,),
        start_shape=start,
        channels=[*widths[-2::-1], image[0]],
        strides=[2] * depth,
        num_res_units=convolutions,
        act="LEAKYRELU",
        norm="BATCH",
    )


def critic(image: tuple[int, ...], width: int, depth: int, convolutions: int) -> Any:
    """Images ``[B, *image]`` to a number each, ``[B, 1]``; ``.net`` gives the features before the last layer.

    Without normalisation: the gradient penalty is of single images.
    """
    return Discriminator(
        in_shape=image,
        channels=_widths(width, depth),
        strides=[2] * depth,
        num_res_units=convolutions,
        act="LEAKYRELU",
        norm=None,
        dropout=None,
        last_act=None,
    )


def encoder(image: tuple[int, ...], latent: int, width: int, depth: int, convolutions: int) -> Any:
    """Images ``[B, *image]`` to codes ``[B, latent]``, the critic's shape with normalisation."""
    return Regressor(
        in_shape=image,
        out_shape=(latent,),
        channels=_widths(width, depth),
        strides=[2] * depth,
        num_res_units=convolutions,
        act="LEAKYRELU",
        norm="BATCH",
    )


def _widths(width: int, depth: int) -> list[int]:
    return [width * min(2**layer, 4) for layer in range(depth)]
