"""The reporter ``mlflow``, against MLflow itself."""

from __future__ import annotations

import logging
import warnings

import pytest

from cerebench.broadcast.choose import choose_reporters
from cerebench.errors import UsageError
from cerebench.plugins.registry import Registry
from cerebench.reporting.mlflow_tracking import Mlflow
from cerebench.testing import mock_events, tell


def test_without_the_extra_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr("cerebench.broadcast.choose.find_spec", lambda name: None)
    with pytest.raises(UsageError) as raised:
        choose_reporters("mlflow", Registry.discover())
    assert "reporter 'mlflow' of cerebench" in str(raised.value)
    assert "needs the package mlflow, which is not installed: pip install 'cerebench[mlflow]'" in str(raised.value)


@pytest.fixture
def client(tmp_path, monkeypatch):
    """A client of the database in the results folder."""
    for name in Mlflow.requires:
        pytest.importorskip(name, reason=f"{name} is not installed: pip install 'cerebench[mlflow]'")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "results").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own dependencies warn of each other
        from mlflow import MlflowClient

        yield MlflowClient(f"sqlite:///{tmp_path}/results/mlflow.db")


def test_a_run_of_mlflow_for_each_cell_below_one_for_the_whole(client, tmp_path):
    import mlflow

    tell(Mlflow(), mock_events(tmp_path / "results"))
    experiment = client.get_experiment_by_name("cerebench")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    parent = runs.pop("bench run run-1")
    assert parent.info.status == "FINISHED"
    assert (parent.data.params["protocols"], parent.data.params["cells"]) == ("mock@1", "2")
    assert parent.data.metrics == {"cells/ok": 1.0, "cells/failed": 1.0, "seconds": 6.0, "evaluated": 1.0}
    good = runs.pop("good on mock-cohort t1, seed 0")
    bad = runs.pop("bad[width=2] on mock-cohort t1, seed 0")
    assert not runs  # the training is no run of its own
    assert {run.data.tags["mlflow.parentRunId"] for run in (good, bad)} == {parent.info.run_id}
    assert good.info.status == "FINISHED"
    assert good.data.params == {
        "protocol": "mock",
        "protocol_version": "1",
        "preset": "quick",
        "method": "good",
        "variant": "",
        "cohort": "mock-cohort",
        "modality": "t1",
        "seed": "0",
    }
    assert good.data.metrics == {
        "seconds": 3.0,
        "voxel/raw/ap": 0.25,
        "voxel/raw/ap.low": 0.125,
        "voxel/raw/ap.high": 0.5,
        "subject/raw/prevalence": 1.0,
    }
    assert good.data.tags["provenance"] == "in-silico"
    assert bad.info.status == "FAILED"
    assert "KeyError" in bad.data.tags["reason"]
    assert mlflow.active_run() is None


def test_a_second_run_joins_the_experiment(client, tmp_path):
    for run in ("run-1", "run-2"):
        settings = Mlflow.settings_for("mlflow", {"experiment": "mine"})
        tell(Mlflow(settings), mock_events(tmp_path / "results", run))
    experiment = client.get_experiment_by_name("mine")
    assert len(client.search_runs([experiment.experiment_id])) == 6
