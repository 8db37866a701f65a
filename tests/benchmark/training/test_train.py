"""The training loop: what it learns, its order, resumption bit for bit, selection of the best weights, faults."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch.optim.lr_scheduler import OneCycleLR  # noqa: E402

from cerebench.api import FitRun, MethodError  # noqa: E402
from cerebench.training import train  # noqa: E402
from cerebench.training.seeding import epoch_order  # noqa: E402


@pytest.fixture(autouse=True)
def _one_seed() -> None:
    torch.manual_seed(0)


def run_in(folder: Path, seed: int = 0) -> FitRun:
    return FitRun(torch.device("cpu"), "32-true", seed, folder)


def line_data(count: int = 64) -> list[tuple[Tensor, Tensor]]:
    inputs = torch.linspace(-1, 1, count)[:, None]
    return [(x, 3 * x - 0.5) for x in inputs]


def small_network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 1))


def one_cycle(optimizer: torch.optim.Optimizer, total: int) -> OneCycleLR:
    return OneCycleLR(optimizer, 1e-2, total_steps=total)


def test_fits_a_known_line(tmp_path: Path) -> None:
    model = nn.Linear(1, 1)
    run = run_in(tmp_path)

    done = train(
        run,
        model,
        line_data(),
        lambda batch: F.mse_loss(model(batch[0]), batch[1]),
        epochs=150,
        batch_size=16,
        learning_rate=5e-2,
    )

    # AdamW's weight decay keeps the slope a little low.
    assert model.weight.item() == pytest.approx(3.0, abs=3e-2)
    assert model.bias.item() == pytest.approx(-0.5, abs=1e-2)
    assert done.steps == 150 * 4
    assert run.curves[-1]["loss"] == done.loss < 1e-3 < run.curves[0]["loss"]
    assert [row["step"] for row in run.curves] == [4.0 * epoch for epoch in range(1, 151)]


def test_steps_equal_plain_pytorch(tmp_path: Path) -> None:
    """The loop's arithmetic is that of six lines of PyTorch over the same order of batches."""
    from cerebench.training.seeding import derived_seed

    data = torch.randn(20, 3)
    ours, plain = nn.Linear(3, 1), nn.Linear(3, 1)
    plain.load_state_dict(ours.state_dict())
    train(
        run_in(tmp_path, seed=7),
        ours,
        data,
        lambda batch: ours(batch).square().mean(),
        steps=7,
        batch_size=5,
        learning_rate=0.1,
        optimizer=lambda parameters, rate: torch.optim.SGD(parameters, lr=rate),
    )

    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1)
    batches = [b for epoch in range(2) for b in epoch_order(20, 5, derived_seed(7, "train", epoch))][:7]
    for indices in batches:
        optimizer.zero_grad()
        plain(data[indices]).square().mean().backward()
        optimizer.step()

    assert torch.equal(ours.weight, plain.weight)


def test_epoch_order_is_a_function_of_the_seed() -> None:
    batches = epoch_order(10, 4, 3)

    assert batches == epoch_order(10, 4, 3) != epoch_order(10, 4, 4)
    assert [len(batch) for batch in batches] == [4, 4]
    assert len({index for batch in batches for index in batch}) == 8
    assert [len(batch) for batch in epoch_order(3, 4, 0)] == [3]


class Killed(Exception):
    """Stands for a process that dies."""


def fit_noisy(folder: Path, kill_at: int | None) -> tuple[nn.Module, FitRun, int]:
    """Dropout, augmentation noise, a schedule, validation and momentum: everything that a resumption has to restore."""
    model, run, calls = small_network(), run_in(folder, seed=5), 0

    def loss(batch: tuple[Tensor, Tensor]) -> Tensor:
        nonlocal calls
        calls += model.training
        if kill_at is not None and calls == kill_at:
            raise Killed
        return F.mse_loss(model(batch[0]), batch[1])

    done = train(
        run,
        model,
        line_data(40),
        loss,
        steps=47,
        batch_size=8,
        learning_rate=1e-2,
        scheduler=one_cycle,
        clip_norm=1.0,
        augment=lambda batch: (batch[0] + 0.05 * torch.randn_like(batch[0]), batch[1]),
        validation=line_data(12),
        checkpoint_seconds=0.0,
    )
    return model, run, done.resumed_at


