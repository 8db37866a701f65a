"""Bad input: one sentence names the file, what was found, what was expected and what to do; all else goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import cerebench
from cerebench.boards import leaderboard_rows
from cerebench.cli.main import main
from cerebench.errors import UsageError


def rewrite(path: Path, change: Callable[[np.ndarray], np.ndarray], shift: float = 0.0) -> None:
    """Write a file again with other voxels, or elsewhere in space."""
    image = nib.load(path)
    affine = image.affine.copy()
    affine[0, 3] += shift
    array = change(np.asarray(image.dataobj)).astype(image.get_data_dtype())
    nib.save(nib.Nifti1Image(array, affine), path)


def with_value(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        array[9:11, 11, 10] = value
        return array

    return change


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-400])


@dataclass(frozen=True)
class Fault:
    """What is done to a file, the words that the sentence must hold beside its name, and the columns that it costs.

    ``everywhere`` plants it in every patient of the cohort, so that whoever is tested has it; what is missing is seen
    wherever it is.
    """

    file: str
    plant: Callable[[Path], object]
    words: tuple[str, ...]
    columns: tuple[str, ...] = ("t1",)
    everywhere: bool = True


FAULTS = {
    "truncated": Fault("p00_t1.nii.gz", truncate, ("found a truncated gzip file", "expected a whole", "copy it again")),
    "text": Fault(
        "p00_t1.nii.gz",
        lambda path: path.write_text("<html>404</html>"),
        ("found a damaged file or none of NIfTI", "download or copy it again"),
    ),
    "no-bytes": Fault(
        "p00_t1.nii.gz", lambda path: path.write_bytes(b""), ("found a damaged file or none of NIfTI", "copy it again")
    ),
    "nan": Fault(
        "p00_t1.nii.gz",
        lambda path: rewrite(path, with_value(np.nan)),
        ("found 2 NaN or infinite voxels", "expected finite numbers", "or leave the case out"),
    ),
    "infinite": Fault(
        "p00_t1.nii.gz",
        lambda path: rewrite(path, with_value(-np.inf)),
        ("found 2 NaN or infinite voxels", "expected finite numbers", "or leave the case out"),
    ),
    "four-d": Fault(
        "p00_t1.nii.gz",
        lambda path: rewrite(path, lambda array: np.stack([array] * 3, axis=-1)),
        ("found a 4D image (shape 20x24x20x3)", "expected 3D", "extract the volume"),
    ),
    "two-d": Fault(
        "p00_t1.nii.gz",
        lambda path: rewrite(path, lambda array: array[:, :, 10]),
        ("found a 2D image (shape 20x24", "expected 3D", "extract the volume"),
    ),
    "no-voxels": Fault(
        "p00_t1.nii.gz",
        lambda path: rewrite(path, lambda array: array[:0]),
        ("found a volume without voxels (shape 0x24x20)", "replace the file"),
    ),
    "constant": Fault(
        "p00_t1.nii.gz",
        lambda path: rewrite(path, lambda array: np.full_like(array, 5)),
        ("found the same value 5 in every voxel", "expected an image", "replace it or leave the case out"),
    ),
    "other-shape": Fault(
        "p00_mask.nii.gz",
        lambda path: rewrite(path, lambda array: array[1:]),
        ("found a mask of 19x24x20", "expected the grid of", "(20x24x20", "resample the mask"),
        ("t1", "t2"),
    ),
    "moved": Fault(
        "p00_mask.nii.gz",
        lambda path: rewrite(path, lambda array: array, shift=4.0),
        ("origin (4.0, 0.0, 0.0)", "expected the grid of", "origin (0.0, 0.0, 0.0)", "resample the mask"),
        ("t1", "t2"),
    ),
    "label": Fault(
        "p00_mask.nii.gz",
        lambda path: rewrite(path, with_value(7)),
        ("found label value 7", "expected one of 0, 1", "correct the mask or the card's label map"),
        ("t1", "t2"),
    ),
    "no-mask": Fault(
        "p00_mask.nii.gz",
        Path.unlink,
        ("lesion mask missing", "expected p00_mask.nii.gz in", "not read as healthy", "mend the files or name"),
        ("t1", "t2"),
        everywhere=False,
    ),
    "no-t2": Fault(
        "p00_t2.nii.gz",
        Path.unlink,
        ("modality t2 missing", "expected p00_t2.nii.gz in", "mend the files or name the cases under `exclude`"),
        ("t2",),
        everywhere=False,
    ),
}
PATIENTS = ("p00", "p01", "p02", "p03")  # one for each role, and one to lose


def add_cohort(world, name: str) -> Path:
    """Another cohort of patients like the one of the test world, with a card of its own."""
    folder = world.data / name
    folder.mkdir()
    for path in sorted((world.data / "toy-lesion").glob("p*.nii.gz")):
        if path.name.startswith(PATIENTS):
            shutil.copy(path, folder / path.name)
    card = (world.cards / "toy-lesion.yaml").read_text()
    (world.cards / f"{name}.yaml").write_text(card.replace("name: toy-lesion", f"name: {name}"))
    return folder


def outcome(world) -> dict[tuple[str, str], tuple[str, str, float | None]]:
    """(cohort, modality) → status, reason and value of the pooled AP on raw maps."""
    return {
        (row["cohort"], row["modality"]): (row["status"], row["reason"], row["value"])
        for row in leaderboard_rows(world.results)
        if row["metric"] == "ap" and row["level"] == "voxel" and row["post"] == "raw"
    }


def complaint(fault: Fault, folder: Path, found: tuple[str, str, float | None]) -> str:
    """What is wrong with the answer to a fault; empty if nothing is."""
    status, reason, value = found
    files = [str(folder / fault.file.replace("p00", patient)) for patient in PATIENTS]
    named = any(file in reason for file in files) if fault.everywhere else str(folder) in reason
    lacking = [word for word in fault.words if word not in reason]
    sentences = reason.count(". ") + reason.count("\n") + 1
    good = status == "failed" and value is None and named and not lacking and sentences == 1
    return "" if good else f"{status}, file named: {named}, lacks {lacking}: {reason!r}"


def test_every_fault_of_a_file_costs_its_own_columns_and_says_so_in_one_sentence(run, world):
    folders = {name: add_cohort(world, f"toy-{name}") for name in FAULTS}
    for name, fault in FAULTS.items():
        for patient in PATIENTS if fault.everywhere else PATIENTS[:1]:
            fault.plant(folders[name] / fault.file.replace("p00", patient))
    result = run("toy-good")
    assert result.exit_code == 1
    table = outcome(world)
    wrong = {}
    for name, fault in FAULTS.items():
        for modality in ("t1", "t2"):
            found = table[f"toy-{name}", modality]
            if modality not in fault.columns:
                assert found[0] == "ok", (name, modality, found)
                assert found[2] is not None
            elif text := complaint(fault, folders[name], found):
                wrong[name, modality] = text
    assert not wrong
    assert all(table["toy-lesion", modality][0] == "ok" for modality in ("t1", "t2"))
    # the summary of the run says the same: a sentence for each failed column, none for another
    failed = {f"toy-good on toy-{name} {modality}" for name, fault in FAULTS.items() for modality in fault.columns}
    assert {cell for cell, _ in result.problems} == failed


def test_a_cohort_without_files_or_without_a_modality_is_told_and_the_rest_goes_on(run, world):
    shutil.rmtree(add_cohort(world, "toy-hollow"))
    (world.data / "toy-hollow").mkdir()
    shutil.rmtree(add_cohort(world, "toy-away"))
    for path in add_cohort(world, "toy-no-t2").glob("*_t2.nii.gz"):
        path.unlink()
    unknown = add_cohort(world, "toy-unknown")
    for path in unknown.iterdir():
        path.rename(path.with_name(path.name.replace("_t1", "-T1w").replace("_t2", "-T2w").replace("_mask", "-seg")))
    run("toy-good")
    table = outcome(world)
    told = {
        ("toy-hollow", "t1"): (str(world.data / "toy-hollow"), "is empty", "expects files such as {patient}_t1.nii.gz"),
        ("toy-away", "t1"): ("no folder of cohort 'toy-away'", str(world.data)),
        ("toy-no-t2", "t2"): ("t2",),
        ("toy-unknown", "t1"): (str(unknown), "fits no layout", "p00-T1w.nii.gz", "{patient}_t1.nii.gz"),
    }
    for column, words in told.items():
        status, reason, value = table[column]
        assert value is None
        assert status in ("skipped", "failed")
        assert all(word in reason for word in words), reason
    for column in (("toy-lesion", "t1"), ("toy-lesion", "t2"), ("toy-no-t2", "t1")):
        assert table[column][0] == "ok", table[column]


def test_a_fault_planted_later_loses_nothing_that_was_finished(run, world):
    folder = add_cohort(world, "toy-later")
    assert run("toy-good").exit_code == 0
    before = {path: path.read_bytes() for path in world.results.rglob("cases.parquet")}
    values = outcome(world)
    kept = {path: path.read_bytes() for path in sorted(folder.glob("*_t1.nii.gz"))}
    for path in kept:
        truncate(path)
    broken = run("toy-good")
    assert (broken.exit_code, broken.evaluated) == (1, 0)
    now = outcome(world)
    assert now["toy-later", "t1"][0] == "failed"
    assert "truncated" in now["toy-later", "t1"][1]
    assert {key: value for key, value in now.items() if key != ("toy-later", "t1")} == {
        key: value for key, value in values.items() if key != ("toy-later", "t1")
    }
    for path, content in kept.items():
        path.write_bytes(content)
    mended = run("toy-good")
    assert (mended.exit_code, mended.evaluated) == (0, 0)
    assert outcome(world) == values
    assert {path: path.read_bytes() for path in world.results.rglob("cases.parquet")} == before


class Warnings:
    """A display that keeps the warnings."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def warn(self, text: str) -> None:
        self.lines.append(text)

    def phase(self, done: int, total: int, text: str) -> None:
        pass

    def planned(self, plan: object, jobs: object, kept: int) -> None:
        pass

    def event(self, job: object, event: object) -> None:
        pass


