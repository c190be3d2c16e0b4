"""Average what covering volumes showed into maps, and hold these to other maps and to the truth.

snakemake --cores 1 results/demo/movie/maps/occlusion_FEAR.nii.gz
"""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations, permutations

import nibabel
import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from scripts.emotions.cubes import over_cubes, over_voxels
from scripts.emotions.occlusion_file import Occlusions, read_occlusions
from scripts.emotions.planted import planted_voxels
from workflow.lib.errors import InputError
from workflow.lib.jobs import script_job
from workflow.lib.searchlight.maps import write_maps
from workflow.lib.tables import write_table

# In the table of recovery, the row of all emotions together.
ALL = "all"
# Of the voxels, what can be called top ones: 500 of the published brain are a hundredth of it, and
# of a small one they would be half.
MOST = 0.05
STATUSES = ("probable", "right", "wrong")


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
        probability (mean, of the true emotion), largest_drop (of a cube). Spearman correlations
        over cubes: r_gradients, with integrated gradients; r_shuffled, with the map of networks
        whose weights were shuffled; r_subjects, of different subjects, mean over pairs; and
        r_subjects_other, of different subjects and different emotions, for comparison.
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
                "largest_drop": drops[code].max(),
                "r_gradients": correlation(drops[code], gradients[code]),
                "r_shuffled": correlation(drops[code], shuffled[code]),
                "r_subjects": own[code],
                "r_subjects_other": other[code],
            }
        )
    return pd.DataFrame(rows)


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


def tabulate_recovery(
    maps: Mapping[str, np.ndarray], truth: np.ndarray, emotions: Sequence[str]
) -> pd.DataFrame:
    """Return how well maps find the voxels that were planted.

    Parameters
    ----------
    maps : mapping, kind of map -> float array (n_classes, n_voxels)
        NaN counts as the lowest value.
    truth : bool array (n_classes, n_voxels)
        Voxels that respond to each emotion.
    emotions : sequence of n_classes str

    Returns
    -------
    DataFrame, a row per kind of map and emotion, and one of all emotions
        kind, emotion, n_voxels, n_planted; auc, area under the ROC curve of planted voxels (0.5
        for a guess); auc_other, of the maps of all other emotions; dice, overlap of the planted
        voxels with as many top ones; dice_chance, of a guess; p, how often maps that are dealt out
        to emotions in another order find as much (all orders, the true one among them).
    """
    parts = []
    for kind, values in maps.items():
        filled = np.where(np.isfinite(values), values, -np.inf)
        ranks = filled.argsort(axis=1).argsort(axis=1)
        # Equal values share their rank through the AUC of the values themselves.
        finite = np.where(np.isfinite(filled), filled, np.nanmin(values) - 1)
        auc = np.array([[roc_auc_score(region, one) for region in truth] for one in finite])
        n_planted = truth.sum(axis=1)
        top = [row >= len(row) - n for row, n in zip(ranks, n_planted, strict=True)]
        own = np.diag(auc)
        table = pd.DataFrame(
            {
                "kind": kind,
                "emotion": list(emotions),
                "n_voxels": truth.shape[1],
                "n_planted": n_planted,
                "auc": own,
                "auc_other": (auc.sum(axis=0) - own) / (len(own) - 1),
                "dice": [(a & b).sum() / b.sum() for a, b in zip(top, truth, strict=True)],
                "dice_chance": n_planted / truth.shape[1],
            }
        )
        means = table.mean(numeric_only=True).to_dict()
        together = {**means, "kind": kind, "emotion": ALL, "p": _order_p(auc)}
        parts += [table, pd.DataFrame([together])]
    return pd.concat(parts, ignore_index=True)


def _order_p(auc: np.ndarray) -> float:
    """Return the share of orders of the maps whose mean AUC is as large as that of the true one."""
    n = len(auc)
    sums = np.array([auc[list(order), np.arange(n)].sum() for order in permutations(range(n))])
    return float((sums >= np.trace(auc) - 1e-12).mean())


def truth_of(found: Occlusions) -> np.ndarray:
    """Return the voxels of the mask that respond to each emotion, bool (n_classes, n_voxels).

    Raises
    ------
    InputError
        A grid that is not the simulation's, or an emotion to which no voxel of the mask responds.
    """
    planted = [planted_voxels(emotion) for emotion in found.classes]
    if planted[0].shape != found.mask.shape:
        raise InputError(
            f"occlusion: found a grid of {found.mask.shape} voxels, expected "
            f"{planted[0].shape}, that of the simulation; simulate the study again"
        )
    truth = np.stack([region[found.mask] for region in planted])
    if not truth.any(axis=1).all():
        emotion = found.classes[int(np.argmin(truth.any(axis=1)))]
        raise InputError(
            f"occlusion: found no voxel of the mask that responds to {emotion}, expected some; "
            "leave the emotion out of `labels.classes`"
        )
    return truth


if __name__ == "__main__":
    with script_job(snakemake):
        output, params = snakemake.output, snakemake.params
        found = read_occlusions(snakemake.input[0])
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
            write_table(tabulate_recovery(maps, truth_of(found), found.classes), output.recovery)
