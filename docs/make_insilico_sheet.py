"""Draw ``docs/img/in-silico.png``: one subject of every in-silico twin, every modality beside the lesion mask.

Run from the repository root: ``python docs/make_insilico_sheet.py``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import cerebench_datasets
from cerebench.cohorts.card import Card, load_card
from cerebench.cohorts.reader import Listing, read_cohort
from cerebench.cohorts.twins import write_twin
from cerebench.contract.data import ANOMALY, IGNORE, Case
from cerebench.prepare.grid import between, canonical, resample
from cerebench.prepare.read import Scan, read_image, read_mask
from cerebench.prepare.steps import label_states
from cerebench_datasets.insilico.write import simulate

SPACING, CASES, SEED, SCALE, GAP, SIDE = 2.0, 3, 0, 1.5, 16, 2
"""``SIDE`` cohorts stand side by side."""
ORDER = ("t1", "t1c", "t2", "flair", "pd", "dwi", "adc")
GREY = {ANOMALY: 1.0, IGNORE: 0.45}
COLUMNS = 6


def tile(values: np.ndarray, level: int) -> Image.Image:
    plane = values[:, :, level].T[::-1, ::-1]  # radiological: the subject's left is on the right
    image = Image.fromarray((np.clip(plane, 0, 1) * 255).astype(np.uint8))
    return image.resize((round(image.width * SCALE), round(image.height * SCALE)), Image.Resampling.BICUBIC)


def on(scan: Scan, reference: Scan) -> np.ndarray:
    """A scan's values on the reference's grid."""
    return resample(scan.data, between(scan.affine, reference.affine), reference.shape, order=0)


def row(listing: Listing, case: Case) -> list[tuple[str, Image.Image]]:
    names = sorted(case.images, key=ORDER.index)
    scans = {name: canonical(read_image(case.images[name], listing.policy.slices)) for name in names}
    reference = scans[case.mask_modality or names[0]]
    level, shown = int(reference.shape[2] * 0.57), None
    if case.mask is not None:
        mask = canonical(read_mask(case.mask, listing.policy.slices))
        # cavities are ignored by default: grey, like every other voxel that counts neither way
        states = label_states(mask, listing.policy)
        shown = sum((states == state) * np.float32(grey) for state, grey in GREY.items())
        level = int((states == ANOMALY).sum(axis=(0, 1)).argmax())
    tiles = []
    for name, scan in scans.items():
        values = on(scan, reference)
        tiles.append((name, tile(values / np.percentile(values[values > 0], 99.5), level)))
    return [*tiles, ("mask", tile(shown, level))] if shown is not None else tiles


def draw_cohort(card: Card, folder: Path) -> tuple[str, list[tuple[str, Image.Image]]]:
    write_twin(card, simulate, folder / card.name, CASES, SPACING, SEED)
    listing = read_cohort(card, folder / card.name)
    case = max(listing.cases, key=lambda case: (not case.healthy, case.id == listing.cases[-1].id))
    return f"{card.name} ({card.simulate.lesion})", row(listing, case)


def main() -> None:
    cards = Path(cerebench_datasets.__file__).parent / "cards"
    with tempfile.TemporaryDirectory() as folder:
        rows = [draw_cohort(load_card(path), Path(folder)) for path in sorted(cards.glob("*.yaml"))]
    width, height = max(image.size for _, tiles in rows for _, image in tiles)
    lines = -(-len(rows) // SIDE)
    sheet = Image.new("L", (SIDE * COLUMNS * width, lines * (height + GAP)))
    draw = ImageDraw.Draw(sheet)
    for place, (title, tiles) in enumerate(rows):
        left, top = place // lines * COLUMNS * width, place % lines * (height + GAP)
        for column, (label, image) in enumerate(tiles):
            sheet.paste(image, (left + column * width, top + GAP))
            draw.text((left + column * width + 4, top + GAP), label, fill=210)
        draw.text((left + 4, top + 2), title, fill=255)
    target = Path(__file__).parent / "img" / "in-silico.png"
    target.parent.mkdir(exist_ok=True)
    sheet.save(target, optimize=True)


if __name__ == "__main__":
    main()
