"""The pre-training stage that methods share: one artefact for all seeds, protocol columns and methods."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cerebench.api import FitRun, MethodError, Stage, UsageError, Volumes
from cerebench_methods.ssl_vit.settings import PRETRAINING

if TYPE_CHECKING:
    from cerebench_methods.ssl_vit.encoder import Encoder

PRETRAIN = Stage(
    name="pretrain",
    data="unlabelled",
    shared_as="ssl-vit-encoder",
    keeps=("encoder",),
    settings=PRETRAINING,
    seeded=False,
)


class Pretrained:
    """A method whose ``encoder`` learns from sub-volumes without labels, or comes from a file."""

    settings: Any
    encoder: Encoder
    canvas: tuple[int, ...]

    def pretrain(self, train_set: Volumes, validation: Volumes, run: FitRun) -> None:
        """Train the encoder on every sub-volume; held-out ones choose no weights, since the loss is no end in itself.

        Raises:
            UsageError: the file of external weights is missing or another one than its digest says.
            MethodError: it does not fit the encoder.
        """
        if self.settings.weights:
            load_weights(self.encoder, Path(self.settings.weights), self.settings.weights_sha256)
            return
        import torch
        from torch.optim.lr_scheduler import OneCycleLR

        from cerebench.training import train
        from cerebench.training.canvas import pad_to
        from cerebench_methods.ssl_vit.augmentation import flipped
        from cerebench_methods.ssl_vit.objectives import Contrast, MaskedAutoencoding

        settings = self.settings
        items = [pad_to(torch.from_numpy(volume.image.copy()), self.canvas) for volume in train_set]
        module = (
            MaskedAutoencoding(self.encoder, self.canvas, settings)
            if settings.objective == "masked"
            else Contrast(self.encoder, settings)
        )
        train(
            run,
            module,
            items,
            lambda batch: module(batch),
            steps=settings.pretrain_steps,
            batch_size=min(settings.pretrain_batch, len(items)),
            learning_rate=settings.pretrain_rate,
            clip_norm=1.0,
            augment=flipped,
            scheduler=lambda optimizer, total: OneCycleLR(optimizer, settings.pretrain_rate, total_steps=total),
        )


def load_weights(encoder: Encoder, path: Path, digest: str) -> None:
    """Take the encoder's weights from a safetensors file; names as in the encoder, or after ``encoder.``.

    Raises:
        UsageError: there is no such file, or its SHA-256 is not ``digest``.
        MethodError: names or shapes are not the encoder's.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(
            f"setting weights: {path} cannot be read ({error.strerror}); name a safetensors file"
        ) from None
    if found != digest:
        raise UsageError(
            f"setting weights_sha256 is {digest or 'empty'!r}, but {path} has {found}: set it, so that results depend "
            "on the file's content"
        )
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise MethodError(f"setting weights: {path} is no safetensors file ({error})") from None
    named = {name.removeprefix("encoder."): value for name, value in tensors.items()}
    own = encoder.state_dict()
    wrong = next((name for name, value in own.items() if name not in named or named[name].shape != value.shape), None)
    if wrong is not None:
        shape = tuple(named[wrong].shape) if wrong in named else "nothing"
        raise MethodError(
            f"setting weights: {path} holds {shape} for {wrong!r}, expected {tuple(own[wrong].shape)}; give patch, "
            "width, depth and the cube's size that the file was trained with"
        )
    encoder.load_state_dict({name: named[name] for name in own})
