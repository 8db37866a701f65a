from __future__ import annotations

import pytest
from pydantic import ValidationError

from cerebench.prepare import spec as module
from cerebench.prepare.spec import PrepareSpec


@pytest.mark.parametrize(
    ("spacing", "shape"),
    [(1.0, (160, 192, 160)), (2.0, (80, 96, 80)), (4.0, (40, 48, 40)), (3.0, (56, 64, 56)), (0.1, (1600, 1920, 1600))],
)
def test_shape_covers_the_field_in_multiples_of_eight(spacing: float, shape: tuple[int, int, int]) -> None:
    found = PrepareSpec(spacing_mm=spacing)
    assert found.shape == shape
    assert all(side * spacing >= field - 1e-6 for side, field in zip(shape, found.field_of_view_mm, strict=True))


def test_digest_follows_every_field_and_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    base = PrepareSpec(spacing_mm=2.0)
    assert base.digest() == PrepareSpec(spacing_mm=2).digest()
    others = [
        PrepareSpec(spacing_mm=3.0),
        PrepareSpec(spacing_mm=2.0, field_of_view_mm=(160.0, 192.0, 168.0)),
        PrepareSpec(spacing_mm=2.0, low_percentile=2.0),
        PrepareSpec(spacing_mm=2.0, high_percentile=98.0),
        PrepareSpec(spacing_mm=2.0, clip_low=-1.0),
        PrepareSpec(spacing_mm=2.0, clip_high=4.0),
    ]
    digests = {base.digest(), *(other.digest() for other in others)}
    monkeypatch.setattr(module, "PREPARE_VERSION", module.PREPARE_VERSION + 1)
    digests.add(base.digest())
    assert len(digests) == len(others) + 2


@pytest.mark.parametrize(
    "values",
    [
        {"spacing_mm": 0.0},
        {"spacing_mm": float("nan")},
        {"low_percentile": 60.0, "high_percentile": 50.0},
        {"field_of_view_mm": (0.0, 10.0, 10.0)},
        {"colour": "red"},
    ],
)
def test_impossible_specs_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PrepareSpec(**values)  # type: ignore[arg-type]
