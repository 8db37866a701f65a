"""The VQ-VAE and the transformer over its codes, from MONAI; imported when they are built."""

from __future__ import annotations

from typing import Any

import torch
from monai.networks.nets.transformer import DecoderOnlyTransformer
from monai.networks.nets.vqvae import VQVAE
from torch import Tensor


def vq_vae(channels: int, width: int, depth: int, codes: int, code_size: int, decay: float) -> Any:
    """MONAI's VQ-VAE for slices ``[B, channels, D, H]``, which gives (reconstruction, commitment loss).

    Args:
        channels: of the slices.
        width: filters of the first layer; they double once.
        depth: layers, each halving the sides.
        codes: entries of the codebook.
        code_size: numbers in an entry.
        decay: of the moving averages that move the codebook.
    """
    widths = [width * min(2**layer, 2) for layer in range(depth)]
    return VQVAE(
        spatial_dims=2,
        in_channels=channels,
        out_channels=channels,
        channels=widths,
        num_res_layers=2,
        num_res_channels=widths,
        downsample_parameters=((2, 4, 1, 1),) * depth,
        upsample_parameters=((2, 4, 1, 1, 0),) * depth,
        num_embeddings=codes,
        embedding_dim=code_size,
        decay=decay,
        ddp_sync=False,
    )


def code_transformer(codes: int, length: int, width: int, depth: int, heads: int) -> Any:
    """MONAI's decoder-only transformer over ``length`` codes; one more token, ``codes``, begins a sequence."""
    return DecoderOnlyTransformer(
        num_tokens=codes + 1,
        max_seq_len=length,
        attn_layers_dim=width,
        attn_layers_depth=depth,
        attn_layers_heads=heads,
        use_flash_attention=True,
    )


def fill_codebook(network: Any, slices: Tensor) -> None:
    """Start the codebook at codes that the untrained encoder gives to ``slices [B, C, D, H]``.

    A random codebook lies where no code is: most entries would never be used. Draws from torch's global generator.
    """
    quantizer = network.quantizer.quantizer
    with torch.no_grad():
        found = network.encode(slices).movedim(1, -1).flatten(0, -2).float()
        count = quantizer.num_embeddings
        chosen = torch.randperm(len(found))[:count].repeat(-(-count // len(found)))[:count].to(found.device)
        start = found[chosen] + 1e-3 * torch.randn(count, found.shape[1]).to(found.device) * found.std()
        quantizer.embedding.weight.copy_(start)
        quantizer.ema_w.copy_(start)
        quantizer.ema_cluster_size.fill_(1.0)
