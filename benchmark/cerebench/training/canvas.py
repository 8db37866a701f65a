"""Padding of images to a size that a network with strides can take, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cerebench.errors import MethodError

if TYPE_CHECKING:
    from torch import Tensor


def canvas_shape(shape: tuple[int, ...], multiple: int) -> tuple[int, ...]:
    """The smallest shape not below ``shape`` whose sides are multiples of ``multiple``."""
    return tuple(-(-side // multiple) * multiple for side in shape)


def pad_to(images: Tensor, canvas: tuple[int, ...]) -> Tensor:
    """Images ``[…, *spatial]`` in the middle of a zero canvas; zero is what lies outside the brain.

    Raises:
        MethodError: the images are larger than the canvas.
    """
    import torch.nn.functional as F

    sides = tuple(images.shape[-len(canvas) :])
    if any(side > room for side, room in zip(sides, canvas, strict=True)):
        raise MethodError(f"images of {sides} do not fit the network's {canvas}: train on the grid you predict on")
    margins: list[int] = []
    for side, room in zip(reversed(sides), reversed(canvas), strict=True):
        before = (room - side) // 2
        margins += [before, room - side - before]
    return F.pad(images, margins) if any(margins) else images


def crop_to(images: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The middle of the canvas: the inverse of :func:`pad_to`."""
    offset = images.dim() - len(shape)
    for axis, side in enumerate(shape, start=offset):
        images = images.narrow(axis, (images.shape[axis] - side) // 2, side)
    return images
