"""How many places of each region resemble each layer the most."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from workflow.lib.patterns.store import PatternStore

WHOLE_MASK = "all voxels"


def region_masks(stores: Sequence[PatternStore], grid: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Return region -> its voxels, bool `grid`: those that at least half of the subjects have.

    Parameters
    ----------
    stores : patterns of every subject in every region, with the voxel indices of channels
    grid : voxels along x, y and z
    """
    counts: dict[str, np.ndarray] = {}
    for store in stores:
        for region in store.rois:
            channels = store.patterns(region).channels
            here = counts.setdefault(region, np.zeros(grid, dtype=np.int64))
            here[tuple(channels[axis] for axis in "xyz")] += 1
    return {region: count >= len(stores) / 2 for region, count in counts.items()}


def layer_histogram(
    volumes: Mapping[str, np.ndarray],
    layers: Sequence[str],
    groups: Sequence[str],
    regions: Mapping[str, np.ndarray],
) -> pd.DataFrame:
    """Return how many centres of each region resemble each layer the most.

    Parameters
    ----------
    volumes : mapping, one of `workflow.lib.searchlight.assignment.VOLUMES` -> float array
        (n_centres,)
    layers, groups : sequences of n_layers str
    regions : mapping, region -> bool array (n_centres,)

    Returns
    -------
    DataFrame, a row per region and layer, the whole mask first: region, layer, group, n_voxels and
    n_reliable where the layer is the best, n_in_region (centres with a best layer)
    """
    rows = []
    everywhere = np.ones(volumes["layer"].size, dtype=bool)
    for region, inside in {WHOLE_MASK: everywhere, **regions}.items():
        for number, (layer, group) in enumerate(zip(layers, groups, strict=True), 1):
            best = inside & (volumes["layer"] == number)
            rows.append(
                {
                    **{"region": region, "layer": layer, "group": group},
                    "n_voxels": int(best.sum()),
                    "n_reliable": int((best & (volumes["reliable"] == 1)).sum()),
                    "n_in_region": int((inside & (volumes["layer"] > 0)).sum()),
                }
            )
    return pd.DataFrame(rows)
