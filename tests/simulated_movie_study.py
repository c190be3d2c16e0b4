"""The default study of the movie, from the config, simulated and prepared without Snakemake."""

from pathlib import Path

import numpy as np
import yaml

from scripts.emotions.data.mask_volumes import mask_volumes, write_mask
from scripts.emotions.data.planted import GRID, REGIONS, region_masks
from scripts.emotions.data.prepare_volumes import Steps, prepare_volumes
from scripts.emotions.data.simulate_movie import simulate_movie
from scripts.emotions.data.timeseries import TimeSeries
from scripts.emotions.labelling.label_volumes import Choices, label_volumes
from scripts.emotions.labelling.labels import Labels
from workflow.lib.config.complete import complete_config
from workflow.lib.tables import write_table

ROOT = Path(__file__).parents[1]
STEPS = ("detrend", "high_pass", "standardise", "smoothing")


def planted_voxels(emotion: str) -> np.ndarray:
    """Return the voxels that respond to an emotion, bool GRID."""
    masks = region_masks()
    own = [masks[name] for name, region in REGIONS.items() if emotion in region.emotions]
    return np.any([np.zeros(GRID, dtype=bool), *own], axis=0)


def movie_entry() -> dict:
    """Return the entry `movie` of the default config, complete."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    return complete_config(config)["emotions"]["movie"]


def simulated_study(
    folder: Path, entry: dict, *, seed: int, null_effect: bool = False
) -> tuple[list[TimeSeries], Labels]:
    """Return the time series of all subjects and the labels."""
    raw, emotions = folder / "raw", entry["labels"]["classes"]
    truth = simulate_movie(
        raw,
        subjects=entry["subjects"],
        runs=entry["runs"],
        tr=entry["tr"],
        files=entry["files"],
        confounds=None,
        annotations=entry["annotations"]["files"],
        observers=entry["annotations"]["observers"],
        emotions=emotions,
        null_effect=null_effect,
        seed=seed,
        name="movie",
    )
    write_table(truth, raw / "truth.csv")
    tables = label_volumes(
        {
            observer: raw / entry["annotations"]["files"].format(observer=observer)
            for observer in entry["annotations"]["observers"]
        },
        runs=entry["runs"],
        tr=entry["tr"],
        labels=Choices(**entry["labels"]),
        seed=seed,
        study="movie",
        vocabulary=entry["annotations"]["vocabulary"],
    )
    runs = [
        {run: raw / entry["files"].format(subject=subject, run=run) for run in entry["runs"]}
        for subject in entry["subjects"]
    ]
    n_volumes = {run: block["n_volumes"] for run, block in entry["runs"].items()}
    write_mask(folder / "mask.nii.gz", *mask_volumes(runs, tr=entry["tr"], n_volumes=n_volumes))
    series = []
    for subject, files in zip(entry["subjects"], runs, strict=True):
        prepare_volumes(
            folder / f"{subject}.h5",
            files,
            subject=subject,
            tr=entry["tr"],
            n_volumes=n_volumes,
            steps=Steps(**{step: entry["volumes"][step] for step in STEPS}),
            aligned=True,
            mask=folder / "mask.nii.gz",
        )
        series.append(TimeSeries(folder / f"{subject}.h5"))
    return series, Labels(tables.labels, tuple(emotions))
