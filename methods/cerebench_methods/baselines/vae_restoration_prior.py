"""Total variation of a change, by its gradient."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def variation_gradient(change: Tensor) -> Tensor:
    """(Sub)gradient of the anisotropic total variation, the sum of |differences of neighbours| along the last two axes.

    Args:
        change: ``[B, C, D, H]``; the result has the same shape. Where neighbours are equal, the subgradient 0 is taken.
    """
    rows = torch.sign(change.diff(dim=-2))
    columns = torch.sign(change.diff(dim=-1))
    return (
        F.pad(rows, (0, 0, 1, 0))
        - F.pad(rows, (0, 0, 0, 1))
        + F.pad(columns, (1, 0, 0, 0))
        - F.pad(columns, (0, 1, 0, 0))
    )
