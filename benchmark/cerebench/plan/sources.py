"""Where the cases of a run come from: the data root where it holds them, in-silico twins otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cerebench.cohorts import pattern as language
from cerebench.cohorts.card import Card, Simulate
from cerebench.cohorts.locate import Location, locate
from cerebench.cohorts.reader import Listing, read_cohort
from cerebench.cohorts.splits import Splits, assign_splits
from cerebench.cohorts.twins import ensure_twin
from cerebench.contract.data import Case, Provenance
from cerebench.digest import code_digest
from cerebench.errors import DataError
from cerebench.plugins.registry import Registry
from cerebench.protocol import Protocol, Twin

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Absence:
    """Why a cohort cannot be used; ``broken`` says that its files are at fault, not merely elsewhere."""

    reason: str
    broken: bool = False


@dataclass(frozen=True)
class Pool:
    """The cases of one cohort with their roles.

    Attributes:
        listing: cases as read.
        splits: case → roles.
    """

    listing: Listing
    splits: Splits

    @property
    def provenance(self) -> Provenance:
        """``real`` or ``in-silico``."""
        return self.listing.provenance

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be told of the pool: a fallback of its splits, cases that are not ready."""
        found = list(filter(None, [self.splits.fallback]))
        if unready := self.listing.unready:
            total = len(self.listing.cases)
            found.append(f"{len(unready)} of {total} cases have no brain mask and are left out (first: {unready[0]})")
        return tuple(found)

    def cases(self, role: str, *modalities: str) -> list[Case]:
        """Cases of a role that have the modalities and are ready to use, sorted by id."""
        unready = set(self.listing.unready)
        return [
            case
            for case in self.listing.with_modalities(*modalities)
            if role in self.splits.roles[case.id] and case.id not in unready
        ]


class Sources:
    """Finds, simulates and splits cohorts once per run.

    Args:
        registry: all cohorts.
        protocol: its splits.
        twin: size of in-silico cohorts.
        data_root: folder with released cohorts, or ``None`` for in-silico ones only.
        cache: where twins are kept.
        progress: told while a twin is generated.
        dry: list the cases that a twin would have instead of generating it.
    """

    def __init__(
        self,
        registry: Registry,
        protocol: Protocol,
        twin: Twin,
        data_root: Path | None,
        cache: Path,
        progress: Progress = lambda done, total, text: None,
        dry: bool = False,
    ) -> None:
        self._registry = registry
        self._protocol = protocol
        self._twin = twin
        self._data_root = data_root
        self._cache = cache
        self._progress = progress
        self._dry = dry
        self._cards: dict[str, Card] = {}
        self._pools: dict[tuple[str, Provenance], Pool | Absence] = {}
        self._listings: dict[str, Listing | Absence] = {}

    @property
    def expected(self) -> Provenance:
        """Provenance that a column without data would have had."""
        return "in-silico" if self._data_root is None else "real"

    def card(self, name: str) -> Card:
        """The card of a cohort."""
        if name not in self._cards:
            self._cards[name] = self._registry.card(name)
        return self._cards[name]

    def tested_pool(self, name: str) -> Pool | Absence:
        """The cohort as it is tested: from the data root if one is named, else its twin."""
        if self._data_root is None:
            return self.pool(name, "in-silico")
        listing = self._located(name)
        return listing if isinstance(listing, Absence) else self.pool(name, listing.provenance)

    def pool(self, name: str, provenance: Provenance) -> Pool | Absence:
        """The cohort in one provenance.

        A tree under the data root that a simulator wrote counts as in silico and comes before a generated twin.
        """
        key = (name, provenance)
        if key not in self._pools:
            self._pools[key] = self._make_pool(name, provenance)
        return self._pools[key]

    def _make_pool(self, name: str, provenance: Provenance) -> Pool | Absence:
        listing = self._located(name)
        if isinstance(listing, Absence) or listing.provenance != provenance:
            if provenance == "real":
                return listing if isinstance(listing, Absence) else Absence(f"{listing.root} holds in-silico data")
            card = self.card(name)
            if card.simulate is None:
                return Absence(
                    f"cohort {name!r} has no in-silico twin; name a --data-root that holds it ({card.access})"
                )
            listing = self._twin_listing(card, card.simulate)
        listing = self._for_protocol(listing)
        splits = self._protocol.splits
        try:
            roles = assign_splits(listing.cases, splits.of(listing.card.name, listing.card.healthy))
        except DataError as error:
            # too few patients: if files are at fault, they are the reason
            return Absence(listing.faults[0] if listing.faults else str(error), broken=bool(listing.faults))
        return Pool(listing, roles)

    def _for_protocol(self, listing: Listing) -> Listing:
        """The listing with cavities as the protocol takes them; one case a lesion where lesions are classified."""
        policy = replace(listing.policy, labels=listing.layout.states(self._protocol.cavity))
        by_lesion = self._protocol.task == "lesion-classification" and self._protocol.task in listing.card.tasks
        return replace(listing, policy=policy, cases=listing.lesions if by_lesion else listing.cases)

    def _located(self, name: str) -> Listing | Absence:
        """The listing under the data root, or why there is none."""
        if name not in self._listings:
            self._listings[name] = self._look_up(name)
        return self._listings[name]

    def _look_up(self, name: str) -> Listing | Absence:
        if self._data_root is None:
            return Absence("no data root is named")
        location: Location = locate(self.card(name), self._data_root)
        if location.status == "missing":
            return Absence(f"no folder of cohort {name!r} under {self._data_root} ({location.note})")
        if location.listing is None or location.status != "found":
            return Absence(f"{location.root}: {location.note}", broken=location.status == "empty")
        return location.listing

    def _twin_listing(self, card: Card, simulate: Simulate) -> Listing:
        cases = self._twin.healthy_cases if card.healthy else self._twin.lesion_cases
        if self._dry:
            return _imagined(card, simulate, cases)
        entry = self._registry.entry("simulator", simulate.generator)
        folder = ensure_twin(
            card,
            self._registry.load_simulator(simulate.generator),
            cases,
            self._twin.spacing_mm,
            self._twin.seed,
            self._cache,
            code_digest(getattr(entry, "target", simulate.generator)),
            lambda done, total, text: self._progress(done, total, f"simulating {card.name}"),
        )
        return read_cohort(card, folder)


def _imagined(card: Card, simulate: Simulate, cases: int) -> Listing:
    """What the twin will list, without its files."""
    layout = card.layout(simulate.layout)
    listed = []
    for index in range(cases):
        fields = simulate.field_values(index)
        name = layout.case_id(fields)
        images = {kind: Path(layout.path(kind, **fields)) for kind in simulate.modalities}
        patient = language.render(layout.patient, fields)
        healthy = card.healthy or not simulate.slot(index).affected
        mask = None if healthy or layout.mask is None else Path(layout.path("mask", **fields))
        listed.append(Case(id=name, patient=patient, cohort=card.name, images=images, healthy=healthy, mask=mask))
    policy = replace(layout.read_policy(), skull_stripped=True)
    return Listing(card, layout, tuple(listed), policy, "in-silico", Path(card.name), lesions=tuple(listed))


def fault(listing: Listing, modality: str) -> str:
    """One sentence on the faults that concern a modality; empty if there are none."""
    found = listing.faults_of(modality)
    if not found:
        return ""
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{found[0]}{more}; mend the files or name the cases under `exclude` in the card"
