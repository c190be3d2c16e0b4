"""Average what covering volumes showed into maps, and hold these to other maps and to the truth.

snakemake --cores 1 results/demo/movie/maps/occlusion_FEAR.nii.gz
"""

import math
from collections.abc import Sequence
from itertools import combinations

import nibabel
import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from scripts.emotions.maps.cubes import over_cubes, over_voxels
from scripts.emotions.maps.occlusion_file import STATUSES, Occlusions, read_occlusions
from scripts.emotions.maps.occlusion_recovery import read_planted, tabulate_recovery
from workflow.lib.jobs import script_job
from workflow.lib.nifti.maps import write_maps
from workflow.lib.seeds import generator
from workflow.lib.tables import write_table

# Of the voxels, what can be called top ones: 500 of the published brain are a hundredth of it, and
# of a small one they would be half.
MOST = 0.05


def emotion_means(found: Occlusions, values: np.ndarray) -> np.ndarray:
    """Return the mean over the volumes of each emotion, float64 (n_classes, n).

    Parameters
    ----------
    found : Occlusions
    values : float array (n_volumes, n)
    """
    emotions = found.table["emotion"].to_numpy()
    return np.stack(
        [values[emotions == emotion].mean(axis=0, dtype=np.float64) for emotion in found.classes]
    )


def occlusion_maps(found: Occlusions, drops: np.ndarray) -> np.ndarray:
    """Return a map of each emotion, float64 (n_classes, n_voxels), from drops of cubes."""
    return over_voxels(emotion_means(found, drops), found.corners, found.edge, found.mask)


def tabulate_checks(found: Occlusions) -> pd.DataFrame:
    """Return how far the map of each emotion agrees with what it should, and should not.

    Returns
    -------
    DataFrame, a row per emotion
        n (volumes), n_subjects, n_probable, n_right, n_wrong (volumes by why they were chosen),
        probability (mean, of the true emotion); n_confident, all test volumes given at least the
        asked probability of the emotion, and share_right, how many of these are of it;
        largest_drop (of a cube). Spearman correlations over cubes: r_gradients, with integrated
        gradients; r_shuffled, with the map of networks whose weights were shuffled; r_subjects, of
        different subjects, mean over pairs; and r_subjects_other, of different subjects and
        different emotions, for comparison.
    """
    drops = emotion_means(found, found.drops)
    shuffled = emotion_means(found, found.shuffled_drops)
    gradients = over_cubes(
        emotion_means(found, found.gradients), found.corners, found.edge, found.mask
    )
    own, other = _between_subjects(found)
    rows = []
    for code, emotion in enumerate(found.classes):
        volumes = found.table[found.table["emotion"] == emotion]
        status = volumes["status"].value_counts()
        rows.append(
            {
                "emotion": emotion,
                "n": len(volumes),
                "n_subjects": volumes["subject"].nunique(),
                **{f"n_{name}": int(status.get(name, 0)) for name in STATUSES},
                "probability": volumes["probability"].mean(),
                "n_confident": int(found.n_confident[code]),
                "share_right": _share(found.n_confident_right[code], found.n_confident[code]),
                "largest_drop": drops[code].max(),
                "r_gradients": correlation(drops[code], gradients[code]),
                "r_shuffled": correlation(drops[code], shuffled[code]),
                "r_subjects": own[code],
                "r_subjects_other": other[code],
            }
        )
    return pd.DataFrame(rows)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else np.nan


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return Spearman's correlation; NaN where all values are the same."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return np.nan
    return float(spearmanr(first, second).statistic)


def _between_subjects(found: Occlusions) -> tuple[list[float], list[float]]:
    """Return mean correlations between subjects, of the same and of other emotions."""
    means = {
        (subject, code): found.drops[rows].mean(axis=0)
        for (subject, code), rows in found.table.groupby(["subject", "code"]).indices.items()
    }
    same: dict[int, list[float]] = {code: [] for code in range(len(found.classes))}
    others: dict[int, list[float]] = {code: [] for code in range(len(found.classes))}
    for ((one, first), a), ((two, second), b) in combinations(means.items(), 2):
        if one == two:
            continue
        r = correlation(a, b)
        if first == second:
            same[first].append(r)
        else:
            others[first].append(r)
            others[second].append(r)
    return tuple([_mean(values) for values in part.values()] for part in (same, others))


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else np.nan


def tabulate_top_voxels(
    maps: np.ndarray, mask: np.ndarray, affine: np.ndarray, emotions: Sequence[str], n_top: int
) -> pd.DataFrame:
    """Return the voxels of each emotion whose covering costs most.

    Parameters
    ----------
    maps : float array (n_classes, n_voxels)
    mask : bool array (x, y, z) of n_voxels
    affine : float array (4, 4)
    emotions : sequence of n_classes str
    n_top : int
        At most, and no more than the share `MOST` of all voxels; voxels whose covering costs
        nothing are left out.

    Returns
    -------
    DataFrame, a row per emotion and voxel, by falling drop
        emotion, rank (from 1), i, j, k (voxel), x, y, z (mm), drop.
    """
    voxels = np.argwhere(mask)
    n_top = min(n_top, math.ceil(MOST * len(voxels)))
    places = nibabel.affines.apply_affine(affine, voxels)
    parts = []
    for emotion, values in zip(emotions, np.nan_to_num(maps), strict=True):
        order = np.argsort(-values, kind="stable")[:n_top]
        order = order[values[order] > 0]
        part = pd.DataFrame(
            np.column_stack([voxels[order], places[order]]), columns=["i", "j", "k", "x", "y", "z"]
        ).astype({"i": int, "j": int, "k": int})
        part.insert(0, "emotion", emotion)
        part.insert(1, "rank", np.arange(1, len(order) + 1))
        parts.append(part.assign(drop=values[order]))
    return pd.concat(parts, ignore_index=True)


if __name__ == "__main__":
    with script_job(snakemake):
        output, params = snakemake.output, snakemake.params
        found = read_occlusions(snakemake.input.occlusions)
        maps = {
            "occlusion": occlusion_maps(found, found.drops),
            "gradients": emotion_means(found, found.gradients),
            "shuffled weights": occlusion_maps(found, found.shuffled_drops),
        }
        for kind in ("occlusion", "gradients"):
            for path, values in zip(output[kind], maps[kind], strict=True):
                write_maps(path, values[None], found.mask, found.affine)
        write_table(tabulate_checks(found), output.checks)
        top = tabulate_top_voxels(
            maps["occlusion"], found.mask, found.affine, found.classes, params.n_top
        )
        write_table(top, output.top_voxels)
        if params.simulated:
            planted = read_planted(
                snakemake.input.truth,
                snakemake.input.regions,
                mask=found.mask,
                affine=found.affine,
                emotions=found.classes,
            )
            for path, values in zip(output.planted, planted.maps(), strict=True):
                write_maps(path, values[None], found.mask, found.affine)
            rng = generator(params.seed, "emotions", "recovery", snakemake.wildcards.study)
            write_table(tabulate_recovery(maps, planted, found.classes, rng), output.recovery)
