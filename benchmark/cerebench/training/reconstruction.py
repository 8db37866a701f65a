"""The commonest kind of method, ready to derive from: restore axial slices, score what was not restored."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from cerebench.contract.method import FitRun, Method, PredictContext, Prediction
from cerebench.contract.volumes import Volumes
from cerebench.errors import MethodError
from cerebench.training.canvas import canvas_shape, crop_to, pad_to
from cerebench.training.slicewise import SliceTraining, train_on_slices

if TYPE_CHECKING:
    from torch import Tensor, nn


class ReconstructionMethod(Method):
    """A network that maps healthy slices to themselves; the anomaly map is the reconstruction error.

    A method of this kind writes :meth:`network_for`; where they differ from the defaults, also :meth:`stride`,
    :meth:`training_loss` and :meth:`restore_slices`. Its ``info.unit`` is ``slice``.
    """

    class Settings(SliceTraining):
        """Training and score.

        Attributes:
            loss: between reconstruction and slice: mean absolute error, mean squared error or 1 − SSIM.
            polarity: ``absolute`` error, or ``bright`` for the prior that lesions are brighter than expected
                (Baur et al. 2021).
        """

        loss: Literal["l1", "mse", "ssim"] = "l1"
        polarity: Literal["absolute", "bright"] = "absolute"

    @classmethod
    def from_module(
        cls,
        module: nn.Module | Callable[..., nn.Module],
        *,
        name: str,
        summary: str,
        stride: int = 1,
        presets: Mapping[str, Mapping[str, Any]] | None = None,
        **info: Any,
    ) -> type[ReconstructionMethod]:
        """A method's class from a network that maps slices ``[B, C, D, H]`` to their reconstructions, same shape.

        >>> Mine = ReconstructionMethod.from_module(make_network, name="mine", summary="My network.", stride=4)

        Args:
            module: a function or class that makes the network, or the network. It is called with the number of channels
                as ``channels`` (or ``in_channels`` and ``out_channels``) and with the slices' size as ``canvas``, where
                it has parameters of these names. Other parameters with a plain default (number, text, truth value)
                become settings of the method: ``mine[width=8]``. A network that is made already is copied, and layers
                with ``reset_parameters`` draw new weights from the seed.
            name: public name.
            summary: one sentence.
            stride: sides of the slices are padded to a multiple of it.
            presets: preset → settings that differ from the default; ``None`` for lengths of training that suit small
                networks.
            info: further fields of :class:`~cerebench.api.MethodInfo`, such as ``citation`` or ``modalities``.

        Raises:
            UsageError: a parameter of the factory that is neither given nor has a default, or that has the name of a
                setting of the training.
        """
        from cerebench.training.wrapping import wrapped

        origin = str(sys._getframe(1).f_globals["__name__"])
        return wrapped(cls, module, stride, presets, origin, {"name": name, "summary": summary, **info})

    def network_for(self, channels: int, canvas: tuple[int, ...]) -> nn.Module:
        """A network for slices ``[B, channels, *canvas]``."""
        raise MethodError(f"method {self.info.name!r} implements no network_for")

    def stride(self) -> int:
        """The sides of the canvas are multiples of it."""
        return 1

    def training_loss(self, batch: Tensor) -> Any:
        """Loss of healthy slices ``[B, C, *canvas]``, or named values of which ``loss`` is minimised."""
        return self.distance(self.network(batch), batch)

    def restore_slices(self, padded: Tensor) -> Tensor:
        """What the network makes of slices ``[B, C, *canvas]``, same shape."""
        restored: Tensor = self.network(padded)
        return restored

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        """Create the network for slices of ``shape``, padded to a multiple of :meth:`stride`."""
        self.canvas = canvas_shape(shape, self.stride())
        self.network: Any = self.network_for(len(modalities), self.canvas)

    def distance(self, restored: Tensor, slices: Tensor) -> Tensor:
        """The loss that the settings name, a scalar."""
        from cerebench.training.losses import reconstruction_loss

        return reconstruction_loss(self.settings.loss)(restored, slices)

    def fit(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        """Train on healthy slices; the weights with the lowest validation loss are kept."""
        train_on_slices(run, self.network, self.training_loss, train, validation, self.settings, self.canvas)

    def reconstruct(self, images: Tensor) -> Tensor:
        """Reconstructions of slices ``[B, C, D, H]``, same shape."""
        for module in self.modules().values():
            module.eval()
        restored = self.restore_slices(pad_to(images, self.canvas))
        return crop_to(restored.float(), tuple(images.shape[-2:]))

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        """Reconstruction error inside the brain, averaged over channels, ``[B, D, H]``."""
        error = images - self.reconstruct(images)
        error = error.abs() if self.settings.polarity == "absolute" else error.clamp(min=0)
        return Prediction(maps=error.mean(1) * context.brain)

    def explain(self, images: Tensor, context: PredictContext) -> dict[str, Tensor]:
        """The reconstruction of the first channel, ``[B, D, H]``."""
        return {"pseudo-healthy": self.reconstruct(images)[:, 0] * context.brain}
