"""A small movie study in memory: every emotion makes one region of the brain brighter."""

from pathlib import Path

import numpy as np
import pandas as pd

from scripts.emotions.data.timeseries import TimeSeries, write_timeseries
from scripts.emotions.labelling.labels import Labels

CLASSES = ("FEAR", "LOVE", "SADNESS")
GRID = (11, 10, 9)
RUNS = ("1", "2", "3", "4")
N_VOLUMES = 36
EPISODE = 4
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
# One corner of each emotion's region of 3 x 3 x 3 voxels.
CORNERS = {"FEAR": (2, 2, 3), "LOVE": (6, 3, 3), "SADNESS": (4, 6, 3)}


def movie_mask():
    """Return an ellipsoid that does not reach the border of the grid, bool (x, y, z)."""
    places = np.indices(GRID) - (np.array(GRID)[:, None, None, None] - 1) / 2
    return (np.square(places / (np.array(GRID)[:, None, None, None] / 2 - 0.6))).sum(axis=0) <= 1


def regions():
    """Return emotion -> bool (x, y, z), its region within the mask."""
    found = {}
    for emotion, corner in CORNERS.items():
        region = np.zeros(GRID, bool)
        region[tuple(slice(start, start + 3) for start in corner)] = True
        found[emotion] = region & movie_mask()
    return found


def movie_labels(seed=0):
    """Return labels: episodes of one emotion or none, each emotion about as often in every run."""
    rng = np.random.default_rng(seed)
    tables = []
    for number, run in enumerate(RUNS):
        n_episodes = N_VOLUMES // EPISODE
        names = rng.permutation(np.resize([*CLASSES, ""], n_episodes))
        table = pd.DataFrame({"run": run, "volume": np.arange(N_VOLUMES)})
        table["time"] = table["shown"] = 2.0 * (number * N_VOLUMES + np.arange(N_VOLUMES))
        table["used"] = True
        table["label"] = np.repeat(names, EPISODE)
        numbers = np.repeat(np.arange(n_episodes) + number * n_episodes, EPISODE)
        table["episode"] = np.where(table["label"] == "", -1, numbers)
        tables.append(table)
    table = pd.concat(tables, ignore_index=True).assign(agreement=9, sampled=True)
    for emotion in CLASSES:
        table[f"n_{emotion}"] = np.where(table["label"] == emotion, 9, 0)
    # Two runs show the last volumes of the first one.
    table.loc[(table["run"] == "1") & (table["volume"] >= N_VOLUMES - 2), "used"] = False
    return Labels(table, CLASSES)


def write_movie(
    folder: Path, labels: Labels, *, n_subjects=2, strength=2.0, seed=0, aligned=True
) -> list[TimeSeries]:
    """Write the time series of subjects, white noise but for the regions."""
    mask, of_emotion = movie_mask(), regions()
    series = []
    for subject in range(n_subjects):
        rng = np.random.default_rng([seed, subject])
        runs = {}
        for run in RUNS:
            shown = labels.table["label"].to_numpy()[labels.of_run(run)]
            values = rng.standard_normal((len(shown), int(mask.sum())))
            for emotion, region in of_emotion.items():
                values[np.ix_(shown == emotion, region[mask])] += strength
            runs[run] = (values - values.mean(axis=0)) / values.std(axis=0)
        path = Path(folder) / f"{subject + 1:02}.h5"
        write_timeseries(
            path,
            runs,
            subject=f"{subject + 1:02}",
            tr=2.0,
            mask=mask,
            affine=AFFINE,
            aligned=aligned,
        )
        series.append(TimeSeries(path))
    return series
