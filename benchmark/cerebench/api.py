"""Everything a plugin author imports. Importing it brings no torch."""

from __future__ import annotations

from cerebench.cohorts.card import Card, Layout
from cerebench.contract.data import ANOMALY, IGNORE, NORMAL, Case, ReadPolicy
from cerebench.contract.diagnosis import DiagnoseContext, Diagnosis, Figure, Finding, Panels, Scatter
from cerebench.contract.info import API_VERSION, MethodInfo, Stage
from cerebench.contract.method import FitRun, Method, MethodSettings, PredictContext, Prediction
from cerebench.contract.volumes import Volume, Volumes
from cerebench.errors import BenchError, DataError, MethodError, PluginError, UsageError
from cerebench.paths import cache_root
from cerebench.plugins.hookspecs import hookimpl
from cerebench.reporting.events import CaseScored, CellFinished, CellStarted, RunFinished, RunStarted
from cerebench.reporting.reporter import Reporter, ReporterSettings
from cerebench.templates import template_file, template_folder
from cerebench.training.reconstruction import ReconstructionMethod
from cerebench.training.slicewise import SliceTraining

__all__ = [
    "ANOMALY",
    "API_VERSION",
    "IGNORE",
    "NORMAL",
    "BenchError",
    "Card",
    "Case",
    "CaseScored",
    "CellFinished",
    "CellStarted",
    "DataError",
    "DiagnoseContext",
    "Diagnosis",
    "Figure",
    "Finding",
    "FitRun",
    "Layout",
    "Method",
    "MethodError",
    "MethodInfo",
    "MethodSettings",
    "Panels",
    "PluginError",
    "PredictContext",
    "Prediction",
    "ReadPolicy",
    "ReconstructionMethod",
    "Reporter",
    "ReporterSettings",
    "RunFinished",
    "RunStarted",
    "Scatter",
    "SliceTraining",
    "Stage",
    "UsageError",
    "Volume",
    "Volumes",
    "cache_root",
    "hookimpl",
    "template_file",
    "template_folder",
]
