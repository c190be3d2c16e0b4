"""Run the BOLD5000 study at its real size, and measure the time and memory of every rule.

    python benchmarks/real_size.py --folder <empty folder with 7 GB to spare>

Writes raw files of the exact published layout (4,916 images, three subjects x 10 ROIs and a model
of 5 layers, float64: 3.4 GB), runs the workflow on them in a directory of its own, and writes a
table to benchmarks/results/real_size.md. Ends with an error if a job takes more memory than it may.

The model's file spells ImageNet names its own way and holds 15 other images in place of Scene and
COCO ones, so that the study as published keeps 2,985 images and the normalised names keep 4,901.
The folder can be deleted afterwards; raw files that are there already are used again.
"""

import argparse
import datetime
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.bold5000.simulate_bold5000 import (  # noqa: E402
    IMAGE_SOURCES,
    LAYERS,
    PLANTED_LAYER,
    ROIS,
    image_names,
)
from workflow.lib.files import written_whole  # noqa: E402
from workflow.lib.seeds import generator  # noqa: E402

SUBJECTS = ("CSI1", "CSI2", "CSI3")
N_IMAGES = sum(IMAGE_SOURCES.values())
N_REPLACED = 15
# Study -> images that its way of matching names leaves, and the most memory a job may take.
STUDIES = {"bold5000_published": (2985, 2000), "bold5000": (4901, 4000)}
# Rank of the simulated patterns: enough for RDMs without ties.
N_FEATURES = 20
SIGNAL = 0.1
RUN = "real_size"
REPORT = ROOT / "benchmarks" / "results" / "real_size.md"


