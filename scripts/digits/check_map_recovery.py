"""Compare the maps of the group with the regions that were planted in the simulation."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.searchlight.assignment import VOLUMES
from workflow.lib.searchlight.maps import BrainMaps, check_same_grid, read_maps
from workflow.lib.searchlight.spheres import sphere_offsets
from workflow.lib.tables import read_table, write_html, write_table


def check_map_recovery(
    truth: pd.DataFrame,
    labels: BrainMaps,
    mean_z: BrainMaps,
    p: BrainMaps,
    table: pd.DataFrame,
    *,
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
    radius, unit : of the spheres

    Returns
    -------
    DataFrame, a row per planted region: region, planted_model, planted_layer, n_voxels,
    n_significant, sensitivity, overlap, n_false, n_beyond, peak_mm, alpha
    """
    check_same_grid([mean_z, p])
    tested = mean_z.mask
    reached = {
        row.region: within_reach(labels.values[0] == row.label, labels.affine, radius, unit)
        for row in truth.itertuples()
    }
    beyond = tested & ~np.any(list(reached.values()), axis=0)
    places = np.moveaxis(np.indices(tested.shape), 0, -1) @ labels.affine[:3, :3].T
    maps = table.set_index(["model", "layer"])
    rows = []
    for row in truth.itertuples():
        of_map = maps.loc[(row.planted_model, row.planted_layer)]
        region, here = labels.values[0] == row.label, reached[row.region] & tested
        significant = p.values[int(of_map["volume"])] <= of_map["alpha"]
        z = np.where(here, mean_z.values[int(of_map["volume"])], -np.inf)
        peak = places[np.unravel_index(np.nanargmax(z), z.shape)]
        both = (significant & here).sum()
        rows.append(
            {
                "region": row.region,
                "planted_model": row.planted_model,
                "planted_layer": row.planted_layer,
                "n_voxels": int(region.sum()),
                "n_significant": int(significant.sum()),
                "sensitivity": float(significant[region & tested].mean()),
                "overlap": float(2 * both / (significant.sum() + here.sum())),
                "n_false": int((significant & beyond).sum()),
                "n_beyond": int(beyond.sum()),
                "peak_mm": float(np.linalg.norm(peak - places[region].mean(axis=0))),
                "alpha": float(of_map["alpha"]),
            }
        )
    return pd.DataFrame(rows)


def within_reach(region: np.ndarray, affine: np.ndarray, radius: float, unit: str) -> np.ndarray:
    """Return the voxels whose sphere holds some of a region.

    Parameters
    ----------
    region : bool array (x, y, z)
    affine : float array (4, 4)
    radius, unit : see `workflow.lib.searchlight.spheres.sphere_offsets`
    """
    reached = np.zeros_like(region)
    voxels = (np.argwhere(region)[:, np.newaxis] + sphere_offsets(affine, radius, unit)).reshape(
        -1, 3
    )
    on_grid = ((voxels >= 0) & (voxels < region.shape)).all(axis=1)
    reached[tuple(voxels[on_grid].T)] = True
    return reached


def group_recovery(
    truth: pd.DataFrame, labels: BrainMaps, assignment: BrainMaps, layers: pd.DataFrame
) -> pd.DataFrame:
    """Return in which share of each layer's region the assigned layers are of the planted group.

    Parameters
    ----------
    truth, labels : as in `check_map_recovery`
    assignment : volumes of an assignment of the group
    layers : DataFrame, its table, columns model, layer and group

    Returns
    -------
    DataFrame, columns region, in_group, in_group_reliable; NaN for regions of other models
    """
    groups = list(dict.fromkeys(layers["group"]))
    group_of: Mapping[str, str] = dict(zip(layers["layer"], layers["group"], strict=True))
    model = layers["model"].iloc[0]
    best, reliable = (assignment.values[VOLUMES.index(name)] for name in ("group", "reliable"))
    rows = []
    for row in truth.itertuples():
        shares = (np.nan, np.nan)
        if row.planted_model == model:
            wanted = groups.index(group_of[row.planted_layer]) + 1
            region = (labels.values[0] == row.label) & np.isfinite(best)
            sure = region & (reliable == 1)
            shares = tuple(
                float((best[voxels] == wanted).mean()) if voxels.any() else np.nan
                for voxels in (region, sure)
            )
        rows.append({"region": row.region, "in_group": shares[0], "in_group_reliable": shares[1]})
    return pd.DataFrame(rows)


if __name__ == "__main__":
    with script_job(snakemake) as log:
        files, params = snakemake.input, snakemake.params
        truth = pd.read_csv(files.truth, keep_default_na=False)
        planted = truth[truth["planted_layer"] != "none"]
        labels = read_maps(files.regions)
        found = check_map_recovery(
            planted,
            labels,
            read_maps(files.mean_z),
            read_maps(files.p),
            read_table(files.table),
            radius=params.radius,
            unit=params.unit,
        )
        groups = group_recovery(
            planted, labels, read_maps(files.assignment), read_table(files.layers)
        )
        table = found.merge(groups, on="region")
        log.info("regions found: mean sensitivity %.2f", table["sensitivity"].mean())
        write_table(table, snakemake.output.table)
        write_html(
            table.round(3),
            snakemake.output.html,
            title="Planted regions and what the maps of the group find",
            simulated=True,
        )
