"""ANTs sees the same millimetres as everything else, and gives transforms back in them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from cerebench.errors import UsageError
from cerebench.extraction.atlas import coarse, load_atlas
from cerebench.extraction.engine import ants_image, bias_field, register_linear, require_ants, world_matrix
from cerebench.extraction.settings import Numbers
from cerebench.prepare.read import Scan

ants = pytest.importorskip("ants", reason="needs ANTs: pip install 'cerebench[prepare]'")

LPS = np.array([-1.0, -1.0, 1.0])


def blobs(affine, shape=(40, 44, 36)):
    """A smooth image drawn in world coordinates, lopsided in every direction."""
    index = np.indices(shape).reshape(3, -1)
    x, y, z = affine[:3, :3] @ index + affine[:3, 3:]
    value = sum(
        weight * np.exp(-((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2) / (2 * width**2))
        for weight, a, b, c, width in ((1, 0, 0, 0, 18), (2, 20, 5, -8, 8), (1.5, -12, 22, 10, 9), (1.2, 4, -25, 15, 7))
    )
    return (100 * value).reshape(shape).astype(np.float32)


def test_images_lie_where_their_affine_says(helpers):
    affine = helpers.shift(11, -7, 3) @ helpers.turn(25, 1) @ np.diag([1.2, 2.0, 3.1, 1.0])
    affine[0, 1] += 0.4  # sheared
    image = ants_image(np.arange(5 * 6 * 7, dtype=np.float32).reshape(5, 6, 7), affine)
    for index in ([0, 0, 0], [4, 1, 2], [1, 5, 6]):
        world = affine[:3, :3] @ index + affine[:3, 3]
        np.testing.assert_allclose(ants.transform_index_to_physical_point(image, index), world * LPS, atol=1e-4)
        assert image[tuple(index)] == np.ravel_multi_index(index, (5, 6, 7))


def test_matrices_move_points_as_ants_moves_them(helpers):
    rng = np.random.default_rng(0)
    parameters = np.r_[(np.eye(3) + rng.normal(0, 0.1, (3, 3))).ravel(), rng.normal(0, 10, 3)]
    centre = np.array([12.0, -30.0, 7.0])
    transform = ants.new_ants_transform(
        precision="double",
        dimension=3,
        transform_type="AffineTransform",
        parameters=parameters,
        fixed_parameters=centre,
    )
    point = np.array([3.0, 5.0, -20.0])
    there = np.array(transform.apply_to_point(list(point * LPS))) * LPS
    np.testing.assert_allclose((world_matrix(parameters, centre) @ [*point, 1])[:3], there, atol=1e-4)


def errors(found, truth):
    """Distance in mm at the corners of a box, after and before."""
    points = np.array([[x, y, z, 1] for x in (-30, 30) for y in (-30, 30) for z in (-25, 25)]).T
    return [np.linalg.norm((matrix @ points - truth @ points)[:3], axis=0) for matrix in (found, np.eye(4))]


def test_rigid_registration_finds_a_known_transform(helpers):
    truth = helpers.shift(4, -3, 5) @ helpers.turn(6, 2)
    fixed = helpers.shift(-60, -66, -54) @ np.diag([3.0, 3.0, 3.0, 1.0])
    moving = helpers.turn(-8, 0) @ helpers.shift(-62, -64, -58) @ np.diag([2.8, 3.2, 3.4, 1.0])
    images = [(blobs(fixed), fixed), (blobs(np.linalg.inv(truth) @ moving), moving)]
    after, before = errors(register_linear(*images, kind="Rigid", numbers=Numbers()), truth)
    assert before.min() > 4.0
    assert after.max() < 1.5  # half a voxel


def test_affine_registration_finds_how_the_phantom_was_drawn(helpers, phantom):
    head, atlas = phantom["t1"], load_atlas()
    template = coarse(Scan(Path("template"), atlas.t1, atlas.affine), 4.0)
    brain = head.head * head.brain
    found = register_linear((template.data, template.affine), (brain, head.affine), kind="Affine", numbers=Numbers())
    after, before = errors(found, helpers.truth)
    assert before.min() > 4.0
    assert after.max() < 1.5


def test_the_bias_field_is_found_up_to_a_factor():
    shape = (36, 36, 36)
    x, y, z = np.indices(shape) - 17.5
    inside = x**2 + y**2 + z**2 < 15**2
    rng = np.random.default_rng(1)
    tissue = np.where((x // 4 + y // 4 + z // 4) % 2, 100, 160) + rng.normal(0, 2, shape)
    truth = np.exp(0.02 * x + 0.01 * z)
    data = (tissue * truth * inside).astype(np.float32)
    field = bias_field(data, np.diag([6.0, 6.0, 6.0, 1.0]), inside, Numbers())
    ratio = np.log(field / truth)[inside]
    assert ratio.std() < 0.25 * np.log(truth)[inside].std()


def test_without_ants_one_sentence_says_what_to_install(monkeypatch):
    require_ants()
    monkeypatch.setitem(sys.modules, "ants", None)
    monkeypatch.setattr("cerebench.extraction.engine.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'cerebench\[prepare\]'"):
        require_ants()
