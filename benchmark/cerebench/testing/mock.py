"""Tiny synthetic volumes: ellipsoid "brains" with texture and, on request, a bright lesion. They resemble no cohort."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cerebench.contract.info import MethodInfo
from cerebench.contract.volumes import Volume, Volumes

if TYPE_CHECKING:
    import numpy as np

VOLUME_SHAPE = (32, 40, 16)
LESION_SHAPE = (16, 16, 16)
ODD_VOLUME_SHAPE = (29, 35, 13)
ODD_LESION_SHAPE = (13, 15, 11)
SPACING = (4.0, 4.0, 4.0)
LESION_INTENSITY = 1.6
"""Healthy tissue of mock volumes lies below 1.1."""


class MemoryVolumes(Volumes):
    """Volumes held in memory."""

    def __init__(self, volumes: Sequence[Volume]) -> None:
        self._volumes = list(volumes)

    def __len__(self) -> int:
        return len(self._volumes)

    def __getitem__(self, index: Any) -> Any:
        return self._volumes[index]


@dataclass(frozen=True)
class MockCase:
    """A mock volume and what is known about it.

    Attributes:
        volume: what a method may see.
        lesion: ``[D, H, W]`` bool.
        label: 1 with a lesion (anomaly) or of the positive class (lesion classification), else 0.
    """

    volume: Volume
    lesion: np.ndarray[Any, Any]
    label: int


def mock_modalities(info: MethodInfo) -> tuple[str, ...]:
    """Modalities a mock artefact is trained on: the first one per modality, else all that are declared."""
    known = tuple(sorted(info.modalities)) or ("t1", "t2")
    return known[:1] if info.training == "per-modality" else known


def mock_case(
    info: MethodInfo,
    seed: int,
    *,
    label: int = 0,
    shape: tuple[int, int, int] | None = None,
    modalities: tuple[str, ...] | None = None,
    with_label: bool = False,
) -> MockCase:
    """One case as the loop would deliver it to a method of this kind; equal for equal arguments.

    Args:
        info: decides on unit and side inputs.
        seed: anatomy, noise and lesion.
        label: anomaly methods: 1 plants a bright lesion. Lesion methods: every case has a lesion; in class 1 it is
            brighter and the patients are older.
        shape: spatial shape; a small one by unit if ``None``.
        modalities: channels; :func:`mock_modalities` if ``None``.
        with_label: put the label into the volume, as labelled training data have it.
    """
    import numpy as np
    from scipy import ndimage

    lesion_unit = info.unit == "lesion"
    shape = shape or (LESION_SHAPE if lesion_unit else VOLUME_SHAPE)
    modalities = modalities or mock_modalities(info)
    generator = np.random.default_rng([seed, label])
    # Coordinates in units of the half axes; lesion crops lie wholly inside the brain.
    axes = [np.linspace(-1.15, 1.15, side) * (0.5 if lesion_unit else 1.0) for side in shape]
    squeeze = generator.uniform(0.9, 1.0, size=3)
    coordinates = [axis / factor for axis, factor in zip(np.meshgrid(*axes, indexing="ij"), squeeze, strict=True)]
    radius = np.sqrt(sum(np.square(axis) for axis in coordinates))
    brain = radius < 1
    texture = ndimage.gaussian_filter(generator.normal(size=shape), 2.0)
    texture /= np.abs(texture).max()
    lesion = np.zeros(shape, dtype=bool)
    if label or lesion_unit:
        lesion = _blob(brain, generator, radius=2.2 if lesion_unit else 2.6, centred=lesion_unit)
    channels = []
    for name in modalities:
        contrast = 0.25 if "t1" in name else -0.25
        tissue = 0.55 + contrast * np.tanh(4 * (radius - 0.6)) + 0.1 * texture
        image = tissue + 0.03 * generator.normal(size=shape)
        bright = 0.8 + 0.5 * label if lesion_unit else LESION_INTENSITY
        image[lesion] = bright + 0.05 * generator.normal(size=int(lesion.sum()))
        channels.append(np.where(brain, image, 0.0))
    covariates = {"age": 50.0 + 10.0 * label + 5.0 * float(generator.normal()), "sex": "F" if seed % 2 else "M"}
    volume = Volume(
        image=np.stack(channels).astype(np.float32),
        brain=brain,
        spacing=SPACING,
        modalities=modalities,
        lesion_mask=lesion.astype(np.uint8) if "lesion-mask" in info.inputs else None,
        covariates=covariates if "covariates" in info.inputs else None,
        label=label if with_label else None,
    )
    return MockCase(volume, lesion, label)


def mock_volumes(
    info: MethodInfo,
    count: int,
    *,
    seed: int = 0,
    labelled: bool = False,
    shape: tuple[int, int, int] | None = None,
) -> MemoryVolumes:
    """Training volumes for a stage: normal ones, or both classes in turn with their labels.

    Methods trained jointly get their modalities one volume at a time; paired ones get them as channels.
    """
    modalities = mock_modalities(info)
    volumes = []
    for index in range(count):
        channels = (modalities[index % len(modalities)],) if info.training == "joint" else modalities
        both = labelled or info.unit == "lesion"
        case = mock_case(
            info,
            1000 * seed + index,
            label=index % 2 if both else 0,
            shape=shape,
            modalities=channels,
            with_label=labelled,
        )
        volumes.append(case.volume)
    return MemoryVolumes(volumes)


def _blob(brain: Any, generator: Any, radius: float, centred: bool) -> Any:
    """A ball well inside the brain."""
    import numpy as np
    from scipy import ndimage

    depth = ndimage.distance_transform_edt(brain)
    if centred:
        middle = [side / 2 for side in brain.shape]
    else:
        places = np.argwhere(depth >= min(radius, depth.max()))
        middle = places[generator.integers(len(places))]
    grid = np.indices(brain.shape)
    distance = np.sqrt(sum((grid[axis] - middle[axis]) ** 2 for axis in range(3)))
    return (distance <= radius) & brain
