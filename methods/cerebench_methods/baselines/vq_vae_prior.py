"""Likelihood of codes under an autoregressive transformer, and the exchange of unlikely ones."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def next_code_logits(transformer: Any, codes: Tensor, begin: int) -> Tensor:
    """Logits of every code given those before it in raster order.

    Args:
        transformer: tokens ``[B, L]`` → logits ``[B, L, begin + 1]`` that see only tokens up to their own place.
        codes: ``[B, L]``.
        begin: the token that begins a sequence; codes are below it.

    Returns:
        ``[B, L, begin]``.
    """
    start = torch.full_like(codes[:, :1], begin)
    logits: Tensor = transformer(torch.cat([start, codes[:, :-1]], dim=1))[..., :begin]
    return logits


def code_loss(transformer: Any, codes: Tensor, begin: int) -> Tensor:
    """Mean negative log-likelihood of codes ``[B, L]``."""
    return F.cross_entropy(next_code_logits(transformer, codes, begin).flatten(0, 1), codes.flatten())


def heal_codes(transformer: Any, codes: Tensor, begin: int, unlikely: float, rounds: int) -> Tensor:
    """Codes ``[B, L]`` in which those less probable than ``unlikely`` are exchanged for the most probable ones.

    All places are judged at once, given the codes before them; every further round sees the exchanges of the last.
    """
    for _ in range(rounds):
        probability = next_code_logits(transformer, codes, begin).float().softmax(-1)
        own = probability.gather(-1, codes[..., None])[..., 0]
        codes = torch.where(own < unlikely, probability.argmax(-1), codes)
    return codes
