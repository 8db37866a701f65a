"""The networks: tone curves against NumPy, and that they start as inverses of each other."""

from __future__ import annotations

import numpy as np
import torch

from cerebench_methods.disentangled_anatomy.networks import KNOTS, VIEWS, ToneCurves


def curves(modality: int, values: torch.Tensor, made: ToneCurves) -> np.ndarray:
    with torch.no_grad():
        return made(values.view(1, 1, -1, 1, 1), torch.tensor([modality]))[0, :, :, 0, 0].numpy()


def test_curves_start_as_the_affine_views_and_those_of_t2_as_the_negatives() -> None:
    made, values = ToneCurves(("t1", "t2")), torch.linspace(0, 1.3, 40)
    expected = np.stack([gain * values.numpy() + offset for gain, offset in VIEWS])
    negative = np.stack([gain * (1 - values.numpy()) + offset for gain, offset in VIEWS])
    np.testing.assert_allclose(curves(0, values, made), expected, atol=1e-5)
    np.testing.assert_allclose(curves(1, values, made), negative, atol=1e-5)


def test_a_curve_is_piecewise_linear_between_its_knots() -> None:
    torch.manual_seed(0)
    made, values = ToneCurves(("t1",)), torch.linspace(0, 1.2, 50)
    with torch.no_grad():
        made.rows[0].normal_()
    knots = torch.tensor([*KNOTS, 1.2])
    found = curves(0, values, made)
    for view, heights in enumerate(curves(0, knots, made)):
        np.testing.assert_allclose(found[view], np.interp(values.numpy(), knots.numpy(), heights), atol=1e-5)
