"""Measure the RDM of a layer too wide for memory: seconds, peak memory, and how exact it is.

    python benchmarks/wide_layer.py [--folder <folder with 3.2 GB to spare>]

Writes simulated activations of the size of ResNet-50's layer1 (800,000 units, 1,000 images, 3.2 GB)
batch by batch, as a network gives them, and computes their correlation RDM with standardised units.
The correlations of the first batch's images are then computed again in float64, from activations
drawn a second time. Prints a report and writes it to benchmarks/results/wide_layer.md. Ends with an
error if the process took 2 GB or more, or if a correlation is off by more than 1e-6.
"""

import argparse
import datetime
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.spatial.distance import squareform

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from workflow.lib.features.grams import feature_rdm  # noqa: E402
from workflow.lib.features.unit_blocks import UnitBlocks  # noqa: E402
from workflow.lib.seeds import generator  # noqa: E402

BATCH = 32
RANK = 20
MOST_MB, MOST_ERROR = 2000, 1e-6
REPORT = ROOT / "benchmarks" / "results" / "wide_layer.md"


def activations(n_images: int, n_units: int) -> Iterator[np.ndarray]:
    """Yield rectified activations, float32 (<= 32 images, n_units), the same at every call."""
    rng = generator(1, "wide_layer")
    loadings = rng.standard_normal((RANK, n_units), dtype=np.float32)
    means = rng.standard_normal(n_units, dtype=np.float32)
    for start in range(0, n_images, BATCH):
        n = min(BATCH, n_images - start)
        rows = rng.standard_normal((n, RANK), dtype=np.float32) @ loadings
        rows += 3 * rng.standard_normal((n, n_units), dtype=np.float32) + means
        yield np.maximum(rows, 0, out=rows)


def exact_distances(n_images: int, n_units: int) -> np.ndarray:
    """Return the correlation distances of the first batch's images, in float64 throughout."""
    total, squares = np.zeros((2, n_units))
    first = None
    for rows in activations(n_images, n_units):
        first = rows if first is None else first
        total += rows.sum(axis=0, dtype=np.float64)
        squares += np.square(rows, dtype=np.float64).sum(axis=0)
    mean = total / n_images
    deviation = np.sqrt(squares / n_images - mean**2)
    varies = deviation > 0
    return 1 - np.corrcoef((first[:, varies] - mean[varies]) / deviation[varies])


def peak_mb() -> float:
    """Return the most memory that this process has held so far, by the kernel's count."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / 1e6 if sys.platform == "darwin" else kilobytes * 1024 / 1e6


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--n-images", type=int, default=1000)
    parser.add_argument("--n-units", type=int, default=800_000)
    parser.add_argument("--block-units", type=int, default=8192)
    arguments = parser.parse_args()
    size = arguments.n_images, arguments.n_units

    before = peak_mb()
    seconds = {"appending": 0.0}
    with UnitBlocks(arguments.folder / "wide_layer", *size, arguments.block_units) as blocks:
        for rows in activations(*size):
            start = time.perf_counter()
            blocks.append(rows)
            seconds["appending"] += time.perf_counter() - start
        start = time.perf_counter()
        rdm = feature_rdm(blocks, "correlation", standardise_units=True)
        seconds["RDM"] = time.perf_counter() - start
    peak = peak_mb()  # before anything else is computed
    n = min(BATCH, arguments.n_images)
    error = np.abs(squareform(rdm)[:n, :n] - exact_distances(*size)).max()

    from benchmarks.real_size import cpu_model  # late, to not count as memory of the RDM

    report = "\n\n".join(
        [
            "# The RDM of a wide layer",
            f"{arguments.n_units:,} units x {arguments.n_images:,} images "
            f"({4 * arguments.n_images * arguments.n_units / 1e9:.1f} GB), blocks of "
            f"{arguments.block_units:,} units, standardised units, correlation distance. "
            f"{cpu_model()}, {os.cpu_count()} cores; {datetime.date.today()}.",
            "| what | value | allowed |\n|---|---|---|\n"
            f"| peak memory of the process | {peak:.0f} MB | {MOST_MB} MB |\n"
            f"| of which before the first batch (Python, NumPy, PyTorch) | {before:.0f} MB | |\n"
            f"| largest error of a correlation against float64 | {error:.1e} | {MOST_ERROR:.0e} |\n"
            f"| appending to the disk | {seconds['appending']:.1f} s | |\n"
            f"| RDM from the disk | {seconds['RDM']:.1f} s | |",
        ]
    )
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(report + "\n")
    print(report)
    if peak >= MOST_MB or error > MOST_ERROR:
        sys.exit("more memory, or less exact, than allowed")


if __name__ == "__main__":
    main()
