"""Counting voxels by (score code, label): NumPy arrays and CPU tensors in threads, CUDA tensors on their device."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cerebench.scoring.codes import DROPPED_BITS, FLOAT32_MAX, INFINITE_BITS, N_CODES, N_PAGES, ZERO_CODE, encode

Array = npt.NDArray[Any]

MAX_THREADS = 2
"""A thread's table takes 32 MiB of addresses, and of memory only the pages that its scores touch."""
VOXELS_WORTH_A_THREAD = 1 << 18
CONVERTED_AT_ONCE = 1 << 18
COPIED_AT_ONCE = 1 << 20
FEW_VOXELS = 1 << 15
CUDA_AT_ONCE = 1 << 24
PIECE_LIMIT = 1 << 31
"""Tables count in 32 bits, so that no table may see more voxels than this between two gatherings."""

NOT_FINITE, BAD_LABEL = 1, 2


class CodeCounts(NamedTuple):
    """Occupied codes, ascending, with the number of negative and positive voxels of each."""

    codes: npt.NDArray[np.uint32]
    negatives: npt.NDArray[np.int64]
    positives: npt.NDArray[np.int64]


def empty_counts() -> CodeCounts:
    """Counts of nothing."""
    return CodeCounts(np.empty(0, np.uint32), np.empty(0, np.int64), np.empty(0, np.int64))


def add_counts(parts: list[CodeCounts]) -> CodeCounts:
    """Sum of counts; for more than two parts through a dense table of the codes' range."""
    parts = [part for part in parts if part.codes.size]
    if len(parts) <= 1:
        return parts[0] if parts else empty_counts()
    if len(parts) == 2:
        codes, index = np.unique(np.concatenate([part.codes for part in parts]), return_inverse=True)
        sums = np.zeros((2, codes.size), np.int64)
        at = 0
        for part in parts:
            # codes of one part are unique, so plain indexed addition loses nothing
            where = index[at : at + part.codes.size]
            sums[0, where] += part.negatives
            sums[1, where] += part.positives
            at += part.codes.size
        return CodeCounts(codes, sums[0], sums[1])
    lowest = min(int(part.codes[0]) for part in parts)
    highest = max(int(part.codes[-1]) for part in parts)
    table = np.zeros((2, highest - lowest + 1), np.int64)
    for part in parts:
        table[0, part.codes - lowest] += part.negatives
        table[1, part.codes - lowest] += part.positives
    where = np.flatnonzero(table[0] | table[1])
    return CodeCounts((where + lowest).astype(np.uint32), table[0, where], table[1, where])


def count(scores: Any, labels: Any, ignore: Any = None) -> CodeCounts:
    """Count the voxels of a map.

    Args:
        scores: any shape, real and finite where not ignored; array, tensor, or nested sequence.
        labels: same shape; bool, or numbers that are 0 or 1 where not ignored.
        ignore: same shape, bool; True leaves a voxel out, whatever its score and label.

    Raises:
        ValueError: shapes differ, a score is not finite, or a label is neither 0 nor 1.
    """
    shapes = {name: tuple(np.shape(value)) for name, value in (("scores", scores), ("labels", labels))}
    if ignore is not None:
        shapes["ignore"] = tuple(np.shape(ignore))
    if len(set(shapes.values())) > 1:
        raise ValueError(f"shapes differ: {', '.join(f'{name} {shape}' for name, shape in shapes.items())}")
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(scores, torch.Tensor) and scores.device.type == "cuda":
        return count_on_device(scores, labels, ignore)
    arrays = [_as_array(scores), _as_array(labels)] + ([] if ignore is None else [_as_array(ignore)])
    if arrays[0].dtype.kind not in "fiub":
        raise ValueError(f"scores are {arrays[0].dtype}: expected real numbers")
    if arrays[1].dtype.kind not in "fiub":
        raise ValueError(f"labels are {arrays[1].dtype}: expected 0/1 or bool")
    if ignore is not None and arrays[2].dtype.kind != "b":
        raise ValueError(f"ignore is {arrays[2].dtype}: expected bool (True = left out)")
    if arrays[0].size <= FEW_VOXELS:
        return _count_few(arrays)
    return _count_many(arrays)


