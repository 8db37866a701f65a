"""Values of two snapshots side by side: one row a cell × case × metric, both numbers, and the direction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cerebench.compare.gate import direction, gated, tolerance
from cerebench.compare.pairs import Pair
from cerebench.compare.snapshot import Snapshot

if TYPE_CHECKING:
    import pandas as pd

_KEYS = ["pair", "case", "patient", "level", "post", "metric"]


def side_by_side(baseline: Snapshot, current: Snapshot, pairs: Sequence[Pair]) -> pd.DataFrame:
    """Columns ``pair`` (place in ``pairs``), ``case``, ``patient``, ``level``, ``post``, ``metric``, ``baseline``,
    ``current`` (NaN where a side lacks the value), ``gain`` (positive where current is better; 0 without direction),
    ``tolerance``, ``gated`` (decides about the cell) and ``pooled`` (all patients in one value).
    """
    import pandas as pd

    left = _frame(baseline, {pair.baseline: number for number, pair in enumerate(pairs)})
    right = _frame(current, {pair.current: number for number, pair in enumerate(pairs)})
    texts = [name for name in _KEYS if name != "pair"]
    for name in texts:  # one set of categories, so that the join compares integers
        both = pd.api.types.union_categoricals([left[name], right[name]])
        left[name], right[name] = both[: len(left)], both[len(left) :]
    table = left.merge(right, on=_KEYS, how="outer", suffixes=("_baseline", "_current"), sort=False)
    table = table.rename(columns={"value_baseline": "baseline", "value_current": "current"})
    metrics = table["metric"].cat.categories
    sign = table["metric"].map({name: direction(name) for name in metrics}).astype("float64")
    table["gain"] = sign * (table["current"] - table["baseline"])
    table["tolerance"] = table["metric"].map({name: tolerance(name) for name in metrics}).astype("float64")
    table["pooled"] = table["case"] == ""
    table["gated"] = _gates(table, pairs)
    return table


def _frame(snapshot: Snapshot, places: dict[int, int]) -> pd.DataFrame:
    """The values of paired cells, texts as categories."""
    import numpy as np
    import pyarrow as pa

    moved = np.full(len(snapshot.cells) + 1, -1)
    for cell, place in places.items():
        moved[cell] = place
    pair = moved[snapshot.values["cell"].to_numpy()]
    columns = {
        name: column.dictionary_encode() if name != "value" else column
        for name, column in zip(snapshot.values.column_names, snapshot.values.columns, strict=True)
        if name != "cell"
    }
    frame: pd.DataFrame = pa.table({"pair": pair, **columns}).filter(pair >= 0).to_pandas()
    return frame


def _gates(table: pd.DataFrame, pairs: Sequence[Pair]) -> pd.Series[bool]:
    import pandas as pd

    keys = ["pair", "level", "metric"]
    present = table[keys].drop_duplicates()
    wanted = []
    for place, mine in present.groupby("pair"):
        found = set(zip(mine["level"].astype(str), mine["metric"].astype(str), strict=True))
        chosen = gated(pairs[int(str(place))].cell, found)
        wanted += [key in chosen for key in zip(mine["level"], mine["metric"], strict=True)]
    marked = present.sort_values("pair", kind="stable").assign(gated=wanted)
    return pd.Series(table[keys].merge(marked, on=keys, how="left")["gated"].to_numpy(bool), index=table.index)
