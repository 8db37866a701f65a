"""A method from a local file in a run: in worker processes, in the table, in the keys."""

from __future__ import annotations

import pytest

import cerebench
from cerebench.boards import leaderboard_rows
from cerebench.errors import UsageError
from cerebench.plan.cells import Job

METHOD = """
from cerebench.api import Method, MethodInfo, MethodSettings, Prediction

class Mine(Method):
    info = MethodInfo(name="mine", summary="Intensity.", supervision="none", unit="volume", stages=())

    class Settings(MethodSettings):
        power: float = 1.0

    def predict(self, images, context):
        return Prediction(maps=images.mean(dim=1) ** self.settings.power)
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(METHOD)
    return path


def cells(world):
    found = {row["variant"]: row["status"] for row in leaderboard_rows(world.results) if row["method"] == "mine"}
    return found, {path.parent for path in world.results.glob("runs/*/mine/*/*/cases.parquet")}


def test_workers_load_it_and_the_table_marks_it(world, file):
    result = cerebench.run(f"{file}:Mine,{file}:Mine[power=2]", "toy-lesion", **world.options(workers=1))
    assert result.exit_code == 0
    assert cells(world)[0] == {"local": "ok", "power=2,local": "ok"}
    (job, *_) = [job for plan in result.plans for job in plan.jobs if job.method == "mine"]
    assert job.local.startswith(f"{file}:Mine#")
    assert Job.from_json(job.to_json()) == job


def test_an_edit_is_a_new_cell_and_the_same_file_is_kept(world, file):
    def run() -> int:
        return cerebench.run(f"{file}:Mine", "toy-lesion", **world.options(in_process=True)).evaluated

    assert run() == 2
    before = cells(world)[1]
    assert run() == 0
    file.write_text(METHOD.replace("images.mean(dim=1)", "-images.mean(dim=1)"))
    assert run() == 2
    assert before < cells(world)[1]
    assert len(cells(world)[1]) == 2 * len(before)


def test_mistakes_end_the_run_before_it_begins(world, run, file):
    with pytest.raises(UsageError, match="has no class 'Yours'"):
        run(f"toy-good,{file}:Yours")
    with pytest.raises(UsageError, match="has no setting 'powr': did you mean 'power'"):
        run(f"{file}:Mine[powr=2]")
    assert not list(world.results.glob("runs/*/*"))


def test_explain_takes_it_with_and_without_the_mark(world, file, tmp_path):
    from cerebench.explain.run import explain
    from cerebench.explain.target import Question

    places = {"data_root": world.data, "cards": (world.cards,), "results": world.results, "device": "cpu"}
    question = {"cohort": "toy-lesion", "protocol": "toy-transfer", **places}
    cerebench.run(f"{file}:Mine", "toy-lesion", **world.options(in_process=True))
    from cerebench.manifest import read_cells
    from cerebench.store import Store

    (cell, *_) = [cell for cell in read_cells(Store(world.results)) if cell.status == "ok"]
    import pandas as pd

    case = pd.read_parquet(world.results / cell.path / "cases.parquet")["case"].iloc[0]
    for variant in ("", "local"):
        asked = Question(method=f"{file}:Mine", case=case, variant=variant, **question)
        found = explain(asked, tmp_path / f"out-{variant}")
        assert found.numbers["method"] == "mine"
