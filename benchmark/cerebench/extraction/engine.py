"""The calls into ANTs: images in its coordinates, N4, linear and deformable registration.

ANTs counts millimetres to the patient's left and back (LPS), everything else here to the right and front (RAS).
"""

from __future__ import annotations

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cerebench.errors import DataError, UsageError
from cerebench.extraction.settings import Numbers

Array = np.ndarray[Any, Any]

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def require_ants() -> None:
    """Make sure that ANTs is installed, without importing it.

    Raises:
        UsageError: it is not.
    """
    if find_spec("ants") is None:
        raise UsageError("brain extraction needs ANTs, which is not installed: pip install 'cerebench[prepare]'")


def single_thread(seed: int) -> None:
    """One thread and a fixed seed for ANTs in this process; has to come before its first use."""
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    os.environ["ANTS_RANDOM_SEED"] = str(seed)


def ants_image(data: Array, affine: Array) -> Any:
    """A volume as ANTs sees it.

    Args:
        data: ``[X, Y, Z]``.
        affine: 4x4, voxel index → RAS+ mm; may be sheared.
    """
    import ants

    matrix = LPS @ affine
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    return ants.from_numpy(
        np.ascontiguousarray(data, dtype=np.float32),
        origin=tuple(matrix[:3, 3]),
        spacing=tuple(spacing),
        direction=matrix[:3, :3] / spacing,
    )


def bias_field(data: Array, affine: Array, mask: Array, numbers: Numbers) -> Array:
    """Multiplicative bias field of N4 (Tustison et al., IEEE TMI 2010) on the grid given.

    Args:
        data: ``[X, Y, Z]``, above 0 inside the mask.
        affine: 4x4.
        mask: ``[X, Y, Z]`` bool, where the field is estimated.
        numbers: parameters.

    Returns:
        ``[X, Y, Z]`` float32, above 0.
    """
    import ants

    field = ants.n4_bias_field_correction(
        ants_image(data, affine),
        mask=ants_image(mask, affine),
        shrink_factor=1,
        convergence={"iters": list(numbers.bias_iterations), "tol": numbers.bias_tolerance},
        return_bias_field=True,
    ).numpy()
    return np.asarray(field, dtype=np.float32)


def register_linear(
    fixed: tuple[Array, Array], moving: tuple[Array, Array], kind: Literal["Rigid", "Affine"], numbers: Numbers
) -> Array:
    """Linear registration by mutual information.

    Args:
        fixed, moving: data ``[X, Y, Z]`` and 4x4 affine.
        kind: ``Rigid`` (6 degrees of freedom, started from the scanner's coordinates) or ``Affine`` (12, started from
            the centres of mass).
        numbers: parameters.

    Returns:
        4x4 that takes RAS+ mm of the fixed image to RAS+ mm of the moving one.

    Raises:
        DataError: ANTs finds no transform.
    """
    import ants

    with tempfile.TemporaryDirectory(prefix="cerebench-") as folder:
        result = _register(
            fixed=ants_image(*fixed),
            moving=ants_image(*moving),
            type_of_transform=kind,
            initial_transform="Identity" if kind == "Rigid" else None,
            outprefix=f"{folder}/",
            numbers=numbers,
        )
        matrices = [ants.read_transform(name) for name in result["fwdtransforms"]]
    whole = np.eye(4)
    for transform in matrices:  # points of the fixed image go through the first of the list first
        whole = world_matrix(transform.parameters, transform.fixed_parameters) @ whole
    return whole


def world_matrix(parameters: Any, centre: Any) -> Array:
    """4x4 in RAS+ mm from ITK's 12 parameters (matrix by rows, translation) and centre of rotation in LPS."""
    values, middle = np.asarray(parameters, dtype=np.float64), np.asarray(centre, dtype=np.float64)
    matrix = np.eye(4)
    matrix[:3, :3] = values[:9].reshape(3, 3)
    matrix[:3, 3] = values[9:12] + middle - matrix[:3, :3] @ middle
    return np.asarray(LPS @ matrix @ LPS)


def warped_template(
    head: tuple[Array, Array],
    template: tuple[Array, Array],
    template_mask: tuple[Array, Array],
    target: tuple[Array, Array],
    numbers: Numbers,
) -> Array:
    """The template's brain mask on a head, by affine and then symmetric diffeomorphic registration (SyN).

    Args:
        head: the head without most of what is no brain; data and affine.
        template: the template's image.
        template_mask: its brain, 0 to 1.
        target: any volume on the grid that the mask is wanted on.
        numbers: parameters.

    Returns:
        ``[X, Y, Z]`` bool on the target's grid.

    Raises:
        DataError: ANTs finds no transform.
    """
    import ants

    with tempfile.TemporaryDirectory(prefix="cerebench-") as folder:
        result = _register(
            fixed=ants_image(*head),
            moving=ants_image(*template),
            type_of_transform="SyN",
            initial_transform=None,
            outprefix=f"{folder}/",
            numbers=numbers,
            syn_metric="mattes",
            syn_sampling=numbers.metric_bins,
            reg_iterations=numbers.syn_iterations,
        )
        moved = ants.apply_transforms(
            fixed=ants_image(*target),
            moving=ants_image(*template_mask),
            transformlist=result["fwdtransforms"],
            interpolator="linear",
        ).numpy()
    return np.asarray(moved > 0.5)


def _register(outprefix: str, numbers: Numbers, **settings: Any) -> dict[str, Any]:
    import ants

    try:
        result: dict[str, Any] = ants.registration(
            outprefix=outprefix,
            random_seed=numbers.seed,
            aff_metric="mattes",
            aff_sampling=numbers.metric_bins,
            **settings,
        )
    except RuntimeError as error:
        detail = str(error).splitlines()[0] if str(error) else "no reason given"
        raise DataError(f"the {settings['type_of_transform']} registration failed in ANTs ({detail})") from error
    if not all(Path(name).is_file() for name in result["fwdtransforms"]):
        raise DataError(f"the {settings['type_of_transform']} registration left no transform; look at the images")
    return result
