"""VQ-VAE: nearest codes, the codebook's start, likelihood of codes, their exchange, the two stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributions import Categorical

from cerebench.api import FitRun, UsageError
from cerebench.testing import assert_conforms, mock_volumes
from cerebench_methods.baselines.vq_vae import CODING, VqVae
from cerebench_methods.baselines.vq_vae_networks import fill_codebook
from cerebench_methods.baselines.vq_vae_prior import code_loss, heal_codes, next_code_logits

SHAPE, SPACING = (32, 40), (4.0, 4.0)


def built(shape: tuple[int, ...] = SHAPE, **settings: Any) -> VqVae:
    torch.manual_seed(0)
    method = VqVae(VqVae.settings_for("mock", settings))
    method.build(("t1",), shape, SPACING)
    for module in method.modules().values():
        module.eval()
    return method


def chain(tokens: torch.Tensor) -> torch.Tensor:
    """A stand-in for the transformer over codes 0 and 1 and the token 2: a code repeats with probability 0.9."""
    table = torch.tensor([[0.9, 0.1, 0.5], [0.1, 0.9, 0.5], [0.7, 0.3, 0.5]])
    return table[tokens].log()


def test_likelihood_is_that_of_the_chain() -> None:
    codes = torch.tensor([[0, 0, 1], [1, 1, 1]])
    expected = [0.7 * 0.9 * 0.1, 0.3 * 0.9 * 0.9]

    found = code_loss(chain, codes, begin=2)

    # of the three tokens' weights only those of the two codes count
    logs = Categorical(logits=next_code_logits(chain, codes, begin=2)).log_prob(codes).sum(1)
    torch.testing.assert_close(logs.exp(), torch.tensor(expected))
    assert found.item() == pytest.approx(-logs.sum().item() / 6)


@pytest.mark.parametrize("place", [0, 7, 79])
def test_a_code_is_judged_by_those_before_it_alone(place: int) -> None:
    method = built()
    codes = torch.randint(16, (2, 80))
    other = codes.clone()
    other[:, place] = (other[:, place] + 5) % 16

    with torch.no_grad():
        one, two = (next_code_logits(method.transformer, given, 16) for given in (codes, other))

    assert torch.allclose(one[:, : place + 1], two[:, : place + 1], atol=1e-6)
    if place < 79:
        assert not torch.allclose(one[:, place + 1], two[:, place + 1], atol=1e-6)


def test_unlikely_codes_become_the_most_probable_ones() -> None:
    """The first round judges a code after a false one; the second sees that it was exchanged."""
    codes = torch.tensor([[0, 0, 1, 0, 0], [0, 1, 1, 1, 1]])

    def healed(unlikely: float, rounds: int) -> list[list[int]]:
        return heal_codes(chain, codes, 2, unlikely, rounds).tolist()

    assert healed(0.0, 3) == codes.tolist()
    assert healed(0.05, 3) == codes.tolist()
    assert healed(0.2, 1) == [[0, 0, 0, 1, 0], [0, 0, 1, 1, 1]]
    assert healed(0.2, 2) == [[0, 0, 0, 0, 1], [0, 0, 0, 1, 1]]


def test_codes_are_the_nearest_entries_of_the_codebook() -> None:
    method = built()
    slices = torch.rand(3, 1, *SHAPE)

    with torch.no_grad():
        found = method.encoded(slices)
        vectors = method.network.encode(slices).movedim(1, -1).flatten(1, 2)
    entries = method.network.quantizer.quantizer.embedding.weight

    assert torch.equal(found, torch.cdist(vectors, entries).argmin(-1))


def test_codebook_starts_where_codes_are() -> None:
    method, slices = built(codes=32), torch.rand(8, 1, *SHAPE)
    quantizer = method.network.quantizer.quantizer

    def used_and_error() -> tuple[int, float]:
        with torch.no_grad():
            vectors = method.network.encode(slices).movedim(1, -1).flatten(0, 2)
            codes = method.encoded(slices)
            return len(codes.unique()), (vectors - quantizer.embedding(codes.flatten())).square().mean().item()

    before = used_and_error()
    fill_codebook(method.network, slices)
    after = used_and_error()

    assert after[0] > max(16, 2 * before[0])
    assert after[1] < 0.1 * before[1]
    assert torch.equal(quantizer.ema_w, quantizer.embedding.weight)


def test_loss_is_reconstruction_and_commitment() -> None:
    method, batch = built(loss="mse"), torch.rand(2, 1, *SHAPE)

    with torch.no_grad():
        found = method.training_loss(batch)
        vectors = method.network.encode(batch)
        entries = method.network.quantizer.quantizer.embed(method.network.index_quantize(batch))
        error = (method.network.decode(entries) - batch).square().mean()

    expected = error + 0.25 * (vectors - entries).square().mean()
    assert found["loss"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_second_stage_learns_the_codes_and_leaves_them(tmp_path: Path) -> None:
    volumes, held_out = (mock_volumes(VqVae.info, count, seed=count) for count in (4, 2))
    method = built(volumes[0].image.shape[1:3])
    method.fit(volumes, held_out, FitRun(torch.device("cpu"), "32-true", 0, tmp_path / "fit"))
    slices = torch.stack(list(held_out.slices()))
    before = {key: value.clone() for key, value in method.network.state_dict().items()}
    codes = method.encoded(slices)
    unknown = code_loss(method.transformer.eval(), codes, 16)

    method.prior(volumes, held_out, FitRun(torch.device("cpu"), "32-true", 0, tmp_path / "prior"))

    assert all(torch.equal(value, before[key]) for key, value in method.network.state_dict().items())
    assert torch.equal(method.encoded(slices), codes)
    assert len(codes.unique()) > 4
    frequencies = torch.bincount(codes.flatten(), minlength=16) / codes.numel()
    independent = Categorical(probs=frequencies).entropy()
    assert code_loss(method.transformer, codes, 16) < min(0.8 * unknown, independent)


def test_without_exchange_the_reconstruction_is_the_plain_one() -> None:
    plain, strict = built(unlikely=0.0), built(unlikely=1.0)
    slices = torch.rand(2, 1, *SHAPE)

    with torch.inference_mode():
        restored = plain.restore_slices(slices)
        expected = plain.network(slices)[0]
        other = strict.restore_slices(slices)

    torch.testing.assert_close(restored, expected, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(other, expected, atol=1e-3)


def test_heads_have_to_divide_the_width() -> None:
    with pytest.raises(UsageError, match=r"prior_width is 10, expected a multiple of prior_heads \(4\)"):
        built(prior_width=10, prior_heads=4)


def test_second_stage_settings_leave_the_first_valid() -> None:
    fields = set(VqVae.Settings.model_fields)

    assert set(CODING) < fields
    assert {name for name in fields if not name.startswith("prior_")} - set(CODING) == {
        "polarity",
        "unlikely",
        "rounds",
    }


@pytest.mark.parametrize("preset", sorted(VqVae.presets))
def test_presets_build(preset: str) -> None:
    method = VqVae(VqVae.settings_for(preset))
    method.build(("t1",), (37, 45), SPACING)

    with torch.no_grad():
        assert method.reconstruct(torch.zeros(1, 1, 37, 45)).shape == (1, 1, 37, 45)


def test_conforms() -> None:
    assert_conforms(VqVae)
