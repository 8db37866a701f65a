from __future__ import annotations

import dataclasses
import json
import pickle
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cerebench.contract.data import ReadPolicy
from cerebench.errors import DataError
from cerebench.prepare import cache as module
from cerebench.prepare import steps as steps_module
from cerebench.prepare.arrays import map_array, save_array
from cerebench.prepare.cache import Prepared, Preparer
from cerebench.prepare.spec import PrepareSpec

Make = Callable[..., Any]
T1 = ("t1",)


@pytest.fixture
def preparer(tmp_path: Path, spec: PrepareSpec) -> Preparer:
    return Preparer(tmp_path / "cache", spec)


@pytest.fixture
def no_decoding(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def forbid() -> None:
        def fail(*_: object) -> None:
            raise AssertionError("decoded again")

        monkeypatch.setattr(steps_module, "run_steps", fail)
        monkeypatch.setattr(steps_module, "read_image", fail)

    return forbid


def test_entry_holds_what_the_steps_gave(preparer: Preparer, phantom: Make, stripped: ReadPolicy) -> None:
    _, case = phantom()
    found = preparer.prepare(case, T1, stripped)
    steps = steps_module.run_steps(case, T1, stripped, preparer.spec)
    np.testing.assert_array_equal(found.image(), steps.image)
    np.testing.assert_array_equal(found.brain(), steps.brain)
    np.testing.assert_array_equal(found.labels(), steps.labels)
    assert (found.image().dtype, found.brain().dtype, found.labels().dtype) == (np.float32, bool, np.uint8)  # type: ignore[union-attr]
    assert {**steps.meta, "files": found.meta["files"]} == found.meta
    assert found.modalities == T1
    assert found.spacing == (4.0, 4.0, 4.0)
    assert found.folder == preparer.cache_root / "prepared" / found.key[:2] / found.key
    assert not list((preparer.cache_root / "drafts").iterdir())


def test_second_call_decodes_nothing(
    preparer: Preparer, phantom: Make, stripped: ReadPolicy, no_decoding: Callable[[], None]
) -> None:
    _, case = phantom()
    assert preparer.get(case, T1, stripped) is None
    first = preparer.prepare(case, T1, stripped)
    no_decoding()
    again = Preparer(preparer.cache_root, preparer.spec)
    for found in (again.prepare(case, T1, stripped), again.get(case, T1, stripped)):
        assert found is not None
        assert found.key == first.key
        np.testing.assert_array_equal(found.image(), first.image())


def test_a_hit_imports_neither_nibabel_nor_scipy_nor_torch(
    preparer: Preparer, phantom: Make, stripped: ReadPolicy, tmp_path: Path
) -> None:
    _, case = phantom()
    preparer.prepare(case, T1, stripped)
    (tmp_path / "what.pickle").write_bytes(pickle.dumps((preparer, case, stripped)))
    script = (
        "import pickle, sys, pathlib\n"
        "preparer, case, policy = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "found = preparer.prepare(case, ('t1',), policy)\n"
        "assert found.image().max() > 0\n"
        "heavy = {'nibabel', 'scipy', 'torch', 'monai', 'pandas'} & {name.split('.')[0] for name in sys.modules}\n"
        "assert not heavy, heavy\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "what.pickle")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_key_follows_content_not_names(preparer: Preparer, phantom: Make, stripped: ReadPolicy, tmp_path: Path) -> None:
    _, case = phantom()
    key = preparer.key(case, T1, stripped)
    shutil.copytree(tmp_path / "data" / "case", tmp_path / "elsewhere")
    moved = dataclasses.replace(
        case,
        id="other",
        images={"t1": tmp_path / "elsewhere" / "t1.nii.gz"},
        mask=tmp_path / "elsewhere" / "mask.nii.gz",
    )
    assert preparer.key(moved, T1, stripped) == key


def test_key_follows_everything_that_changes_the_arrays(
    preparer: Preparer, phantom: Make, stripped: ReadPolicy
) -> None:
    _, case = phantom()
    _, other = phantom(folder="other", radius=30.0, lesion_radius=7.0, brain_mask=True)
    two = dataclasses.replace(case, images={**case.images, "t2": other.images["t1"]})
    keys = [
        preparer.key(case, T1, stripped),
        preparer.key(other, T1, stripped),
        preparer.key(dataclasses.replace(case, mask=other.mask), T1, stripped),
        preparer.key(dataclasses.replace(case, mask=None), T1, stripped),
        preparer.key(dataclasses.replace(case, mask=None, healthy=True), T1, stripped),
        preparer.key(dataclasses.replace(case, brain_mask=other.brain_mask), T1, stripped),
        preparer.key(two, ("t1", "t2"), stripped),
        preparer.key(two, ("t2", "t1"), stripped),
        preparer.key(dataclasses.replace(two, mask_modality="t2"), ("t1", "t2"), stripped),
        preparer.key(case, T1, dataclasses.replace(stripped, skull_stripped=False)),
        preparer.key(case, T1, dataclasses.replace(stripped, resample_mask=True)),
        preparer.key(case, T1, dataclasses.replace(stripped, labels={1: "ignore"})),
        Preparer(preparer.cache_root, PrepareSpec(spacing_mm=3.0)).key(case, T1, stripped),
    ]
    assert len(set(keys)) == len(keys)
    # Erosion belongs to scoring: the arrays stay.
    assert preparer.key(case, T1, dataclasses.replace(stripped, erosion_mm=3.0)) == keys[0]


def test_a_changed_file_is_prepared_again(
    preparer: Preparer, phantom: Make, stripped: ReadPolicy, write: Callable[..., Path]
) -> None:
    made, case = phantom()
    before = preparer.prepare(case, T1, stripped)
    write(case.images["t1"], np.sqrt(made.image), made.affine)
    after = Preparer(preparer.cache_root, preparer.spec).prepare(case, T1, stripped)
    assert after.key != before.key
    assert not np.array_equal(after.image(), before.image())


@pytest.mark.parametrize("damage", ["meta gone", "meta torn", "meta foreign", "array gone", "array torn"])
def test_a_damaged_entry_is_made_again(preparer: Preparer, phantom: Make, stripped: ReadPolicy, damage: str) -> None:
    _, case = phantom()
    first = preparer.prepare(case, T1, stripped)
    expected = np.array(first.image())
    meta, image = first.folder / "meta.json", first.folder / "image.npy"
    if damage == "meta gone":
        meta.unlink()
    elif damage == "meta torn":
        meta.write_bytes(meta.read_bytes()[:50])
    elif damage == "meta foreign":
        meta.write_text("[1, 2]")
    elif damage == "array gone":
        image.unlink()
    else:
        image.write_bytes(image.read_bytes()[:1000])
    assert preparer.get(case, T1, stripped) is None
    again = preparer.prepare(case, T1, stripped)
    assert again.key == first.key
    np.testing.assert_array_equal(again.image(), expected)
    assert preparer.get(case, T1, stripped) is not None


def test_a_fault_while_writing_leaves_nothing(
    preparer: Preparer, phantom: Make, stripped: ReadPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, case = phantom()

    def full(path: Path, array: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "save_array", full)
        with pytest.raises(DataError, match=r"cache cannot be written \(No space left on device\)"):
            preparer.prepare(case, T1, stripped)
    assert preparer.get(case, T1, stripped) is None
    assert not list((preparer.cache_root / "drafts").iterdir())
    assert preparer.prepare(case, T1, stripped).image().max() > 0


def test_many_at_once_make_one_entry(preparer: Preparer, phantom: Make, stripped: ReadPolicy) -> None:
    _, case = phantom()
    found: list[Prepared] = []
    gate = threading.Barrier(6)

    def work() -> None:
        mine = Preparer(preparer.cache_root, preparer.spec)
        gate.wait()
        found.append(mine.prepare(case, T1, stripped))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len({entry.key for entry in found}) == 1
    assert all(entry.image().max() > 0 for entry in found)
    assert len(list((preparer.cache_root / "prepared").glob("*/*"))) == 1
    assert not list((preparer.cache_root / "drafts").iterdir())


def test_missing_files_are_named(preparer: Preparer, phantom: Make, stripped: ReadPolicy) -> None:
    _, case = phantom()
    assert case.mask is not None
    with pytest.raises(DataError, match="modality t2 is missing"):
        preparer.get(case, ("t2",), stripped)
    case.mask.unlink()
    with pytest.raises(DataError, match=r"mask\.nii\.gz: the file is missing"):
        preparer.prepare(case, T1, stripped)


@pytest.mark.parametrize(("healthy", "expected"), [(True, 0), (False, None)])
def test_labels_without_a_mask_file(
    preparer: Preparer, phantom: Make, stripped: ReadPolicy, healthy: bool, expected: int | None
) -> None:
    _, case = phantom()
    labels = preparer.prepare(dataclasses.replace(case, mask=None, healthy=healthy), T1, stripped).labels()
    if expected is None:
        assert labels is None
    else:
        assert labels is not None
        assert labels.shape == preparer.spec.shape
        assert not labels.any()


def test_prepared_can_be_reopened_and_sent(preparer: Preparer, phantom: Make, stripped: ReadPolicy) -> None:
    _, case = phantom()
    first = preparer.prepare(case, T1, stripped)
    for again in (Prepared(first.key, first.folder), pickle.loads(pickle.dumps(first))):  # noqa: S301
        assert again.meta == json.loads(json.dumps(first.meta))
        np.testing.assert_array_equal(again.brain(), first.brain())


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 3, 4, 5), (1, 1, 1)])
@pytest.mark.parametrize("kind", [np.float32, bool, np.uint8])
def test_arrays_return_as_written_and_are_plain_npy(tmp_path: Path, shape: tuple[int, ...], kind: type) -> None:
    array = (np.random.default_rng(0).random(shape) * 3).astype(kind)
    save_array(tmp_path / "a.npy", array)
    found = map_array(tmp_path / "a.npy")
    np.testing.assert_array_equal(found, array)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy", allow_pickle=False), array)
    assert found[..., -1].flags.f_contiguous


def test_writing_into_an_array_never_reaches_the_file(tmp_path: Path) -> None:
    save_array(tmp_path / "a.npy", np.ones((4, 4, 4), np.float32))
    found = map_array(tmp_path / "a.npy")
    found[:] = 7
    assert (map_array(tmp_path / "a.npy") == 1).all()


def test_arrays_of_objects_and_torn_files_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="objects"):
        map_array(tmp_path / "a.npy")
    (tmp_path / "b.npy").write_bytes(b"no array")
    with pytest.raises(ValueError):
        map_array(tmp_path / "b.npy")
    save_array(tmp_path / "c.npy", np.ones((4, 4, 4), np.float32))
    (tmp_path / "c.npy").write_bytes((tmp_path / "c.npy").read_bytes()[:-4])
    with pytest.raises(ValueError):
        map_array(tmp_path / "c.npy")