@pytest.mark.parametrize("kill_at", [2, 6, 23, 46, 47])
def test_killed_training_resumes_bit_for_bit(tmp_path: Path, kill_at: int) -> None:
    straight, straight_run, _ = fit_noisy(tmp_path / "straight", None)

    with pytest.raises(Killed):
        fit_noisy(tmp_path / "killed", kill_at)
    torch.manual_seed(12345)  # a new process has other random states
    resumed, resumed_run, resumed_at = fit_noisy(tmp_path / "killed", None)

    assert resumed_at == (kill_at - 1) // 5 * 5
    for one, other in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)
    assert straight_run.curves == resumed_run.curves


def test_finished_training_is_not_repeated(tmp_path: Path) -> None:
    first, first_run, _ = fit_noisy(tmp_path, None)
    second, second_run, resumed_at = fit_noisy(tmp_path, 1)

    assert resumed_at == 47
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert first_run.curves == second_run.curves


def test_checkpoint_of_another_training_is_not_continued(tmp_path: Path) -> None:
    fit_noisy(tmp_path, None)
    model = small_network()

    done = train(
        run_in(tmp_path, seed=6),
        model,
        line_data(40),
        lambda batch: F.mse_loss(model(batch[0]), batch[1]),
        steps=3,
        batch_size=8,
    )

    assert (done.resumed_at, done.steps) == (0, 3)


def test_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.checkpoint.pt").write_bytes(b"PK\x03\x04 not a checkpoint")
    model = small_network()

    with pytest.raises(MethodError, match=r"train\.checkpoint\.pt.*delete it"):
        train(run_in(tmp_path), model, line_data(), lambda batch: model(batch[0]).mean(), steps=1, batch_size=8)


def test_checkpoint_does_not_run_code(tmp_path: Path) -> None:
    import pickle

    class Harmful:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "harm",))  # type: ignore[return-value]

    (tmp_path / "train.checkpoint.pt").write_bytes(pickle.dumps(Harmful()))
    model = small_network()

    with pytest.raises(MethodError, match="cannot be read"):
        train(run_in(tmp_path), model, line_data(), lambda batch: model(batch[0]).mean(), steps=1, batch_size=8)

    assert not (tmp_path / "harm").exists()


def test_best_weights_by_validation_are_kept(tmp_path: Path) -> None:
    """The parameter walks from 0 by 1 an epoch; validation is lowest at 3."""
    model = nn.ParameterDict({"place": nn.Parameter(torch.zeros(()))})
    run = run_in(tmp_path)

    done = train(
        run,
        model,
        torch.zeros(4, 1),
        lambda batch: -model["place"] + 0 * batch.sum(),
        epochs=6,
        batch_size=4,
        learning_rate=1.0,
        optimizer=lambda parameters, rate: torch.optim.SGD(parameters, lr=rate),
        validation=torch.zeros(3, 1),
        validation_loss=lambda batch: (model["place"] - 3).abs(),
    )

    assert model["place"].item() == 3.0
    assert (done.best_epoch, done.best_validation) == (2, 0.0)
    assert [row["validation"] for row in run.curves] == [2.0, 1.0, 0.0, 1.0, 2.0, 3.0]


def test_patience_stops(tmp_path: Path) -> None:
    model = nn.Linear(1, 1)

    done = train(
        run_in(tmp_path),
        model,
        torch.zeros(4, 1),
        lambda batch: model(batch).square().mean(),
        epochs=50,
        batch_size=4,
        validation=torch.zeros(3, 1),
        validation_loss=lambda batch: torch.ones(()),
        patience=3,
    )

    assert done.epochs == 4
    assert done.best_epoch == 0