def _as_array(value: Any) -> Array:
    """NumPy view of a tensor or array; bfloat16, which NumPy lacks, is widened."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        value = value.detach()
        if value.dtype == torch.bfloat16:
            value = value.float()
        return value.cpu().numpy()  # type: ignore[no-any-return]
    return np.asarray(value)


def _contiguous_pieces(arrays: list[Array]) -> Iterator[list[Array]]:
    """Flat contiguous pieces of arrays of one shape; what is not contiguous is copied slab by slab."""
    if all(array.flags.f_contiguous for array in arrays):
        arrays = [array.T for array in arrays]
    if arrays[0].size <= COPIED_AT_ONCE or all(array.flags.c_contiguous for array in arrays):
        flat = [np.ascontiguousarray(array).reshape(-1) for array in arrays]
        for begin in range(0, flat[0].size, PIECE_LIMIT):
            yield [array[begin : begin + PIECE_LIMIT] for array in flat]
        return
    if arrays[0].ndim == 1:
        for begin in range(0, arrays[0].size, COPIED_AT_ONCE):
            yield from _contiguous_pieces([array[begin : begin + COPIED_AT_ONCE] for array in arrays])
        return
    for index in range(arrays[0].shape[0]):
        yield from _contiguous_pieces([array[index] for array in arrays])


def _count_few(arrays: list[Array]) -> CodeCounts:
    """Sorting beats a table for slices and lesion crops."""
    flat = [array.reshape(-1) for array in arrays]
    keep = ~flat[2] if len(flat) > 2 else slice(None)
    scores, labels, flags = _convert(flat[0][keep], flat[1][keep])
    if not np.isfinite(scores).all():
        flags |= NOT_FINITE
    if labels.dtype == np.uint8 and (labels > 1).any():
        flags |= BAD_LABEL
    _refuse(flags)
    pairs, totals = np.unique(encode(scores).astype(np.int64) * 2 + labels, return_counts=True)
    codes, index = np.unique(pairs >> 1, return_inverse=True)
    counts = np.zeros((2, codes.size), np.int64)
    counts[pairs & 1, index] = totals
    return CodeCounts(codes.astype(np.uint32), counts[0], counts[1])


def _count_many(arrays: list[Array]) -> CodeCounts:
    """Counting in tables, one a thread, gathered before any could overflow."""
    threads = max(1, min(MAX_THREADS, usable_cpus(), arrays[0].size // VOXELS_WORTH_A_THREAD))
    tables, pages = np.zeros((threads, 2 * N_CODES), np.uint32), np.zeros((threads, N_PAGES), np.uint8)
    found, seen, flags = [], 0, 0
    # threads of this call only: nothing is left behind that a fork could break
    with ThreadPoolExecutor(threads) as pool:
        for piece in _contiguous_pieces(arrays):
            if seen and seen + piece[0].size > PIECE_LIMIT:
                found.append(_gather(tables, pages))
                tables, pages = np.zeros_like(tables), np.zeros_like(pages)
                seen = 0
            step = -(-piece[0].size // threads)
            parts = [[array[k * step : (k + 1) * step] for array in piece] for k in range(threads)]
            for flag in pool.map(_count_thread, parts, tables, pages):
                flags |= flag
            seen += piece[0].size
    _refuse(flags)
    return add_counts([*found, _gather(tables, pages)])


def usable_cpus() -> int:
    """CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load_kernels() -> None:
    """Read the compiled loops from their cache (compile them, the first time), which takes a second: before a fork."""
    pages, table = np.zeros((1, N_PAGES), np.uint8), np.zeros((1, 2 * N_CODES), np.uint32)
    one: list[Array] = [np.zeros(1, np.float32), np.zeros(1, np.uint8)]
    _count_thread(one, table[0], pages[0])
    _count_thread([*one, np.zeros(1, np.bool_)], table[0], pages[0])
    _gather(table, pages)


def _gather(tables: npt.NDArray[np.uint32], pages: npt.NDArray[np.uint8]) -> CodeCounts:
    from cerebench.scoring import kernels

    used = np.flatnonzero(pages.any(axis=0))
    n_codes = kernels.occupied(tables, used)
    counts = CodeCounts(np.empty(n_codes, np.uint32), np.empty(n_codes, np.int64), np.empty(n_codes, np.int64))
    kernels.gather(tables, used, *counts)
    return counts


