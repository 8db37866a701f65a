"""What FLAIR costs disentangled-anatomy: added to a method trained on T1/T2, its anatomy frozen, or trained jointly.

All on in-silico heads: healthy ones train, others test, and gliomas give the AP. Prints a table; every training is
timed in CPU seconds in the same run. ``python benchmarks/third_modality.py --help``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from tabulate import tabulate

from cerebench.api import FitRun, PredictContext, Volume
from cerebench.testing.mock import MemoryVolumes
from cerebench.training.canvas import crop_to
from cerebench.training.seeding import seed_all
from cerebench_datasets.insilico.centres import make_centre
from cerebench_datasets.insilico.parameters import PhantomParameters, Scanner
from cerebench_datasets.insilico.subject import Examination, make_subject
from cerebench_methods.disentangled_anatomy.extension import extend
from cerebench_methods.disentangled_anatomy.method import DisentangledAnatomy

MODALITIES = ("t1", "t2", "flair")
Head = tuple[Volume, np.ndarray, np.ndarray]


def head(seed: int, spacing: float, lesion: str) -> Head:
    """T1, T2 and FLAIR of one in-silico head, its tissues ``[D, H, W]`` (0 CSF, 1 grey, 2 white) and lesion mask."""
    parameters = PhantomParameters()
    centre = make_centre("phantom", None, parameters.scanner, Scanner())
    subject = make_subject(Examination(seed, "phantom", f"subject-{seed}", None, True), spacing, lesion, parameters)
    brain = np.asarray(subject.brain)
    scans = [subject.scan(name, centre) for name in MODALITIES]
    image = np.stack([np.where(brain, scan / np.percentile(scan[brain], 99), 0) for scan in scans]).astype(np.float32)
    tissue = np.stack([subject.tissue.csf, subject.tissue.gm, subject.tissue.wm]).argmax(0)
    shown = [np.asarray(part) > 0.5 for part in subject.lesion.extent.values()]
    mask = np.any(shown, axis=0) & brain if shown else np.zeros_like(brain)
    return Volume(image, brain, (spacing, spacing, spacing), MODALITIES), tissue, mask


def only(volume: Volume, names: tuple[str, ...]) -> Volume:
    """A volume with some of its modalities."""
    chosen = [volume.modalities.index(name) for name in names]
    return Volume(volume.image[chosen], volume.brain, volume.spacing, names)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Mean over the three tissues."""
    return fmean(
        2 * float(((one == at) & (other == at)).sum()) / max(1, int((one == at).sum() + (other == at).sum()))
        for at in range(3)
    )


def judged(method: DisentangledAnatomy, healthy: list[Head], ill: list[Head]) -> dict[str, tuple[float, float, float]]:
    """Modality → tissue Dice against the truth, restoration error of healthy heads, pooled AP of lesions."""
    found = {}
    middle = np.mean([method.settings.tissue_values[:2], method.settings.tissue_values[1:]], axis=1)
    for name in method.known:
        tissues, errors, scores, labels = [], [], [], []
        for volume, tissue, mask in (*healthy, *ill):
            image = torch.from_numpy(only(volume, (name,)).image)[None]
            brain = torch.from_numpy(np.array(volume.brain))[None]
            context = PredictContext(brain, volume.spacing, (name,), torch.device("cpu"), 0)
            inside = np.asarray(volume.brain)
            with torch.inference_mode():
                if mask.any():
                    scores.append(method.predict(image, context).maps[0].numpy()[inside])
                    labels.append(mask[inside])
                    continue
                seen = method.restoration(image, context)
                shape = volume.brain.shape
                anatomy, pseudo = (crop_to(part[:, 0], shape)[0].numpy() for part in (seen.anatomy, seen.healthy))
            tissues.append(dice(np.digitize(anatomy, middle)[inside], tissue[inside]))
            errors.append(float(np.abs(pseudo - image[0, 0].numpy())[inside].mean()))
        ap = float(average_precision_score(np.concatenate(labels), np.concatenate(scores)))
        found[name] = fmean(tissues), fmean(errors), ap
    return found


def trained(volumes: list[Volume], preset: str, folder: Path) -> tuple[DisentangledAnatomy, float]:
    """A method trained on all modalities of its volumes, and its CPU seconds."""
    seed_all(0)
    method = DisentangledAnatomy(DisentangledAnatomy.settings_for(preset))
    method.build(volumes[0].modalities, volumes[0].brain.shape, volumes[0].spacing)
    begin = time.process_time()
    method.fit(MemoryVolumes(volumes), MemoryVolumes([]), run_in(folder))
    return method, time.process_time() - begin


def run_in(folder: Path) -> FitRun:
    """Training on the CPU."""
    folder.mkdir()
    return FitRun(torch.device("cpu"), "32-true", 0, folder)


def main() -> None:
    """Train three ways and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--spacing", type=float, default=4.0, help="mm")
    parser.add_argument("--heads", type=int, default=16, help="healthy heads that train")
    parser.add_argument("--tested", type=int, default=6, help="healthy heads and gliomas that test")
    parser.add_argument("--share", type=float, default=0.5, help="steps of the extension, of those of the preset")
    options = parser.parse_args()
    torch.set_num_threads(1)

    train = [head(seed, options.spacing, "none")[0] for seed in range(options.heads)]
    healthy = [head(1000 + seed, options.spacing, "none") for seed in range(options.tested)]
    ill = [head(2000 + seed, options.spacing, "glioma") for seed in range(options.tested)]
    rows = []

    def report(label: str, method: DisentangledAnatomy, seconds: float, count: int) -> None:
        for name, figures in judged(method, healthy, ill).items():
            rows.append([label, name, f"{seconds:.0f}", f"{count:,}", *(f"{value:.3f}" for value in figures)])

    with tempfile.TemporaryDirectory() as scratch:
        pairs = [only(volume, ("t1", "t2")) for volume in train]
        method, seconds = trained(pairs, options.preset, Path(scratch) / "pairs")
        everything = sum(parameter.numel() for parameter in method.networks.parameters())
        report("T1/T2", method, seconds, everything)
        begin = time.process_time()
        steps = max(1, round(options.share * method.settings.steps))
        new = [only(volume, ("t1", "flair")) for volume in train]
        count = extend(method, "flair", MemoryVolumes(new), run_in(Path(scratch) / "more"), steps)
        report("FLAIR added", method, time.process_time() - begin, count)
        joint, seconds = trained(train, options.preset, Path(scratch) / "joint")
        report("joint", joint, seconds, sum(parameter.numel() for parameter in joint.networks.parameters()))
    heads = [
        "training",
        "modality",
        "CPU seconds",
        "trained parameters",
        "tissue Dice",
        "restoration error",
        "AP glioma",
    ]
    print(tabulate(rows, headers=heads, disable_numparse=True))


if __name__ == "__main__":
    main()