def test_validation_weighs_a_short_last_batch_by_its_size(tmp_path: Path) -> None:
    model, run = nn.Linear(1, 1), run_in(tmp_path)

    train(
        run,
        model,
        torch.zeros(4, 1),
        lambda batch: model(batch).square().mean(),
        epochs=1,
        batch_size=4,
        validation=torch.arange(5.0)[:, None],
        validation_loss=lambda batch: batch.mean(),
    )

    assert run.curves[0]["validation"] == pytest.approx(2.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_diverging_loss_names_the_step(tmp_path: Path, value: float) -> None:
    model, calls = nn.Linear(1, 1), 0

    def loss(batch: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return model(batch).mean() * (value if calls == 3 else 1.0)

    with pytest.raises(MethodError, match=r"'train' diverged: loss is (nan|inf|-inf) at step 3 of 9"):
        train(run_in(tmp_path), model, torch.ones(4, 1), loss, steps=9, batch_size=4)


def test_adversaries_minimise_their_own_losses(tmp_path: Path) -> None:
    """Each player moves its own parameter only, in turn: a down to 1, b to wherever a is."""
    players = nn.ModuleDict({"a": nn.Linear(1, 1, bias=False), "b": nn.Linear(1, 1, bias=False)})
    run = run_in(tmp_path)

    train(
        run,
        dict(players.items()),
        torch.ones(8, 1),
        {
            "a": lambda batch: {"loss": (players["a"](batch) - 1).square().mean(), "weight": players["a"].weight.sum()},
            "b": lambda batch: (players["b"](batch) - players["a"](batch)).square().mean(),
        },
        steps=400,
        batch_size=4,
        learning_rate=2e-2,
    )

    assert players["a"].weight.item() == pytest.approx(1.0, abs=1e-2)
    assert players["b"].weight.item() == pytest.approx(1.0, abs=1e-2)
    assert {"a.loss", "a.weight", "b.loss", "a.learning_rate"} <= set(run.curves[0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 1, "steps": 1}, "either steps or epochs"),
        ({}, "either steps or epochs"),
        ({"steps": 1, "data": []}, "no training item"),
        ({"steps": 1, "loss": {"other": lambda batch: batch.mean()}}, "'other' names no module"),
        ({"steps": 1, "loss": lambda batch: {"part": batch.mean()}}, "expected an entry 'loss'"),
    ],
)
def test_contradictions_are_named(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    model = nn.Linear(1, 1)
    arguments = {"data": torch.ones(4, 1), "loss": lambda batch: model(batch).mean(), "batch_size": 2, **changes}

    with pytest.raises(MethodError, match=message):
        train(run_in(tmp_path), model, **arguments)  # type: ignore[arg-type]


def test_two_trainings_of_one_stage_need_two_names(tmp_path: Path) -> None:
    model, run = nn.Linear(1, 1), run_in(tmp_path)

    def loss(batch: Tensor) -> Tensor:
        return model(batch).square().mean()

    train(run, model, torch.ones(4, 1), loss, steps=2, batch_size=2)
    with pytest.raises(MethodError, match="a name of its own"):
        train(run, model, torch.ones(4, 1), loss, steps=2, batch_size=2)
    train(run, model, torch.ones(4, 1), loss, steps=2, batch_size=2, name="second")

    assert len(run.curves) == 2


def test_random_items_are_drawn_again_every_epoch(tmp_path: Path) -> None:
    """Only data that cannot change between epochs is stacked in memory."""

    class Random(torch.utils.data.Dataset):  # type: ignore[type-arg]
        seen: list[float] = []

        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> Tensor:
            value = torch.rand(1)
            self.seen.append(value.item())
            return value

    model, data = nn.Linear(1, 1), Random()
    train(run_in(tmp_path), model, data, lambda batch: model(batch).square().mean(), epochs=3, batch_size=2)

    assert len(set(data.seen)) == 12


def test_settings_of_torch_are_given_back(tmp_path: Path) -> None:
    model = nn.Linear(1, 1)
    train(run_in(tmp_path), model, torch.ones(4, 1), lambda b: model(b).square().mean(), steps=1, batch_size=2)

    assert torch.get_deterministic_debug_mode() == 0
    assert torch.is_grad_enabled()
    assert not model.training