def _count_thread(part: list[Array], table: npt.NDArray[np.uint32], pages: npt.NDArray[np.uint8]) -> int:
    from cerebench.scoring import kernels

    direct = part[0].dtype == np.float32 and part[1].dtype in (np.bool_, np.uint8)
    step = max(part[0].size, 1) if direct else CONVERTED_AT_ONCE
    flags = 0
    for begin in range(0, part[0].size, step):
        scores, labels, *ignore = (array[begin : begin + step] for array in part)
        if not direct:
            keep = ~ignore[0] if ignore else slice(None)
            scores, labels, bad = _convert(scores[keep], labels[keep])
            flags |= bad
            ignore = []
        bits = scores.view(np.int32)
        if ignore:
            left_out = ignore[0].view(np.uint8)
            flags |= kernels.count_float32_masked(bits, labels.view(np.uint8), left_out, table, pages)
        else:
            flags |= kernels.count_float32(bits, labels.view(np.uint8), table, pages)
    return flags


def _convert(scores: Array, labels: Array) -> tuple[Array, Array, int]:
    """Scores as float32, labels as uint8, and what is wrong with them."""
    flags = 0
    if scores.dtype != np.float32:
        if scores.dtype.kind == "f" and scores.dtype.itemsize > 4:
            if not np.isfinite(scores).all():
                flags |= NOT_FINITE
            scores = np.clip(scores, -FLOAT32_MAX, FLOAT32_MAX)
        scores = scores.astype(np.float32)
    if labels.dtype not in (np.bool_, np.uint8):
        ones = labels == 1
        if not (ones | (labels == 0)).all():
            flags |= BAD_LABEL
        labels = ones
    return scores, labels, flags


def _refuse(flags: int) -> None:
    if flags & NOT_FINITE:
        raise ValueError("scores hold NaN or infinite values: expected finite numbers where not ignored")
    if flags & BAD_LABEL:
        raise ValueError("labels hold values other than 0 and 1: mark unlabelled voxels in `ignore`")


def count_on_device(scores: Any, labels: Any, ignore: Any = None) -> CodeCounts:
    """As :func:`count`, by torch on the device of ``scores``; only the occupied codes come back."""
    import torch

    device = scores.device
    flat = [torch.as_tensor(value, device=device).detach() for value in (scores, labels)]
    if flat[0].is_complex() or flat[1].is_complex():
        raise ValueError("scores and labels must be real numbers")
    if ignore is not None:
        flat.append(torch.as_tensor(ignore, device=device))
        if flat[2].dtype != torch.bool:
            raise ValueError(f"ignore is {flat[2].dtype}: expected bool (True = left out)")
    flat = [value.reshape(-1) for value in flat]
    table = torch.zeros(2 * N_CODES, dtype=torch.int64, device=device)
    flags = torch.zeros(2, dtype=torch.bool, device=device)
    for begin in range(0, flat[0].numel(), CUDA_AT_ONCE):
        values, truth, *left_out = (value[begin : begin + CUDA_AT_ONCE] for value in flat)
        if left_out:
            values, truth = values[~left_out[0]], truth[~left_out[0]]
        flags[0] |= ~torch.isfinite(values).all()
        flags[1] |= ~((truth == 0) | (truth == 1)).all()
        if values.dtype == torch.float64:
            values = values.clamp(-FLOAT32_MAX, FLOAT32_MAX)
        bits = values.float().contiguous().view(torch.int32)
        magnitude = (bits & 0x7FFFFFFF).clamp_(max=INFINITE_BITS)
        signed = torch.where(bits < 0, -magnitude, magnitude)
        index = ((signed >> DROPPED_BITS) + ZERO_CODE) * 2 + (truth == 1)
        table += torch.bincount(index, minlength=2 * N_CODES)
    not_finite, bad_label = flags.tolist()
    _refuse(NOT_FINITE * not_finite | BAD_LABEL * bad_label)
    pairs = table.view(N_CODES, 2)
    codes = pairs.any(dim=1).nonzero().view(-1)
    counts = pairs[codes].cpu().numpy()
    return CodeCounts(codes.cpu().numpy().astype(np.uint32), counts[:, 0].copy(), counts[:, 1].copy())
