"""A planner over cohorts that exist in memory only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cerebench.cohorts.card import Card
from cerebench.cohorts.reader import Listing
from cerebench.cohorts.splits import Splits
from cerebench.contract.data import Case
from cerebench.contract.info import MethodInfo, Stage
from cerebench.contract.method import Method, MethodSettings
from cerebench.errors import DataError
from cerebench.plan import keys
from cerebench.plan.build import PlanBuilder
from cerebench.plan.cells import CaseRef, Job
from cerebench.plan.columns import Member
from cerebench.plan.model import Plan, Selected
from cerebench.plan.sources import Absence, Pool
from cerebench.prepare.spec import PrepareSpec
from cerebench.protocol import Protocol

ROLES = {"train": 4, "validation": 2, "test": 3}


def card(name: str, healthy: bool, modalities: tuple[str, ...], test_only: bool = False) -> Card:
    layout = {
        "name": "flat",
        "images": {modality: f"{{patient}}_{modality}.nii.gz" for modality in modalities},
        "patient": "{patient}",
        "skull_stripped": True,
        "test_only": test_only,
        **({} if healthy else {"mask": "{patient}_mask.nii.gz"}),
    }
    words = dict.fromkeys(("title", "summary", "citation", "licence", "access"), "x")
    return Card.model_validate(
        {"schema": 1, "name": name, **words, "healthy": healthy, "modalities": modalities, "layouts": [layout]}
    )


class World:
    """Cohorts by name and provenance; stands in for ``Sources`` and ``PreparedCases``."""

    def __init__(self) -> None:
        self.pools: dict[tuple[str, str], Pool] = {}
        self.cards: dict[str, Card] = {}
        self.expected = "real"
        self.broken: set[tuple[str, tuple[str, ...]]] = set()
        self.contents: dict[str, str] = {}
        self.more: dict[str, dict[str, Any]] = {}
        self.wanted: set[tuple[str, tuple[str, ...]]] = set()
        self.ready: set[tuple[str, tuple[str, ...]]] = set()
        self.complete = True
        self.healthy: set[str] = set()
        self.blank: set[str] = set()
        self.images: dict[str, str] = {}

    def add(
        self,
        name: str,
        healthy: bool,
        modalities: tuple[str, ...],
        provenance: str = "real",
        roles: dict[str, int] | None = None,
        tasks: tuple[str, ...] = ("anomaly",),
        **layout: Any,
    ) -> None:
        new = card(name, healthy, modalities, **layout).model_copy(update={"tasks": tasks})
        made = self.cards.setdefault(name, new)
        cases, found = [], {}
        for role, count in (roles or ROLES).items():
            for number in range(count):
                patient = f"{role}{number}"
                images = {modality: Path(f"{patient}_{modality}.nii.gz") for modality in modalities}
                mask = None if healthy else Path(f"{patient}_mask.nii.gz")
                well = healthy or f"{name}/{patient}" in self.healthy
                cases.append(Case(patient, patient, name, images, well, mask))
                found[patient] = frozenset({role})
        layout_ = made.layouts[0]
        listing = Listing(made, layout_, tuple(cases), layout_.read_policy(), provenance, Path(name))  # type: ignore[arg-type]
        self.pools[name, provenance] = Pool(listing, Splits(found, None, {}))

    # --- Sources ---

    def card(self, name: str) -> Card:
        return self.cards[name]

    def pool(self, name: str, provenance: str) -> Pool | Absence:
        return self.pools.get((name, provenance), Absence(f"no {provenance} data of {name}"))

    def tested_pool(self, name: str) -> Pool | Absence:
        for provenance in ("real", "in-silico"):
            if (name, provenance) in self.pools:
                return self.pools[name, provenance]
        return Absence(f"no folder of cohort {name}")

    # --- PreparedCases ---

    def want(self, members: Iterable[Member], modalities: tuple[str, ...]) -> None:
        self.wanted |= {(f"{member.case.cohort}/{member.case.id}", modalities) for member in members}

    def run(self, workers: int, progress: Any) -> None:
        self.ready |= self.wanted

    def _fault(self, member: Member, modalities: tuple[str, ...]) -> str:
        name = f"{member.case.cohort}/{member.case.id}"
        assert (name, modalities) in self.ready, f"{name} {modalities} was never asked for"
        return f"{name} {'+'.join(modalities)} is damaged" if (name, modalities) in self.broken else ""

    def fault(self, members: Iterable[Member], modalities: tuple[str, ...]) -> str:
        return next(filter(None, (self._fault(member, modalities) for member in members)), "")

    def digests(self, member: Member, modalities: tuple[str, ...]) -> tuple[str, ...]:
        name = f"{member.case.cohort}/{member.case.id}"
        return tuple(self.images.get(name, name) + modality for modality in modalities)

    def holds_brain(self, member: Member, modalities: tuple[str, ...]) -> bool:
        return member.lesion_free_mm is None or f"{member.case.cohort}/{member.case.id}" not in self.blank

    def refs(self, members: Iterable[Member], modalities: tuple[str, ...]) -> tuple[CaseRef, ...]:
        made = []
        for member in members:
            if reason := self._fault(member, modalities):
                raise DataError(reason)
            case, name = member.case, f"{member.case.cohort}/{member.case.id}"
            key = f"{member.pool.provenance}:{self.contents.get(name, name)}:{'+'.join(modalities)}"
            key += "" if member.lesion_free_mm is None else f":free{member.lesion_free_mm:g}"
            ref = CaseRef(case.id, f"{case.cohort}/{case.patient}", "folder", key, modalities, case.healthy)
            made.append(replace(ref, **self.more.get(name, {})))
        return tuple(made)


PROTOCOL: dict[str, Any] = {
    "schema": 1,
    "name": "p",
    "version": 1,
    "title": "P",
    "summary": "x",
    "train": {"sources": {"healthy": ["normals"]}},
    "select": {"lesion": ["tumours"], "healthy": ["normals"]},
    "presets": {
        "quick": {"spacing_mm": 8, "iterative_columns": 2},
        "nightly": {"spacing_mm": 8},
    },
}


@pytest.fixture
def protocol() -> Callable[..., Protocol]:
    """The protocol with some parts replaced."""
    return lambda **more: Protocol.model_validate({**PROTOCOL, **more})


@pytest.fixture
def world() -> World:
    """Healthy subjects and patients with T1 and T2, all real."""
    made = World()
    made.add("normals", True, ("t1", "t2"))
    made.add("tumours", False, ("t1", "t2"))
    return made


@pytest.fixture
def plan(world: World, protocol: Callable[..., Protocol], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plan]:
    """``plan(Method, …)``: the plan of these methods on all cohorts of the world."""
    monkeypatch.setattr(keys, "code_digest", lambda target: getattr(target, "code", str(target)))

    def make(*methods: type[Method], seeds: int = 1, preset: str = "quick", cohorts: Any = None, **more: Any) -> Plan:
        overrides = more.pop("overrides", {})
        variant = ",".join(f"{name}={value}" for name, value in overrides.items())
        selected = [Selected(cls, overrides, variant) for cls in methods]
        used = protocol(**more)
        spec = PrepareSpec(spacing_mm=used.presets[preset].spacing_mm)
        builder = PlanBuilder(used, preset, world, world, spec, (), {"cerebench": "0"})  # type: ignore[arg-type]
        names = sorted(world.cards) if cohorts is None else cohorts
        return builder.build(selected, names, seeds, 0, lambda *_: None)

    return make


@pytest.fixture
def learner() -> Callable[..., type[Method]]:
    """``learner("name", training="joint", …)``: a method class with one ``fit`` stage unless told otherwise."""

    def make(name: str = "learner", code: str = "v1", **info: Any) -> type[Method]:
        class Learner(Method):
            class Settings(MethodSettings):
                width: int = 8
                power: float = 2.0

        Learner.info = MethodInfo(name=name, summary="x", **{"stages": (Stage(name="fit"),), **info})
        Learner.code = code  # type: ignore[attr-defined]
        return Learner

    return make


@pytest.fixture
def paths() -> Callable[[Iterable[Job]], dict[str, set[str]]]:
    """Paths of stages, references and evaluations of a plan's jobs."""

    def collect(jobs: Iterable[Job]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {"stages": set(), "references": set(), "evaluations": set()}
        for job in jobs:
            for kind, known in found.items():
                known |= {cell.path for cell in getattr(job, kind)}
        return found

    return collect
