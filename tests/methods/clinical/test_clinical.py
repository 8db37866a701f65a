"""Clinical variables: encoding and probabilities against scikit-learn's own pipeline; missing ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from cerebench.api import FitRun, MethodError, PredictContext
from cerebench.testing import assert_conforms, mock_volumes
from cerebench.testing.mock import MemoryVolumes
from cerebench_methods.clinical.encoding import Encoding
from cerebench_methods.clinical.method import Clinical


def rows(count: int, seed: int = 0, missing: float = 0.2) -> list[dict[str, float | str]]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        row: dict[str, float | str] = {"age": float(rng.normal(60, 10)), "dose": float(rng.integers(15, 25))}
        row["primary"] = str(rng.choice(["breast", "lung", "skin"]))
        found.append({name: value for name, value in row.items() if name == "age" or rng.random() > missing})
    return found


def test_conforms():
    assert_conforms(Clinical)


def test_encoding_is_scikit_learns():
    train, test = rows(40), [*rows(10, 1), {"primary": "liver"}, {}]
    encoding = Encoding.learn(train)
    tables = [pd.DataFrame(part, columns=["age", "dose", "primary"]) for part in (train, test)]
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    # scikit-learn counts the filled-in values into mean and spread, we do not
    numbers.fit(tables[0][["age", "dose"]])
    filled = numbers[0].transform(tables[1][["age", "dose"]])
    known = tables[0][["age", "dose"]]
    wanted = (filled - known.mean().to_numpy()) / known.std(ddof=0).to_numpy()
    words = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    words.fit(tables[0][["primary"]].dropna())
    categories = words.transform(tables[1][["primary"]].fillna("nothing"))
    found = np.array([encoding.vector(row) for row in test])
    assert encoding.features == (
        *("age", "dose", "primary=breast", "primary=lung", "primary=skin", "dose missing", "primary missing"),
    )
    np.testing.assert_allclose(found[:, :2], wanted, atol=1e-12)
    np.testing.assert_array_equal(found[:, 2:5], categories)
    np.testing.assert_array_equal(found[:, 5], ["dose" not in row for row in test])
    np.testing.assert_array_equal(found[:, 6], [row.get("primary") in (None, "liver") for row in test])


def test_encoding_survives_storage_and_constants():
    encoding = Encoding.learn([{"age": 50.0, "ünit": "a"}, {"age": 50.0}])
    assert Encoding.from_tensor(encoding.to_tensor()) == encoding
    assert encoding.vector({"age": 51.0}) == [1.0, 0.0, 1.0]
    with pytest.raises(MethodError, match="no training case has a clinical variable"):
        Encoding.learn([{}, {}])


def test_probabilities_are_scikit_learns(tmp_path: Path):
    volumes = [
        replace(volume, covariates=row)
        for volume, row in zip(mock_volumes(Clinical.info, 40, labelled=True), rows(40, missing=0.0), strict=True)
    ]
    method = Clinical(Clinical.settings_for("quick"))
    method.build(("t1c",), (8, 8, 8), (4.0, 4.0, 4.0))
    method.fit(
        MemoryVolumes(volumes), MemoryVolumes([]), FitRun(torch.device("cpu"), "32-true", 0, tmp_path / "scratch")
    )
    table = pd.DataFrame([dict(volume.covariates or {}) for volume in volumes])
    transform = make_column_transformer((StandardScaler(), ["age", "dose"]), (OneHotEncoder(), ["primary"]))
    model = make_pipeline(transform, LogisticRegression(C=0.3, max_iter=1000))
    model.fit(table, [volume.label for volume in volumes])
    tested = rows(7, 3, missing=0.0)
    brain = torch.ones(7, 8, 8, 8, dtype=torch.bool)
    context = PredictContext(brain, (4.0,) * 3, ("t1c",), torch.device("cpu"), 0, None, tuple(tested))
    scores = method.predict(torch.zeros(7, 1, 8, 8, 8), context).scores
    assert scores is not None
    np.testing.assert_allclose(scores.numpy(), model.predict_proba(pd.DataFrame(tested))[:, 1], atol=1e-6)
