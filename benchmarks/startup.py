"""Times how long light commands take to start: ``bench --help`` and every listing, each in a fresh process.

    python benchmarks/startup.py [--repeats 9] [--plugins 50] [--limit 0.5]

Prints median wall times and processor times (which matter on a busy machine), beside a bare Python and one that imports
a YAML parser. ``--plugins`` adds that many fake plugin packages to the path. Ends with exit code 1 if a median is above
the limit, or if one of these packages was imported.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = (
    ["--help"],
    ["list", "methods"],
    ["list", "cohorts"],
    ["list", "protocols"],
    ["list", "metrics"],
    ["list", "reporters"],
)
FLOORS = {"python": "pass", "python + yaml": "import yaml"}
BENCH = "import sys; from cerebench.cli.main import main; main(sys.argv[1:])"

MANIFEST = """schema: 1
api: 1
methods:
  - name: startup-{index}
    target: "{package}.method:Method"
    summary: Does nothing.
    task: anomaly
    supervision: none
    modalities: []
    unit: volume
"""


def main() -> int:
    """Measure, print, and compare with the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--plugins", type=int, default=0, help="fake plugin packages to add")
    parser.add_argument("--limit", type=float, default=0.5, help="seconds that no median may exceed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for index in range(options.plugins):
            add_plugin(Path(folder), index)
        path = os.pathsep.join(part for part in (folder, os.environ.get("PYTHONPATH", "")) if part)
        environment = {**os.environ, "PYTHONPATH": path, "CEREBENCH_PLUGINS": "startup-*"}
        rows = {name: measure(["-c", code], options.repeats, environment) for name, code in FLOORS.items()}
        for words in COMMANDS:
            rows[f"bench {' '.join(words)}"] = measure(["-c", BENCH, *words], options.repeats, environment)
        imported = sorted(path.stem for path in Path(folder).glob("*.imported"))
    print(f"medians of {options.repeats}, {options.plugins} extra plugins, Python {sys.version.split()[0]}")
    for name, (wall, processor) in rows.items():
        print(f"{name:<22} {wall:6.3f} s, {processor:6.3f} s of processor")
    slow = [name for name, (wall, _) in rows.items() if name not in FLOORS and wall > options.limit]
    if slow:
        print(f"above {options.limit} s: {', '.join(slow)}")
    if imported:
        print(f"imported by a listing: {', '.join(imported)}")
    return 1 if slow or imported else 0


def measure(arguments: list[str], repeats: int, environment: dict[str, str]) -> tuple[float, float]:
    """Median wall time after one call that warms the file cache, and mean processor time, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    before = usage.ru_utime + usage.ru_stime
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    processor = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = processor.ru_utime + processor.ru_stime - before
    return statistics.median(times[1:]), spent / (repeats + 1)


def add_plugin(site: Path, index: int) -> None:
    """Write a plugin package that leaves a mark when imported, and its installation record."""
    package = f"startup_{index}"
    (site / package).mkdir()
    (site / package / "__init__.py").write_text(f"open({str(site / package)!r} + '.imported', 'w').close()\n")
    (site / package / "cerebench.yaml").write_text(MANIFEST.format(index=index, package=package))
    record = site / f"{package}-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: startup-{index}\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text(f"[cerebench]\nstartup-{index} = {package}.plugin\n")


if __name__ == "__main__":
    sys.exit(main())
