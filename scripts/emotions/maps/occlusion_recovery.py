"""How well maps of what a network needs find the voxels that a simulation planted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from workflow.lib.errors import InputError
from workflow.lib.inference.orders import image_orders
from workflow.lib.nifti.files import read_header, read_volume
from workflow.lib.nifti.grids import Volume
from workflow.lib.tables import read_table

# In the table, the row of all emotions together.
ALL = "all"
# All orders of up to seven emotions.
N_ORDERS = 5040
# In maps of planted voxels.
NOT_PLANTED, SHARED, OWN = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Planted:
    """Voxels that respond to emotions in a simulation.

    Attributes
    ----------
    own : bool array (n_classes, n_voxels)
        Those that respond to the emotion alone. A network that tells emotions apart needs them.
    shared : bool array (n_classes, n_voxels)
        Those that respond to it and to others. A network may do without them.
    effect : bool
        Whether they do respond; in a null simulation they would with an effect, and do not.
    """

    own: np.ndarray
    shared: np.ndarray
    effect: bool = True

    @property
    def all(self) -> np.ndarray:
        """Voxels that respond to each emotion, bool (n_classes, n_voxels)."""
        return self.own | self.shared

    def maps(self) -> np.ndarray:
        """Return a map per emotion, float (n_classes, n_voxels) of NOT_PLANTED, SHARED, OWN."""
        return np.select([self.own, self.shared], [OWN, SHARED], NOT_PLANTED).astype(float)


def read_planted(
    table: str | Path,
    regions: str | Path,
    *,
    mask: np.ndarray,
    affine: np.ndarray,
    emotions: Sequence[str],
) -> Planted:
    """Return which voxels of a mask respond to each emotion.

    Parameters
    ----------
    table : path of truth.csv, see `scripts.emotions.data.simulate_movie.truth_table`
    regions : path of the image with the numbers of the regions
    mask : bool array (x, y, z) of n_voxels
    affine : float array (4, 4)
    emotions : sequence of n_classes str

    Raises
    ------
    InputError
        Regions on another grid, or an emotion to which no voxel of the mask alone responds.
    """
    truth = read_table(table)
    reference = Volume("the occluded volumes", Path(regions), mask.shape, affine, 1)
    numbers = read_volume(read_header(regions), reference)
    single = truth.groupby("number")["with_effect"].transform("nunique") == 1
    own, shared = (
        np.stack(
            [
                np.isin(numbers[mask], truth.loc[part & (truth["with_effect"] == one), "number"])
                for one in emotions
            ]
        )
        for part in (single, ~single)
    )
    if not own.any(axis=1).all():
        emotion = emotions[int(np.argmin(own.any(axis=1)))]
        raise InputError(
            f"{regions}: found no voxel of the mask that responds to {emotion} alone, expected "
            "some; leave the emotion out of `labels.classes`"
        )
    return Planted(own, shared, effect=bool((truth["emotion"] == truth["with_effect"]).all()))


def tabulate_recovery(
    maps: Mapping[str, np.ndarray],
    planted: Planted,
    emotions: Sequence[str],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return how well maps find the voxels that were planted.

    Parameters
    ----------
    maps : mapping, kind of map -> float array (n_classes, n_voxels)
        NaN counts as the lowest value.
    planted : Planted
    emotions : sequence of n_classes str
    rng : numpy Generator
        Of the orders, where there are too many emotions to try all.

    Returns
    -------
    DataFrame, a row per kind of map and emotion, and one of all emotions
        kind, emotion, effect (whether planted voxels respond), n_voxels, n_planted, n_own (those
        that respond to the emotion alone); auc, area under the ROC curve of planted voxels (0.5
        for a guess); auc_other, of the maps of all other emotions; auc_own and auc_own_other, the
        same of voxels that respond to the emotion alone, against those that do not respond to it;
        dice, overlap of the planted voxels with as many top ones; dice_chance, of a guess; p, how
        often maps that are dealt out to emotions in another order reach as large an auc_own (all
        orders up to seven emotions, the true one among them).
    """
    parts, truth = [], planted.all
    for kind, values in maps.items():
        filled = np.where(np.isfinite(values), values, -np.inf)
        ranks = filled.argsort(axis=1).argsort(axis=1)
        # Equal values share their rank through the AUC of the values themselves.
        finite = np.where(np.isfinite(filled), filled, np.nanmin(values) - 1)
        areas = _areas(finite, truth, np.ones_like(truth))
        own_areas = _areas(finite, planted.own, planted.own | ~truth)
        n_planted = truth.sum(axis=1)
        top = [row >= len(row) - n for row, n in zip(ranks, n_planted, strict=True)]
        table = pd.DataFrame(
            {
                "kind": kind,
                "emotion": list(emotions),
                "n_voxels": truth.shape[1],
                "n_planted": n_planted,
                "n_own": planted.own.sum(axis=1),
                "auc": np.diag(areas),
                "auc_other": _others(areas),
                "auc_own": np.diag(own_areas),
                "auc_own_other": _others(own_areas),
                "dice": [(a & b).sum() / b.sum() for a, b in zip(top, truth, strict=True)],
                "dice_chance": n_planted / truth.shape[1],
            }
        )
        means = table.mean(numeric_only=True).to_dict()
        p = _order_p(own_areas, rng)
        parts += [table, pd.DataFrame([{**means, "kind": kind, "emotion": ALL, "p": p}])]
    rows = pd.concat(parts, ignore_index=True)
    rows.insert(2, "effect", planted.effect)
    return rows


def _areas(values: np.ndarray, planted: np.ndarray, compared: np.ndarray) -> np.ndarray:
    """Return the area of each map (row) for the planted voxels of each emotion (column)."""
    return np.array(
        [
            [
                roc_auc_score(region[among], one[among])
                for region, among in zip(planted, compared, strict=True)
            ]
            for one in values
        ]
    )


def _others(areas: np.ndarray) -> np.ndarray:
    """Return the mean area of the maps of all other emotions."""
    return (areas.sum(axis=0) - np.diag(areas)) / (len(areas) - 1)


def _order_p(areas: np.ndarray, rng: np.random.Generator) -> float:
    """Return the share of orders of the maps whose mean area is at least that of the true one."""
    n = len(areas)
    orders, _ = image_orders(n, N_ORDERS, rng)
    sums = np.array([areas[order, np.arange(n)].sum() for order in orders])
    return float((sums >= np.trace(areas) - 1e-12).mean())
