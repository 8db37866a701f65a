"""A page with the quality pictures of all cases, the suspicious ones first."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cerebench.extraction.files import write_bytes
from cerebench.extraction.quality import suspicion
from cerebench.extraction.records import QUALITY

_STYLE = """
body { font-family: sans-serif; margin: 1.5em; background: #16181b; color: #ddd; }
figure { margin: 0 0 2em 0; } img { max-width: 100%; } figcaption { margin-bottom: .4em; }
.warn { color: #ffb454; } a { color: #9cc4ff; }
"""


def by_suspicion(records: Sequence[dict[str, Any]]) -> list[tuple[float, list[str], dict[str, Any]]]:
    """Score, reasons and record of every case, the most suspicious first, else by name."""
    scored = [(*suspicion(record), record) for record in records]
    return sorted(scored, key=lambda entry: (-entry[0], entry[2]["case"]))


def write_gallery(out: Path, cohort: str, records: Sequence[dict[str, Any]]) -> Path:
    """Write ``quality/index.html``.

    Args:
        out: folder of the prepared cohort.
        cohort: its name.
        records: of all finished cases.

    Returns:
        The page.
    """
    figures = []
    for score, reasons, record in by_suspicion(records):
        name = str(record["case"])
        words = f'<span class="warn">{escape("; ".join(reasons))}</span>' if reasons else "nothing unusual"
        figures.append(
            f"<figure><figcaption><b>{escape(name)}</b> — suspicion {score:.1f}: {words} "
            f'(<a href="../records/{quote(name)}.json">record</a>)</figcaption>'
            f'<img loading="lazy" src="{quote(name)}.png" alt="{escape(name, quote=True)}"></figure>'
        )
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(cohort)}: extraction</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(cohort)}: {len(records)} cases, the most suspicious first</h1>"
        "<p>Left: the head with the brain that was found in red. Right: the result with the edges of the template's "
        "brain and white matter in blue, lesions in yellow.</p>" + "\n".join(figures) + "</body></html>\n"
    )
    path = out / QUALITY / "index.html"
    write_bytes(path, page.encode())
    return path
