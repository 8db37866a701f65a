"""``explain`` end to end on the toy world, against the stored rows and NumPy on the prepared arrays."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score

from cerebench.errors import MethodError, UsageError
from cerebench.explain.run import explain
from cerebench.loop.feed import prepared
from cerebench.manifest import read_cells
from cerebench.store import Store


def cases_of(world, found):
    rows = pd.read_parquet(world.results / found.numbers["cell"] / "cases.parquet")
    return rows[rows["case"] == found.numbers["case"]]


def entry_of(run, world, case, modality="t1", method="toy-good"):
    """The prepared arrays of a case."""
    plan = run(method, preset="nightly").plans[0]
    cells = [cell for job in plan.jobs for cell in job.evaluations]
    (cell,) = [c for c in cells if (c.identity.cohort, c.identity.modality) == ("toy-lesion", modality)]
    return prepared(next(ref for ref in cell.cases if ref.id == case))


def test_files_and_numbers_agree_with_the_cell_and_with_numpy(ask, tested, world, run, tmp_path):
    found = explain(ask(case=tested[0]), tmp_path / "out")
    (folder,) = (tmp_path / "out").iterdir()
    assert folder.name == f"toy-good_toy-lesion_t1_seed0_{tested[0]}"
    assert sorted(path.name for path in found.files) == ["numbers.json", "sheet.png", "slice-scores.png"]
    assert sorted(path.name for path in folder.iterdir()) == ["numbers.json", "sheet.png", "slice-scores.png"]
    assert json.loads((folder / "numbers.json").read_text()) == json.loads(json.dumps(found.numbers))
    stored = cases_of(world, found)
    (ap,) = stored[(stored["metric"] == "ap") & (stored["post"] == "raw")]["value"]
    assert found.numbers["metrics"]["voxel/raw/ap"] == ap
    assert found.numbers["equals_stored_rows"] is True
    entry = entry_of(run, world, tested[0])
    image, brain, lesion = entry.image()[0], entry.brain(), entry.labels() == 1
    squared = np.abs(image) ** 2
    assert ap == pytest.approx(average_precision_score(lesion[brain], squared[brain]), abs=1e-3)
    inside = found.numbers["map"]["inside_lesion"]
    assert inside["mean"] == pytest.approx(squared[lesion & brain].mean(), rel=1e-5)
    assert inside["median"] == pytest.approx(np.median(squared[lesion & brain]), rel=1e-5)
    assert inside["voxels"] == (lesion & brain).sum()
    outside = found.numbers["map"]["outside_lesion"]
    assert outside["percentile_95"] == pytest.approx(np.percentile(squared[brain & ~lesion], 95), rel=1e-5)
    assert found.numbers["shown"][0] == {"index": int(lesion.sum((0, 1)).argmax()), "why": "largest lesion"}
    assert len(found.numbers["shown"]) == 3
    with_lesion = [each["index"] for each in found.numbers["slices"] if each["lesion"]]
    assert with_lesion == np.flatnonzero((lesion & brain).any((0, 1))).tolist()


def test_only_the_column_is_computed_and_a_run_keeps_it(ask, tested, world, run, tmp_path):
    explain(ask(case=tested[0], modality="t2"), tmp_path / "out")
    done = [cell for cell in read_cells(Store(world.results)) if cell.status == "ok"]
    assert [(cell.identity["cohort"], cell.identity["modality"]) for cell in done] == [("toy-lesion", "t2")]
    result = run("toy-good", preset="nightly")
    assert result.counts["ok"] == 4
    assert result.evaluated == 3


def test_a_finished_cell_is_used_as_it_is(ask, tested, world, run, tmp_path):
    run("toy-good", preset="nightly")
    before = {path: path.stat().st_mtime_ns for path in world.results.rglob("*") if path.is_file()}
    # what has been run also says which protocol and preset are meant
    explain(ask(case=tested[0], protocol=None, preset=None, modality="t2"), tmp_path / "out")
    assert {path: path.stat().st_mtime_ns for path in world.results.rglob("*") if path.is_file()} == before


def test_an_adapted_row_trains_and_explains(ask, tested, world, tmp_path):
    question = ask(method="toy-adapted[steps=5]", case=tested[0], variant="")
    plain = explain(question, tmp_path / "out")
    tuned = explain(ask(method="toy-adapted", variant="steps=5,adapted", case=tested[0]), tmp_path / "out")
    assert plain.numbers["variant"] == "steps=5"
    assert tuned.numbers["variant"] == "steps=5,adapted"
    assert tuned.numbers["artefact"].startswith("artefacts/adapt/")
    assert plain.numbers["score"] != tuned.numbers["score"]
    stages = [path.parent.name for path in world.results.rglob("weights.safetensors")]
    assert len(stages) == 2


def test_nothing_is_overwritten_without_force(ask, tested, tmp_path):
    first = explain(ask(case=tested[0]), tmp_path)
    with pytest.raises(UsageError, match="is there already; use --force"):
        explain(ask(case=tested[0]), tmp_path)
    before = [path.read_bytes() for path in first.files]
    again = explain(ask(case=tested[0]), tmp_path, force=True)
    assert [path.read_bytes() for path in again.files] == before  # same inputs, same bytes
    explain(ask(case=tested[1]), tmp_path)


def test_a_deleted_artefact_is_named(ask, tested, world, tmp_path):
    import shutil

    question = ask(method="toy-adapted[steps=5]", case=tested[0])
    found = explain(question, tmp_path)
    shutil.rmtree(world.results / found.numbers["artefact"])
    with pytest.raises(UsageError, match=r"artefacts/fit/toy-adapted-\w+ is gone"):
        explain(question, tmp_path / "again")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"method": "toy-god"}, "did you mean 'toy-good'"),
        ({"cohort": "toy-lesio"}, "did you mean 'toy-lesion'"),
        ({"case": "p0"}, "no case 'p0' in toy-lesion: did you mean 'p0"),
        ({"modality": "t3"}, "does not test toy-lesion t3"),
        ({"variant": "adapted"}, "has no row 'adapted' under protocol 'toy-transfer'"),
        ({"variant": "power=1", "method": "toy-good[power=1]"}, "give them once"),
        ({"variant": "sharp"}, "has no variant 'sharp'"),
        ({"protocol": "toy-transfe"}, "did you mean 'toy-transfer'"),
        ({"preset": "nightl"}, "did you mean 'nightly'"),
        ({"seed": -1}, "--seed -1"),
        ({"protocol": None, "preset": None, "cohort": "nowhere"}, "nowhere"),
    ],
)
def test_mistakes_are_named_in_a_sentence(ask, tmp_path, more, words):
    with pytest.raises(UsageError, match=words):
        explain(ask(**more), tmp_path)
    assert not any(tmp_path.glob("toy-*"))


def test_a_case_with_another_role_is_told_its_role(ask, tested, tmp_path):
    others = sorted({f"p{index:02d}" for index in range(10)} - set(tested))
    said = []
    for name in others:
        with pytest.raises(UsageError) as caught:
            explain(ask(case=name), tmp_path)
        said.append(str(caught.value))
    chosen = [text for text in said if "selects thresholds here and is not tested; tested are " in text]
    assert chosen
    assert all(tested[0] in text for text in chosen)


def test_a_method_that_fails_says_why(ask, tested, tmp_path):
    with pytest.raises(MethodError, match="division by zero"):
        explain(ask(method="toy-raises-late", case=tested[0]), tmp_path)


def test_pictures_of_the_method_are_shown_and_its_numbers_kept(ask, tested, tmp_path, monkeypatch, run):
    from cerebench.plugins.registry import Registry

    cls = Registry.discover([]).load_method("toy-good")
    pictures = {
        "whole": lambda images, context: images[:, 0] * 2,
        "unbatched": lambda images, context: images[0, 0],
        "latent distance": lambda images, context: torch.tensor([2.5]),
    }
    monkeypatch.setattr(
        cls, "explain", lambda self, images, context: {n: make(images, context) for n, make in pictures.items()}
    )
    found = explain(ask(case=tested[0]), tmp_path)
    assert set(found.numbers["pictures"]) == {"image t1", "map", "map median", "whole", "unbatched"}
    assert found.numbers["method_numbers"] == {"latent distance": 2.5}
    whole, image = (found.numbers["pictures"][name]["highest"] for name in ("whole", "image t1"))
    assert whole == pytest.approx(2 * image)


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (lambda images: images, r"has shape \(1, 1, .*expected \(1, "),
        (lambda images: images[:, 0] * float("nan"), "NaN or infinite"),
        (lambda images: [1.0], "is list, expected"),
    ],
)
def test_a_wrong_picture_is_named(ask, tested, tmp_path, monkeypatch, picture, words):
    from cerebench.plugins.registry import Registry

    cls = Registry.discover([]).load_method("toy-good")
    monkeypatch.setattr(cls, "explain", lambda self, images, context: {"odd": picture(images)})
    with pytest.raises(MethodError, match=words):
        explain(ask(case=tested[0]), tmp_path)


def test_the_map_without_a_reference_is_the_loops_map(ask, tested, world, run):
    """What is predicted again where the loop keeps no map equals what the loop scores."""
    from cerebench.explain.predict import _map
    from cerebench.explain.target import find_target
    from cerebench.loop.cases import predict_case
    from cerebench.loop.device import StageTimer
    from cerebench.loop.feed import load_case
    from cerebench.loop.models import trained_method
    from cerebench.loop.predict import BatchBackoff
    from cerebench.plugins.registry import Registry
    from cerebench.request import Quiet

    cpu = torch.device("cpu")
    question = ask(case=tested[0])
    registry = Registry.discover(list(question.cards))
    target = find_target(question, registry, Quiet())
    method = trained_method(registry.load_method("toy-good"), target.job, None, Store(world.results), cpu)
    loaded = load_case(target.case, cpu)
    scores = predict_case(method, loaded, target.job.options, 0, BatchBackoff(8), StageTimer(cpu))
    found, slices = _map(method, loaded, target, BatchBackoff(8))
    assert torch.equal(found, scores.maps["raw"])
    assert {item.index: item.score for item in scores.slices}.items() <= slices.items()


def test_a_healthy_case_has_no_outline_and_shows_high_scores(ask, world, run, tmp_path):
    plan = run("toy-good", preset="nightly").plans[0]
    cells = [cell for job in plan.jobs for cell in job.evaluations if cell.identity.cohort == "toy-healthy"]
    found = explain(ask(cohort="toy-healthy", case=cells[0].cases[0].id), tmp_path)
    assert {level["why"] for level in found.numbers["shown"]} == {"high score"}
    assert "inside_lesion" not in found.numbers["map"]
    pixels = np.array(Image.open(next(path for path in found.files if path.name == "sheet.png")))
    from cerebench.explain.pictures import LESION

    assert not (pixels == LESION).all(-1).any()


def test_the_command_prints_files_or_json(ask, tested, world, tmp_path, capsys):
    from cerebench.cli.main import main

    words = ["explain", "toy-good", "--cohort", "toy-lesion", "--case", tested[0], "--out", str(tmp_path / "o")]
    words += ["--results", str(world.results), "--data-root", str(world.data), "--cards", str(world.cards)]
    words += ["--protocol", "toy-transfer", "--preset", "nightly", "--device", "cpu"]
    for more in ([], ["--force", "--json"]):
        with pytest.raises(SystemExit) as ended:
            main([*words, *more])
        assert not ended.value.code
    text, _, rest = capsys.readouterr().out.partition("{")
    assert [line.rpartition("/")[2] for line in text.split()] == ["sheet.png", "slice-scores.png", "numbers.json"]
    assert json.loads("{" + rest)["numbers"]["case"] == tested[0]


def test_a_case_without_reference_claims_nothing_about_lesions(ask, tested, world, tmp_path):
    from dataclasses import replace

    from cerebench.explain.numbers import numbers
    from cerebench.explain.predict import explain_case
    from cerebench.explain.target import find_target
    from cerebench.loop.models import trained_method
    from cerebench.plugins.registry import Registry
    from cerebench.request import Quiet

    explain(ask(case=tested[0]), tmp_path)
    question = ask(case=tested[0])
    registry = Registry.discover(list(question.cards))
    target = find_target(question, registry, Quiet())
    store = Store(world.results)
    copy = tmp_path / "unlabelled"
    copy.mkdir()
    for path in prepared(target.case).folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    meta = json.loads((copy / "meta.json").read_text())
    (copy / "meta.json").write_text(json.dumps({**meta, "labels": "none"}))
    target = replace(target, case=replace(target.case, folder=str(copy)))
    method = trained_method(registry.load_method("toy-good"), target.job, None, store, torch.device("cpu"))
    found = numbers(explain_case(method, target, store, torch.device("cpu")), target, store)
    assert set(found["map"]) == {"brain"}
    assert found["slices"]
    assert {each["lesion"] for each in found["slices"]} == {None}
    assert "voxel/raw/ap" not in found["metrics"]
