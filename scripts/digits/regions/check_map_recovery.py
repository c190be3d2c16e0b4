"""Compare the maps of the group with the regions that were planted in the simulation."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.nifti.maps import BrainMaps, check_same_grid, read_maps
from workflow.lib.searchlight.assignment import assign, layer_groups
from workflow.lib.searchlight.spheres import sphere_offsets
from workflow.lib.tables import read_table, write_html, write_table


def check_map_recovery(
    truth: pd.DataFrame,
    labels: BrainMaps,
    mean_z: BrainMaps,
    p: BrainMaps,
    table: pd.DataFrame,
    *,
    groups: Mapping[str, Mapping[str, Sequence[str]]],
    radius: float,
    unit: str,
) -> pd.DataFrame:
    """Return how well the map of each planted layer or code finds its region.

    Parameters
    ----------
    truth : DataFrame, columns region, label, planted_model, planted_layer
    labels : image of the regions' labels
    mean_z, p : maps of the group: mean z, corrected p-values
    table : DataFrame, `searchlight_group.csv`
    groups : mapping, model -> group -> its layers; each layer is one where there are none
    radius, unit : of the spheres

    Returns
    -------
    DataFrame, a row per planted region: region, planted_model, planted_layer, n_voxels,
    n_reach (voxels whose sphere holds some of the region), n_significant, sensitivity, in_group,
    overlap and overlap_reach (Dice coefficients with the region, and with its reach), n_false,
    n_beyond, peak_mm, alpha
    """
    check_same_grid([mean_z, p])
    masks = {row.region: labels.values[0] == row.label for row in truth.itertuples()}
    reached = {
        region: within_reach(mask, labels.affine, radius, unit) & mean_z.mask
        for region, mask in masks.items()
    }
    beyond = mean_z.mask & ~np.any(list(reached.values()), axis=0)
    places = np.moveaxis(np.indices(beyond.shape), 0, -1) @ labels.affine[:3, :3].T
    rows = []
    for row in truth.itertuples():
        own = table[table["model"] == row.planted_model]
        planted = own[own["layer"] == row.planted_layer].iloc[0]
        region, reach = masks[row.region], reached[row.region]
        significant = p.values[planted["volume"]] <= planted["alpha"]
        best = best_group(mean_z, own, row.planted_layer, groups.get(row.planted_model, {}))
        found = significant & best
        z = np.where(reach, mean_z.values[planted["volume"]], -np.inf)
        peak = places[np.unravel_index(z.argmax(), z.shape)]
        rows.append(
            {
                "region": row.region,
                "planted_model": row.planted_model,
                "planted_layer": row.planted_layer,
                "n_voxels": int(region.sum()),
                "n_reach": int(reach.sum()),
                "n_significant": int(significant.sum()),
                "sensitivity": float(significant[region].mean()),
                "in_group": float(best[region].mean()),
                "overlap": dice(found, region),
                "overlap_reach": dice(found, reach),
                "n_false": int((significant & beyond).sum()),
                "n_beyond": int(beyond.sum()),
                "peak_mm": float(np.linalg.norm(peak - places[region].mean(axis=0))),
                "alpha": float(planted["alpha"]),
            }
        )
    return pd.DataFrame(rows)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Return the Dice coefficient of two bool arrays of one shape, of which one is not empty."""
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def within_reach(region: np.ndarray, affine: np.ndarray, radius: float, unit: str) -> np.ndarray:
    """Return the voxels whose sphere holds some of a region.

    Parameters
    ----------
    region : bool array (x, y, z)
    affine : float array (4, 4)
    radius, unit : see `workflow.lib.searchlight.spheres.sphere_offsets`
    """
    offsets = sphere_offsets(affine, radius, unit)
    voxels = (np.argwhere(region)[:, np.newaxis] + offsets).reshape(-1, 3)
    on_grid = ((voxels >= 0) & (voxels < region.shape)).all(axis=1)
    reached = np.zeros_like(region)
    reached[tuple(voxels[on_grid].T)] = True
    return reached


def best_group(
    mean_z: BrainMaps, rows: pd.DataFrame, layer: str, groups: Mapping[str, Sequence[str]]
) -> np.ndarray:
    """Return where the best of a model's layers belongs to the group of one, bool (x, y, z).

    Parameters
    ----------
    mean_z : maps of the group
    rows : DataFrame, the rows of the model in `searchlight_group.csv`
    layer : of the model
    groups : mapping, group -> its layers; each layer is one if empty
    """
    layers = rows["layer"].tolist()
    of_layer = layer_groups(layers, groups)
    best = assign(mean_z.values[rows["volume"]].reshape(len(rows), -1), of_layer)
    wanted = list(dict.fromkeys(of_layer)).index(of_layer[layers.index(layer)])
    return (best.group == wanted).reshape(mean_z.mask.shape)


if __name__ == "__main__":
    with script_job(snakemake) as log:
        files, params = snakemake.input, snakemake.params
        truth = pd.read_csv(files.truth, keep_default_na=False)
        table = check_map_recovery(
            truth[truth["planted_layer"] != "none"],
            read_maps(files.regions),
            read_maps(files.mean_z),
            read_maps(files.p),
            read_table(files.table),
            groups=params.layer_groups,
            radius=params.radius,
            unit=params.unit,
        )
        log.info(
            "mean overlap with the planted regions: %.2f, with what their spheres reach: %.2f",
            *table[["overlap", "overlap_reach"]].mean(),
        )
        write_table(table, snakemake.output.table)
        write_html(
            table.round(3),
            snakemake.output.html,
            title="Planted regions and what the maps of the group find",
            simulated=True,
        )
