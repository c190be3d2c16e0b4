"""Map the items of every layer in a plane, so that those that are alike there lie together."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from workflow.lib.embedding import METHODS, plane_measures
from workflow.lib.errors import InputError
from workflow.lib.jobs import script_job
from workflow.lib.rdms.components import principal_scores
from workflow.lib.rdms.gram_store import GramStore
from workflow.lib.seeds import generator
from workflow.lib.tables import read_table, write_table
from workflow.lib.threads import in_threads


def embed_layers(
    grams: GramStore,
    groups: np.ndarray,
    *,
    method: str,
    n_components: int,
    options: Mapping[str, float],
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the places of all items in the plane of every layer, and how good the planes are.

    Parameters
    ----------
    grams : GramStore
        A matrix per layer, of items less their mean.
    groups : str array (n_items,)
        In the order of the matrices.
    method : a key of `workflow.lib.embedding.METHODS`
    n_components : int
        Principal components of a layer that the method is given.
    options : mapping
        Further arguments of the method.
    seed : int
        Of the run.

    Returns
    -------
    places : DataFrame, a row per layer and item: layer, name, group, x, y
    quality : DataFrame, a row per layer, see `workflow.lib.embedding.plane_measures`
    """
    if method not in METHODS:
        raise InputError(f"found the embedding {method!r}, expected one of {', '.join(METHODS)}")

    def embedded(number: int) -> tuple[np.ndarray, dict[str, float]]:
        layer = grams.labels[number]["layer"]
        points = principal_scores(grams.gram(number), n_components=n_components)
        draw = generator(seed, "embedding", grams.model, layer).integers(2**31)
        try:
            places = METHODS[method](points, seed=int(draw), **options)
        except InputError as error:
            raise InputError(f"layer {layer}: {error}") from None
        return places, plane_measures(points, places, groups)

    layers = [labels["layer"] for labels in grams.labels]
    with threadpool_limits(1, user_api="blas"):
        found = in_threads(embedded, range(len(layers)))
    places = [
        pd.DataFrame(
            {"layer": layer, "name": grams.names, "group": groups, "x": xy[:, 0], "y": xy[:, 1]}
        )
        for layer, (xy, _) in zip(layers, found, strict=True)
    ]
    quality = pd.DataFrame([measures for _, measures in found])
    quality.insert(0, "layer", layers)
    return pd.concat(places, ignore_index=True), quality


def groups_of(names: list[str], items: pd.DataFrame, what: str) -> np.ndarray:
    """Return the group of each name from a table of items (name, group).

    Raises
    ------
    InputError
        A name without an item.
    """
    groups = dict(zip(items["name"], items["group"], strict=True))
    missing = [name for name in names if name not in groups]
    if missing:
        raise InputError(
            f"{what}: found no row for {missing[0]!r} and {len(missing) - 1} more, expected a row "
            "(name, group) for every item of the Gram matrices; write both from the same items"
        )
    return np.array([groups[name] for name in names])


if __name__ == "__main__":
    with script_job(snakemake):
        options = dict(snakemake.params.options)
        grams = GramStore(snakemake.input.grams)
        items = Path(snakemake.input.groups)
        places, quality = embed_layers(
            grams,
            groups_of(grams.names, read_table(items), items.name),
            method=snakemake.wildcards.method,
            n_components=options.pop("n_components"),
            options=options,
            seed=snakemake.params.seed,
        )
        write_table(places, snakemake.output.places)
        write_table(quality, snakemake.output.quality)
