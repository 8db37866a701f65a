"""Which columns one trained artefact serves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cerebench.contract.data import Provenance
from cerebench.contract.info import MethodInfo
from cerebench.plan.columns import Column, Columns, NoColumn


@dataclass(frozen=True)
class Group:
    """Columns of one artefact, with the modalities it is trained on."""

    modalities: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def provenance(self) -> Provenance:
        """Of the tested data."""
        return self.columns[0].pool.provenance


def group_columns(
    info: MethodInfo,
    columns: Sequence[Column],
    limit: int | None,
    learnable: Callable[[MethodInfo, Provenance], tuple[str, ...]],
    first: Sequence[str] = (),
) -> list[Group]:
    """Groups of a method.

    Args:
        info: which modalities it does and how it is trained.
        columns: columns with data.
        limit: columns that an iterative method runs on; ``None`` for all.
        first: cohorts whose columns such a method takes before others.
        learnable: modalities with training data, for artefacts trained on several: they follow from the protocol, so
            that a row does not depend on which other columns were selected.
    """
    mine = [column for column in columns if not info.modalities or column.modality in info.modalities]
    if info.cost == "iterative" and limit is not None:
        mine = sorted(mine, key=lambda column: column.cohort not in first)[:limit]
    groups = []
    for provenance in dict.fromkeys(column.pool.provenance for column in mine):
        part = [column for column in mine if column.pool.provenance == provenance]
        modalities = tuple(dict.fromkeys(column.modality for column in part))
        if info.training == "per-modality":
            groups += [Group((name,), tuple(c for c in part if c.modality == name)) for name in modalities]
        else:
            wanted = sorted({*modalities, *learnable(info, provenance)})
            groups.append(Group(tuple(wanted), tuple(part)))
    return groups


def unserved(info: MethodInfo, columns: Columns, groups: Sequence[Group]) -> list[NoColumn]:
    """Columns that the method is not meant for, or is too costly for at this preset."""
    served = {(column.cohort, column.modality) for group in groups for column in group.columns}
    left = []
    for column in columns.ready:
        if info.modalities and column.modality not in info.modalities:
            reason = f"{info.name} is not meant for {column.modality} (it does {', '.join(sorted(info.modalities))})"
        else:
            reason = "skipped: cost (iterative methods run on fewer columns at this preset)"
        if (column.cohort, column.modality) not in served:
            left.append(NoColumn(column.cohort, column.modality, column.healthy, reason))
    return left
