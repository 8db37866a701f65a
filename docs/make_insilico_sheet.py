"""Draw ``docs/img/in-silico.png``: two subjects of each in-silico twin, every modality beside the lesion mask.

Run from the repository root: ``python docs/make_insilico_sheet.py``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image, ImageDraw

import cerebench_datasets
from cerebench.cohorts.card import Card, load_card
from cerebench_datasets.insilico.write import simulate

SPACING, CASES, SEED, COLUMNS, SCALE, GAP = 1.5, 2, 0, 5, 2, 14
SHOWN = {"ixi": "healthy (IXI layout)", "brats-gli": "glioma (BraTS-GLI layout)", "mslub": "MS (MSLUB layout)"}
ORDER = ("t1", "t1c", "t2", "flair", "pd")


def read(path: Path) -> np.ndarray:
    return np.asarray(nib.as_closest_canonical(nib.load(path)).dataobj, dtype=np.float32)


def tile(values: np.ndarray, level: int) -> Image.Image:
    plane = values[:, :, level].T[::-1, ::-1]  # radiological: the subject's left is on the right
    image = Image.fromarray((np.clip(plane, 0, 1) * 255).astype(np.uint8))
    return image.resize((image.width * SCALE, image.height * SCALE), Image.Resampling.BICUBIC)


def row(card: Card, root: Path, index: int) -> list[tuple[str, Image.Image]]:
    plan = card.simulate
    layout, fields = card.layout(plan.layout), plan.field_values(index)
    modalities = sorted(plan.modalities, key=ORDER.index)
    scans = {modality: read(root / layout.path(modality, **fields)) for modality in modalities}
    level = int(next(iter(scans.values())).shape[2] * 0.57)
    mask = None
    if layout.mask is not None:
        mask = read(root / layout.path("mask", **fields))
        level = int((mask > 0).sum(axis=(0, 1)).argmax())
    tiles = [(m, tile(scan / np.percentile(scan[scan > 0], 99.5), level)) for m, scan in scans.items()]
    if mask is not None:
        tiles.append(("mask", tile(mask / max(layout.labels), level)))
    return tiles


def main() -> None:
    cards = Path(cerebench_datasets.__file__).parent / "cards"
    rows: list[tuple[str, list[tuple[str, Image.Image]]]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, title in SHOWN.items():
            card = load_card(cards / f"{name}.yaml")
            simulate(card, Path(folder) / name, CASES, SPACING, SEED)
            rows += [(f"{title}, subject {index}", row(card, Path(folder) / name, index)) for index in range(CASES)]
    width, height = rows[0][1][0][1].size
    sheet = Image.new("L", (COLUMNS * width, len(rows) * (height + GAP)))
    draw = ImageDraw.Draw(sheet)
    for line, (title, tiles) in enumerate(rows):
        top = line * (height + GAP)
        for column, (label, image) in enumerate(tiles):
            sheet.paste(image, (column * width, top + GAP))
            draw.text((column * width + 4, top + 2), f"{title}: {label}" if column == 0 else label, fill=200)
    target = Path(__file__).parent / "img" / "in-silico.png"
    target.parent.mkdir(exist_ok=True)
    sheet.resize((sheet.width * 2 // 3, sheet.height * 2 // 3), Image.Resampling.LANCZOS).save(target, optimize=True)


if __name__ == "__main__":
    main()
