"""Every number of the phantom that a card may change, with its default. Sources stand in ``docs/in-silico.md``.

Each effect has a zero: setting it to 0 removes that effect and nothing else, so that null controls can be made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cerebench.api import UsageError


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Anatomy(_Block):
    """Shape of a subject's head.

    Attributes:
        asymmetry: share of the left–right antisymmetric part in every random field; 0 gives a mirror-symmetric subject
            (with ``pose_deg`` 0), 1 a natural one. The variance of the fields does not depend on it.
        warp_mm: standard deviation of each velocity component, coarse (about 45 mm) part.
        fine_warp_mm: the same, fine (about 18 mm) part.
        head_scale: standard deviation of the linear head size along each axis, as a fraction.
        pose_deg: standard deviation of the head's rotation about each axis, degrees.
        folding: standard deviation of the log-odds between tissues at the scale of gyri (about 5 mm).
        sharpness: exponent on the template's tissue probabilities; 1 keeps the template's blur.
        ventricles_mm: radial velocity at the ventricular wall for each standard deviation of the age-like factor.
        ventricle_asymmetry: standard deviation of the relative left–right difference of that velocity.
        sulcal_widening: log-odds added to cerebrospinal fluid for each standard deviation of the age-like factor.
        torque_mm: mean size of the occipital-left, frontal-right protrusion (petalia).
        texture: share of the template's T1 detail that tissue fractions do not explain (deep grey nuclei, brainstem).
        variation: standard deviation of the smooth relative intensity variation within tissue.
    """

    asymmetry: float = Field(1.0, ge=0, le=1)
    warp_mm: float = Field(2.5, ge=0, le=6)
    fine_warp_mm: float = Field(1.1, ge=0, le=2)
    head_scale: float = Field(0.03, ge=0, le=0.05)
    pose_deg: float = Field(2.0, ge=0, le=10)
    folding: float = Field(2.0, ge=0, le=4)
    sharpness: float = Field(2.0, ge=1, le=4)
    ventricles_mm: float = Field(1.2, ge=0, le=3)
    ventricle_asymmetry: float = Field(0.3, ge=0, le=1)
    sulcal_widening: float = Field(0.3, ge=0, le=2)
    torque_mm: float = Field(1.0, ge=0, le=4)
    texture: float = Field(1.0, ge=0, le=2)
    variation: float = Field(0.02, ge=0, le=0.2)


class Scanner(_Block):
    """One centre's scanner; ``None`` draws the value for the centre from its range.

    Attributes:
        field_strength: tesla.
        gain: scanner units of white matter on T1.
        snr: white-matter signal over noise deviation in a 1 mm voxel.
        bias: half range of the multiplicative intensity non-uniformity over the head.
        blur_mm: in-plane point spread, full width at half maximum.
        slice_mm: slice thickness along the inferior–superior axis.
        grey_contrast: grey–white difference on T1, relative to the template's own.
        echo_scale: factor on the echo times of T2, FLAIR and PD.
    """

    field_strength: float | None = Field(None, ge=1, le=3)
    gain: float | None = Field(None, gt=0)
    snr: float | None = Field(None, gt=0)
    bias: float | None = Field(None, ge=0, le=0.9)
    blur_mm: float | None = Field(None, ge=0)
    slice_mm: float | None = Field(None, ge=0)
    grey_contrast: float | None = Field(None, gt=0, lt=2)
    echo_scale: float | None = Field(None, gt=0, lt=3)


class PhantomParameters(_Block):
    """What ``simulate.parameters`` of a card may hold; all optional.

    Attributes:
        dtype: stored type of the images, as in the real release.
        orientation: stored axis directions, as in the real release (``LPS``, ``RAS``, …).
        lesion_contrast: 0 keeps the lesion masks but draws no lesion (null control), 1 draws them fully.
        thick_slices: modality → number of axial slices averaged into one, so that it lies on a grid of its own.
        tissue_labels: lesion part (``ncr``, ``et``, ``ed``, ``plaque``, …) → value in the mask file. By default the
            layout's anomaly labels in rising order stand for the kind's parts, and a single one for everything.
        lesion: parameters of the kind of lesion, as documented in its module under ``kinds/``.
        anatomy: block as documented in its class.
        scanner: values for every centre; ``centres`` overrides them by centre name.
    """

    dtype: Literal["int16", "float32"] = "int16"
    orientation: str = Field("RAS", pattern=r"^[RLAPSI]{3}$")
    lesion_contrast: float = Field(1.0, ge=0, le=2)
    thick_slices: Mapping[str, Annotated[int, Field(ge=2, le=8)]] = {}
    tissue_labels: Mapping[str, int] | None = None
    anatomy: Anatomy = Anatomy()
    lesion: Mapping[str, Any] = {}
    scanner: Scanner = Scanner()
    centres: Mapping[str, Scanner] = {}

    @classmethod
    def of(cls, name: str, values: Mapping[str, Any]) -> PhantomParameters:
        """Validate a card's ``simulate.parameters``.

        Raises:
            UsageError: a parameter is unknown or out of its range.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UsageError(
                f"card {name!r}: simulate.parameters.{where}: {first['msg']} (found {first.get('input')!r}); "
                "correct the card, docs/in-silico.md lists the parameters"
            ) from None
