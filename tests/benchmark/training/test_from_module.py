"""``ReconstructionMethod.from_module``: any network from slices to slices becomes a method."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from monai.networks.nets import AutoEncoder
from torch import nn

from cerebench.api import MethodError, ReconstructionMethod, UsageError
from cerebench.digest import code_digest
from cerebench.testing import assert_conforms


def small(channels: int, width: int = 6, act: str = "relu", norm=None) -> nn.Module:
    """Half the resolution and back."""
    last = {"relu": nn.ReLU, "elu": nn.ELU}[act]()
    return nn.Sequential(
        nn.Conv2d(channels, width, 2, stride=2), last, nn.ConvTranspose2d(width, channels, 2, stride=2)
    )


def dense(channels: int, canvas: tuple[int, ...], latent: int = 8) -> nn.Module:
    """A network that has to know the slices' size."""
    numbers = channels * canvas[0] * canvas[1]
    return nn.Sequential(
        nn.Flatten(), nn.Linear(numbers, latent), nn.Linear(latent, numbers), nn.Unflatten(1, (channels, *canvas))
    )


class Network(nn.Module):
    """A class is a factory too; ``in_channels`` and ``out_channels`` are other words for channels."""

    def __init__(self, in_channels: int, out_channels: int, channels: int = 4) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(in_channels, channels, 1), nn.Conv2d(channels, out_channels, 1))

    def forward(self, slices):
        return self.layers(slices)


def wrap(module, **more):
    return ReconstructionMethod.from_module(module, **{"name": "mine", "summary": "Mine.", **more})


def built(cls, channels=2, shape=(9, 7), **settings):
    method = cls(cls.settings_for("mock", settings))
    method.build(tuple(f"m{index}" for index in range(channels)), shape, (4.0, 4.0))
    return method


def test_wrapped_function_keeps_the_contract():
    assert_conforms(wrap(small, stride=2))


@pytest.mark.parametrize("module", [small, dense, Network, Network(2, 2)], ids=["function", "canvas", "class", "made"])
def test_network_gets_channels_and_size(module):
    method = built(wrap(module, stride=2))
    images = torch.rand(3, 2, 9, 7)
    assert method.canvas == (10, 8)
    assert method.reconstruct(images).shape == images.shape


def test_partial_of_a_library_network():
    factory = partial(AutoEncoder, 2, channels=(4, 8), strides=(2, 2))
    method = built(wrap(factory, stride=4), channels=1)
    assert method.reconstruct(torch.rand(1, 1, 9, 7)).shape == (1, 1, 9, 7)


def test_plain_defaults_become_settings_and_others_do_not():
    cls = wrap(small)
    assert set(cls.Settings.model_fields) - set(ReconstructionMethod.Settings.model_fields) == {"width", "act"}
    assert built(cls).network[0].out_channels == 6
    assert built(cls, width=3, act="elu").network[0].out_channels == 3
    with pytest.raises(UsageError, match=r"setting 'width' of method 'mine'.*'wide'"):
        cls.settings_for("", {"width": "wide"})
    with pytest.raises(UsageError, match="has no setting 'widht': did you mean 'width'"):
        cls.settings_for("", {"widht": 3})


def test_declaration_and_presets():
    cls = wrap(small, citation="Me 2024", modalities={"t2"}, presets={"quick": {"steps": 3}})
    assert (cls.__name__, cls.__module__, cls.info.unit) == ("Mine", __name__, "slice")
    assert (cls.info.citation, cls.info.modalities) == ("Me 2024", frozenset({"t2"}))
    assert cls.settings_for("quick").steps == 3
    assert set(wrap(small).presets) == {"mock", "quick", "nightly", "standard"}
    # the class belongs to the author's module, whose code is therefore in the keys of its results
    assert code_digest(cls) == code_digest(wrap(dense))


def test_a_made_network_gets_new_weights_from_the_seed_and_stays_as_it_was():
    network = Network(1, 1)
    before = network.layers[0].weight.clone()
    cls = wrap(network)
    drawn = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        drawn.append(built(cls, channels=1).network.layers[0].weight)
    assert torch.equal(network.layers[0].weight, before)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_output_that_is_no_reconstruction_is_named():
    method = built(wrap(nn.Conv2d(1, 3, 1)), channels=1)
    with pytest.raises(MethodError, match=r"network of 'mine' made \[1, 3, 9, 7\] of slices \[1, 1, 9, 7\]"):
        method.reconstruct(torch.rand(1, 1, 9, 7))
    with pytest.raises(MethodError, match="of slices"):
        method.training_loss(torch.rand(1, 1, 9, 7))

    class Pair(Network):
        def forward(self, slices):
            return slices, slices

    with pytest.raises(MethodError, match="made tuple of slices"):
        built(wrap(Pair), channels=1).reconstruct(torch.rand(1, 1, 9, 7))


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (lambda channels, width: nn.Identity(), "parameter 'width' of <lambda> has no default"),
        (lambda channels, steps=3: nn.Identity(), "parameter 'steps' of <lambda> has the name of a setting"),
        ("network", "'network' is neither a torch module nor a function"),
    ],
)
def test_mistakes_are_one_sentence(module, words):
    with pytest.raises(UsageError, match=words):
        wrap(module)
