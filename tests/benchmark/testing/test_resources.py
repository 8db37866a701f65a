"""Time, memory and the GPU in the conformance suite."""

from __future__ import annotations

import time

import pytest
import torch

from cerebench.api import Method, MethodInfo, Prediction
from cerebench.testing import check_method, resources
from cerebench.testing.meter import metered


class Ballast(Method):
    """Learns a mean and carries one MiB."""

    info = MethodInfo(name="ballast", summary="Deviation from the healthy mean intensity.", unit="slice")

    def build(self, modalities, shape, spacing):
        self.mean = torch.zeros(())
        self.ballast = torch.zeros(2**18)

    def fit(self, train, validation, run):
        self.mean = torch.stack([slices[slices != 0].mean() for slices in train.slices()]).mean().to(run.device)

    def predict(self, images, context):
        return Prediction(maps=(images[:, 0] - self.mean).abs() * context.brain)


class Fixed(Ballast):
    """Keeps its map on the CPU whatever device it is asked for."""

    def predict(self, images, context):
        return Prediction(maps=super().predict(images, context).maps.cpu())


class Halves(Ballast):
    def predict(self, images, context):
        return Prediction(maps=(super().predict(images, context).maps * 100).int())


def found(cls, name):
    return next(result for result in check_method(cls) if result.name == name)


def test_meter_sees_time_and_memory():
    with metered(torch.device("cpu")) as cost:
        block = torch.ones(64 * 2**18)
        time.sleep(0.05)
    assert 0.05 <= cost.seconds < 10
    assert cost.memory_mib >= 60
    assert block.numel() == 64 * 2**18


def test_cost_is_reported_in_figures():
    result = found(Ballast, "time and memory")
    assert result.ok
    assert set(result.figures) == {
        "training_s",
        "training_memory_mib",
        "prediction_s",
        "prediction_memory_mib",
        "tensors_mib",
    }
    assert result.figures["tensors_mib"] == pytest.approx(1, abs=1e-3)
    assert min(result.figures["training_s"], result.figures["prediction_s"]) > 0


def test_maps_have_to_be_floating_point():
    result = found(Halves, "shapes")
    assert not result.ok
    assert "maps are int32, expected floating-point numbers" in result.detail


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is present")
def test_without_a_gpu_the_check_says_so():
    result = found(Ballast, "GPU")
    assert (result.skipped, result.detail) == (True, "no CUDA device is present")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is present")
def test_on_a_gpu_maps_have_to_be_there():
    assert found(Ballast, "GPU").figures["cpu_gap"] < 1e-2
    assert not found(Fixed, "GPU").ok


def test_the_other_device_is_trained_on_and_compared(monkeypatch):
    monkeypatch.setattr(resources, "gpu", lambda: torch.device("cpu"))
    result = found(Ballast, "GPU")
    assert (result.ok, result.skipped, dict(result.figures)) == (True, False, {"cpu_gap": 0.0})
