"""Compiled counting loops. Plain loops without numba's threading layer, which would not survive a fork."""

from __future__ import annotations

import numpy as np
from numba import njit

from cerebench.scoring.codes import CODE_BITS, DROPPED_BITS, INFINITE_BITS, PAGE_BITS, ZERO_CODE

# Compiled code is cached by the text of this file alone: whoever changes the codes has to change this line too.
if (CODE_BITS, PAGE_BITS) != (22, 13):
    raise ImportError("the kernels were written for other score codes: correct the line above")


@njit(nogil=True, cache=True)
def count_float32(bits, labels, table, pages):  # type: ignore[no-untyped-def]
    """Add (code, label) counts of float32 bit patterns to ``table[2 * code + label]`` and mark their pages.

    Returns a flag word: bit 0 set for a non-finite score, bit 1 for a label above 1.
    """
    seen_labels = np.uint8(0)
    not_finite = False
    for i in range(bits.size):
        pattern = bits[i]
        magnitude = pattern & np.int32(0x7FFFFFFF)
        not_finite |= magnitude >= INFINITE_BITS
        signed = -magnitude if pattern < 0 else magnitude
        seen_labels |= labels[i]
        code = (signed >> DROPPED_BITS) + ZERO_CODE
        pages[code >> PAGE_BITS] = 1
        table[code * 2 + (labels[i] & np.uint8(1))] += np.uint32(1)
    return (1 if not_finite else 0) | (2 if seen_labels > 1 else 0)


@njit(nogil=True, cache=True)
def count_float32_masked(bits, labels, ignore, table, pages):  # type: ignore[no-untyped-def]
    """As :func:`count_float32`, leaving out what ``ignore`` marks."""
    seen_labels = np.uint8(0)
    not_finite = False
    for i in range(bits.size):
        if ignore[i]:
            continue
        pattern = bits[i]
        magnitude = pattern & np.int32(0x7FFFFFFF)
        not_finite |= magnitude >= INFINITE_BITS
        signed = -magnitude if pattern < 0 else magnitude
        seen_labels |= labels[i]
        code = (signed >> DROPPED_BITS) + ZERO_CODE
        pages[code >> PAGE_BITS] = 1
        table[code * 2 + (labels[i] & np.uint8(1))] += np.uint32(1)
    return (1 if not_finite else 0) | (2 if seen_labels > 1 else 0)


@njit(nogil=True, cache=True)
def occupied(tables, pages):  # type: ignore[no-untyped-def]
    """Number of codes with a count in any of the tables; only ``pages`` (ascending) are looked at."""
    found = 0
    for page in pages:
        for code in range(page << PAGE_BITS, (page + 1) << PAGE_BITS):
            total = np.uint32(0)
            for table in range(tables.shape[0]):
                total |= tables[table, 2 * code] | tables[table, 2 * code + 1]
            if total:
                found += 1
    return found


@njit(nogil=True, cache=True)
def gather(tables, pages, codes, negatives, positives):  # type: ignore[no-untyped-def]
    """Write the occupied codes of the pages in ascending order with their counts summed over the tables."""
    at = 0
    for page in pages:
        for code in range(page << PAGE_BITS, (page + 1) << PAGE_BITS):
            negative = np.int64(0)
            positive = np.int64(0)
            for table in range(tables.shape[0]):
                negative += np.int64(tables[table, 2 * code])
                positive += np.int64(tables[table, 2 * code + 1])
            if negative or positive:
                codes[at] = code
                negatives[at] = negative
                positives[at] = positive
                at += 1