def correlation_rdm(patterns: np.ndarray) -> np.ndarray:
    """Return 1 - Pearson r between the rows of (n, k), condensed, 256 rows of it at a time."""
    n = len(patterns)
    unit = patterns - patterns.mean(axis=1, keepdims=True)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    vector = np.empty(n * (n - 1) // 2)
    position = 0
    for start in range(0, n, 256):
        block = 1 - unit[start : start + 256] @ unit[start:].T
        for row in range(len(block)):
            distances = block[row, row + 1 :]
            vector[position : position + distances.size] = distances
            position += distances.size
    return vector


def write_published_layout(
    path: Path, patterns: Iterator[np.ndarray], labels: Sequence[str], key: str, names: list[str]
) -> None:
    """Write RDMs as rsatoolbox does (float64, contiguous, names as bytes), one at a time."""
    n = len(names)
    with written_whole(path) as temporary, h5py.File(temporary, "w") as file:
        stack = file.create_dataset(
            "dissimilarities", (len(labels), n * (n - 1) // 2), dtype=np.float64
        )
        for row, roi_patterns in enumerate(patterns):
            stack[row] = correlation_rdm(roi_patterns)
        file.attrs["rsatoolbox_version"] = "0.0.4"
        file.attrs["dissimilarity_measure"] = "correlation"
        file.create_group("descriptors")
        file[f"rdm_descriptors/{key}"] = np.array(labels).astype("S")
        file["rdm_descriptors/index"] = np.arange(len(labels))
        file["pattern_descriptors/image"] = np.array(names).astype("S")
        file["pattern_descriptors/index"] = np.arange(n)


def write_raw_files(folder: Path, seed: int) -> None:
    """Write the model's file and one per subject, each in an order of its own."""
    rng = generator(seed, RUN)
    names = image_names(N_IMAGES, rng)
    features = {layer: rng.standard_normal((N_IMAGES, N_FEATURES)) for layer in LAYERS}
    shared = N_IMAGES - IMAGE_SOURCES["ImageNet"]
    replaced = set(rng.choice(shared, N_REPLACED, replace=False))
    order = rng.permutation(N_IMAGES)

    path = folder / "ResNet50_CORR_RDMs.h5"
    if not path.is_file():
        # The published file is as large as 4,916 images make it: none is missing, but 15 have
        # names that no subject's file has.
        spelled = [
            f"COCO_val2014_{i:012d}.jpg" if i in replaced else names[i].replace(".JPEG", ".jpg")
            for i in order
        ]
        layers = (features[layer][order] for layer in LAYERS)
        write_published_layout(path, layers, LAYERS, "layer_name", spelled)
    for subject in SUBJECTS:
        path = folder / f"{subject}_BOLD5000_CORR_RDMs.h5"
        order = rng.permutation(N_IMAGES)
        if not path.is_file():
            own = generator(seed, RUN, subject)
            patterns = (
                np.sqrt(SIGNAL) * features[PLANTED_LAYER[roi[2:]]][order]
                + np.sqrt(1 - SIGNAL) * own.standard_normal((N_IMAGES, N_FEATURES))
                for roi in ROIS
            )
            write_published_layout(path, patterns, ROIS, "ROI", [names[i] for i in order])


def run_study(study: str, folder: Path, n_permutations: int) -> tuple[float, float]:
    """Run one study's comparisons and heatmaps; return seconds and the largest process in MB."""
    results = f"results/{RUN}/{study}"
    targets = [f"{results}/figures/heatmap_{subject}.png" for subject in (*SUBJECTS, "joint")]
    settings = {"inference": {"n_permutations": n_permutations}, "figures": ["heatmap"]}
    return run_workflow(folder, settings, [*targets, f"{results}/tables/noise_ceiling.csv"], 1)


def run_workflow(
    folder: Path, settings: Mapping[str, object], targets: Sequence[str], cores: int
) -> tuple[float, float]:
    """Make files by the workflow from raw files in a folder, whether they are there or not.

    Parameters
    ----------
    folder : of the raw files; the workflow runs in run/ below it
    settings : of both studies
    targets : files below run/
    cores : how many to use

    Returns
    -------
    seconds, and the largest process in MB
    """
    directory = folder / "run"
    directory.mkdir(exist_ok=True)
    overlay = folder / "config.yaml"
    overlay.write_text(
        yaml.safe_dump(
            {
                "run": RUN,
                "studies": list(STUDIES),
                "rsa": {
                    "bold5000": {
                        "source": "path",
                        "path": str(folder.resolve()),
                        **settings,
                    },
                    "bold5000_published": dict(settings),
                },
                "bold5000": {"studies": []},
            }
        )
    )
    # A working directory of its own keeps locks and results apart from those of other runs.
    command = [
        *(sys.executable, "-m", "snakemake", "--cores", str(cores)),
        *("--snakefile", str(ROOT / "Snakefile"), "--directory", str(directory)),
        *("--configfile", str(ROOT / "config" / "config.yaml"), str(overlay)),
        *("--forceall", "--quiet", "progress", "rules"),
        *("--", *targets),
    ]
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=directory)
    # The kernel's count, over every descendant: it misses no peak, as sampling can.
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        sys.exit(f"the workflow failed with status {os.waitstatus_to_exitcode(status)}")
    return seconds, usage.ru_maxrss * 1024 / 1e6


def measured(study: str, folder: Path) -> pd.DataFrame:
    """Return Snakemake's benchmarks of a study: a row per rule, its longest and largest job."""
    benchmarks = folder / "run" / "results" / RUN / "benchmarks" / study
    rules = {
        "rdms/align_images": "align_images",
        "rdms/brain_": "import_brain_rdms",
        "rdms/model_": "import_model_rdms",
        "rdms/average_subjects": "average_subjects",
        "tables/rsa_": "compare_rdms",
        "tables/noise_ceiling": "estimate_noise_ceiling",
    }
    rows = []
    for start, rule in rules.items():
        jobs = [
            pd.read_csv(file, sep="\t", na_values="-") for file in benchmarks.glob(f"{start}*.tsv")
        ]
        seconds = max(job["s"].max() for job in jobs)
        # Snakemake gives MiB.
        peak = max(job["max_rss"].max() for job in jobs) * 2**20 / 1e6
        rows.append((study, STUDIES[study][0], rule, len(jobs), seconds, peak))
    return pd.DataFrame(rows, columns=["study", "images", "rule", "jobs", "seconds", "peak MB"])


def markdown(table: pd.DataFrame) -> str:
    """Return a table as markdown, whole seconds and megabytes."""
    header = [f"| {' | '.join(table.columns)} |", "|---" * len(table.columns) + "|"]
    rows = [
        "| " + " | ".join(f"{x:.0f}" if isinstance(x, float) else str(x) for x in row) + " |"
        for row in table.itertuples(index=False)
    ]
    return "\n".join(header + rows)


def cpu_model() -> str:
    """Return the processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def main() -> None:
    """Write the raw files, run both studies, and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="for raw files and results")
    parser.add_argument("--n-permutations", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    write_raw_files(arguments.folder, arguments.seed)

    tables, lines, over = [], [], []
    for study, (n_images, limit) in STUDIES.items():
        seconds, largest = run_study(study, arguments.folder, arguments.n_permutations)
        images = pd.read_csv(
            arguments.folder / "run" / "results" / RUN / study / "rdms" / "images.csv"
        )
        if len(images) != n_images:
            sys.exit(f"{study}: found {len(images)} common images, expected {n_images}")
        tables.append(measured(study, arguments.folder))
        lines.append(
            f"{study}: {seconds:.0f} s in all; largest process {largest:.0f} MB by the kernel's "
            f"count, allowed {limit} MB."
        )
        if largest > limit:
            over.append(study)
    report = "\n\n".join(
        [
            "# The BOLD5000 study at its real size",
            f"{cpu_model()}, {os.cpu_count()} cores, one used; {datetime.date.today()}; "
            f"{arguments.n_permutations} permutations. Seconds and peak memory are those of the "
            "longest and the largest job of a rule, sampled by Snakemake; a job of under half a "
            "second may have no sample.",
            markdown(pd.concat(tables)),
            *lines,
        ]
    )
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(report + "\n")
    print(report)
    if over:
        sys.exit(f"more memory than allowed: {', '.join(over)}")


if __name__ == "__main__":
    main()
