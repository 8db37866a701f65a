"""Artefacts: what is kept, what is taken over, and what a damaged one says."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cerebench.contract.info import MethodInfo
from cerebench.contract.method import Method, MethodSettings
from cerebench.errors import MethodError
from cerebench.loop.artefact import WEIGHTS, artefact_about, restore_artefact, save_artefact

CPU = torch.device("cpu")


class TwoParts(Method):
    info = MethodInfo(name="two-parts", summary="x")

    class Settings(MethodSettings):
        width: int = 3

    def build(self, modalities, shape, spacing):
        self.encoder = nn.Sequential(nn.Linear(2, self.settings.width), nn.BatchNorm1d(self.settings.width))
        self.decoder = nn.Linear(self.settings.width, 2)
        self.mean = torch.zeros(2)


def built(seed: int, **settings: int) -> TwoParts:
    torch.manual_seed(seed)
    method = TwoParts(TwoParts.Settings(**settings))
    method.build(("t1",), (4, 4, 4), (1.0, 1.0, 1.0))
    return method


def same(first: TwoParts, second: TwoParts, *names: str) -> bool:
    one, other = first.tensors(), second.tensors()
    keys = [key for key in one if key.partition(".")[0] in names]
    assert keys
    return all(torch.equal(one[key], other[key]) for key in keys)


def test_round_trip_of_modules_buffers_and_plain_tensors(tmp_path):
    trained, fresh = built(0), built(1)
    trained.mean = torch.tensor([3.0, 4.0])
    trained.encoder(torch.randn(8, 2))  # moves the running mean, a buffer
    save_artefact(trained, tmp_path, None, {"stage": "fit", "seed": 5})
    assert not same(trained, fresh, "encoder", "decoder", "mean")
    restore_artefact(fresh, tmp_path, CPU)
    assert same(trained, fresh, "encoder", "decoder", "mean")
    assert not fresh.encoder.training
    assert artefact_about(tmp_path) == {"stage": "fit", "seed": 5, "settings": {"width": 3}}


def test_keeps_stores_only_the_named_attributes_for_the_next_stage(tmp_path):
    trained, fresh = built(0), built(1)
    untouched = built(1)
    save_artefact(trained, tmp_path, ("encoder",), {})
    restore_artefact(fresh, tmp_path, CPU, partial=True)
    assert same(trained, fresh, "encoder")
    assert same(untouched, fresh, "decoder", "mean")
    with pytest.raises(MethodError, match="holds no tensors for 'decoder': train it again"):
        restore_artefact(built(2), tmp_path, CPU)


def test_keeping_what_holds_no_tensor_is_an_error(tmp_path):
    with pytest.raises(MethodError, match="a stage keeps 'encodr', which holds no tensor"):
        save_artefact(built(0), tmp_path, ("encoder", "encodr"), {})


def test_an_artefact_of_another_shape_says_so(tmp_path):
    save_artefact(built(0), tmp_path, None, {})
    with pytest.raises(MethodError, match="does not fit 'encoder'"):
        restore_artefact(built(0, width=5), tmp_path, CPU)


@pytest.mark.parametrize("damage", ["truncated", "missing", "pickle"])
def test_a_damaged_file_says_what_to_do(tmp_path, damage):
    save_artefact(built(0), tmp_path, None, {})
    weights = tmp_path / WEIGHTS
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:-20])
    elif damage == "missing":
        weights.unlink()
    else:
        torch.save({"mean": torch.zeros(2)}, weights)
    with pytest.raises(MethodError, match=r"cannot be read .* delete the folder to train it again"):
        restore_artefact(built(1), tmp_path, CPU)
