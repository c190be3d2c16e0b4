"""Run the whole BOLD5000 study at the published size, with all its statistics, and report.

    python -m benchmarks.headline --folder <empty folder with 7 GB to spare>

Raw files of the exact published layout are simulated as in real_size.py (files that are there
already are used again): 2,985 common images, three subjects and their mean, 10 ROIs, 5 layers. The
workflow then computes, on two cores, from those files: Pearson and Spearman with their noise
ceilings; 1,000 permutations and the false discovery rate; 1,000 resamples of images and subjects,
exact for Pearson, by the jackknife for Spearman, with 100 exact ones as a check. Writes
benchmarks/results/headline.csv and the README's sentence about it. Ends with an error above 15
minutes or 2 GB.

`--exact-resamples 20` also runs one subject with so many exact Spearman resamples fewer, and
extrapolates from the difference what 1,000 of them would take for all subjects.
"""

import argparse
import datetime
import os
import sys
from pathlib import Path

import pandas as pd

from benchmarks.real_size import RUN, SUBJECTS, cpu_model, run_workflow, write_raw_files
from benchmarks.suite.report import HEADLINE, write_documents

STUDY, N_IMAGES = "bold5000_published", 2985
N_RESAMPLES, N_EXACT = 1000, 100
MOST_SECONDS, MOST_MB = 15 * 60, 2000


def settings(n_exact: int) -> dict:
    """Return the study's settings, with so many exact resamples for comparators of ranks."""
    return {
        "comparators": ["pearson", "spearman"],
        "inference": {
            "n_permutations": 1000,
            "n_bootstrap": N_RESAMPLES,
            "n_exact_ranks": n_exact,
        },
    }


def targets() -> list[str]:
    """Return the tables of the study: similarities and tests, ceilings, layers, the group."""
    tables = f"results/{RUN}/{STUDY}/tables"
    sides = (*SUBJECTS, "joint")
    return [
        *(f"{tables}/rsa_{subject}.csv" for subject in sides),
        *(f"{tables}/layers_{subject}.csv" for subject in sides),
        f"{tables}/rsa_group.csv",
        f"{tables}/noise_ceiling.csv",
    ]


def seconds_of_exact_resamples(folder: Path, fewer: int) -> float:
    """Return what 1,000 exact Spearman resamples take for all subjects, extrapolated."""
    draws = [f"results/{RUN}/{STUDY}/draws/rsa_{SUBJECTS[0]}.h5"]
    taken = []
    for n_exact in (N_EXACT, N_EXACT - fewer):
        run_workflow(folder, settings(n_exact), draws, 2)
        record = folder / "run" / f"results/{RUN}/benchmarks/{STUDY}/draws/rsa_{SUBJECTS[0]}.tsv"
        taken.append(pd.read_csv(record, sep="\t")["s"].item())
    return (taken[0] - taken[1]) / fewer * N_RESAMPLES * (len(SUBJECTS) + 1)


def main() -> None:
    """Write the raw files, run the study, and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="for raw files and results")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--exact-resamples", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    write_raw_files(arguments.folder, arguments.seed)
    seconds, largest = run_workflow(arguments.folder, settings(N_EXACT), targets(), arguments.cores)
    exact = float("nan")
    if arguments.exact_resamples:
        exact = seconds_of_exact_resamples(arguments.folder, arguments.exact_resamples)
    line = {
        "n_images": N_IMAGES,
        "seconds": seconds,
        "peak_mb": largest,
        "exact_spearman_seconds": exact,
        "processor": cpu_model(),
        "cores": os.cpu_count(),
        "used": arguments.cores,
        "date": datetime.date.today(),
    }
    pd.DataFrame([line]).to_csv(HEADLINE, index=False)
    write_documents()
    print(f"{seconds / 60:.1f} minutes, largest process {largest:.0f} MB")
    if seconds > MOST_SECONDS or largest > MOST_MB:
        sys.exit(f"more than {MOST_SECONDS // 60} minutes or {MOST_MB} MB")


if __name__ == "__main__":
    main()