CARDS = {
    "healthy: perhaps": ("healthy", "perhaps"),
    "healthy: false\nexclud: []": ("exclud", "did you mean 'exclude'?"),
    "healthy: [": ("not valid YAML",),
}


@pytest.mark.parametrize("line", sorted(CARDS))
def test_a_malformed_card_names_file_line_and_field(world, capsys, line):
    add_cohort(world, "toy-card")
    path = world.cards / "toy-card.yaml"
    text = path.read_text()
    number = text.splitlines().index("healthy: false") + 1
    path.write_text(text.replace("healthy: false", line))
    words = ["run", "--methods", "toy-good", "--cohorts", "toy-card", "--protocols", "toy-transfer", "--in-process"]
    words += ["--data-root", str(world.data), "--cards", str(world.cards), "--results", str(world.results)]
    with pytest.raises(SystemExit) as ended:
        main(words)
    error = capsys.readouterr().err.strip().splitlines()
    assert ended.value.code == 2
    assert len(error) == 1, error
    assert error[0].startswith("Error: ")
    assert str(path) in error[0]
    assert any(f", line {number + offset}" in error[0] for offset in range(3)), error[0]  # or where the reader gave up
    assert all(word in error[0] for word in CARDS[line]), error[0]


def test_a_malformed_card_among_others_is_a_warning_and_the_others_run(world):
    add_cohort(world, "toy-card")
    path = world.cards / "toy-card.yaml"
    path.write_text(path.read_text().replace("healthy: false", "healthy: perhaps"))
    display = Warnings()
    result = cerebench.run("toy-good", "toy-*", **world.options(in_process=True, dry_run=True, display=display))
    (line,) = (text for text in display.lines if "toy-card" in text)
    assert f"{path}, line" in line
    assert "healthy" in line
    cohorts = {cell.identity.cohort for job in result.plans[0].jobs for cell in job.evaluations}
    assert cohorts == {"toy-healthy", "toy-lesion"}


