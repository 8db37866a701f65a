"""Imported once by the server that workers are forked from: modules, compiled loops, no thread and no GPU context."""

from __future__ import annotations

import lightning_fabric  # noqa: F401
import monai  # noqa: F401
import numba  # noqa: F401
import pandas  # noqa: F401
import pyarrow.parquet  # noqa: F401
import scipy.ndimage  # noqa: F401
import sklearn.metrics  # noqa: F401
import torch  # noqa: F401

import cerebench.loop.evaluate
import cerebench.loop.stages  # noqa: F401
from cerebench.scoring.counting import load_kernels

load_kernels()
