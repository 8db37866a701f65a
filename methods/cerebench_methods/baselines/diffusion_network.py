"""Network and noise schedule of the diffusion methods; imported when they are built."""

from __future__ import annotations

from typing import Any

from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet
from monai.networks.schedulers.ddim import DDIMScheduler
from torch import nn

TIMESTEPS = 1000
HEAD_CHANNELS = 8


def diffusion_unet(channels: int, width: int, depth: int, blocks: int, attention_levels: int) -> nn.Module:
    """MONAI's ``DiffusionModelUNet`` for slices ``[B, channels, D, H]`` and time steps ``[B]``, same shape out.

    Args:
        channels: of input and output.
        width: filters of the first level, doubled once; a multiple of 8.
        depth: levels; sides are multiples of 2 ** (depth − 1).
        blocks: residual blocks a level.
        attention_levels: lowest levels with self-attention.
    """
    return DiffusionModelUNet(
        spatial_dims=2,
        in_channels=channels,
        out_channels=channels,
        num_res_blocks=blocks,
        channels=[width * (1 if level == 0 else 2) for level in range(depth)],
        attention_levels=[level >= depth - attention_levels for level in range(depth)],
        norm_num_groups=8,
        num_head_channels=HEAD_CHANNELS,
    )


def noise_schedule(prediction: str) -> Any:
    """MONAI's DDIM scheduler with 1000 steps and linear betas from 0.0001 to 0.02 (Ho et al. 2020).

    Args:
        prediction: ``epsilon`` if the network gives the noise, ``sample`` if it gives the clean slice.
    """
    return DDIMScheduler(
        num_train_timesteps=TIMESTEPS,
        schedule="linear_beta",
        beta_start=1e-4,
        beta_end=0.02,
        clip_sample=False,
        prediction_type=prediction,
    )