PROTOCOLS = {
    "spacing_mm: 8": ("spacing_mm: eight", "presets.quick.spacing_mm", "eight"),
    "  adapt: true": ("  adpat: true", "train.adpat", "did you mean 'adapt'?"),
    "healthy: {train: 0.5": ("healthy: {train: 0.9", "splits", "add up to 1.4, expected 1"),
}


@pytest.mark.parametrize("old", sorted(PROTOCOLS))
def test_a_malformed_protocol_names_file_line_and_field(world, tmp_path, monkeypatch, old):
    new, field, words = PROTOCOLS[old]
    good = Path(__file__).parent / "world" / "cerebench_toy_world" / "protocols" / "toy-transfer.yaml"
    package = tmp_path / "more" / f"cerebench_toy_protocol_{sorted(PROTOCOLS).index(old)}"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""A plugin."""\n')
    (package / "cerebench.yaml").write_text("schema: 1\napi: 1\nprotocols:\n  - {file: bad.yaml}\n")
    (package / "plugin.py").write_text(
        "from pathlib import Path\nfrom cerebench.api import hookimpl\n\n\n@hookimpl\n"
        "def bench_register_protocols(register):\n    register(Path(__file__).parent / 'bad.yaml')\n"
    )
    text = good.read_text().replace("name: toy-transfer", "name: toy-bad")
    (package / "bad.yaml").write_text(text.replace(old, new, 1))
    record = package.with_name(f"{package.name}-1.0.dist-info")
    record.mkdir()
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package.name}\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text(f"[cerebench]\nbad = {package.name}.plugin\n")
    monkeypatch.syspath_prepend(str(tmp_path / "more"))
    monkeypatch.setenv("CEREBENCH_PLUGINS", "*")
    with pytest.raises(UsageError) as raised:
        cerebench.run("toy-good", "toy-*", **world.options(in_process=True, protocols="toy-bad"))
    sentence = str(raised.value)
    line = next(number for number, row in enumerate(text.replace(old, new, 1).splitlines(), 1) if new.strip() in row)
    assert sentence.startswith(f"{package / 'bad.yaml'}, line {line if field != 'splits' else line - 1}, {field}: ")
    assert words in sentence
