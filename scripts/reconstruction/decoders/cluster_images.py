"""Cluster the training images by what a network sees in them, and assign test images to clusters.

snakemake --cores 2 results/demo/pictures/tables/image_clusters.csv
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from scripts.reconstruction.data.image_features import layer_features
from scripts.reconstruction.data.image_table import ImageTable, read_image_table
from scripts.reconstruction.decoders.clusters import cluster_table, fit_clusters, silhouettes
from workflow.lib.errors import InputError
from workflow.lib.features.devices import reused_memory
from workflow.lib.jobs import script_job
from workflow.lib.seeds import generator
from workflow.lib.sources import TRAINING
from workflow.lib.tables import write_table


def cluster_images(
    features: np.ndarray,
    images: ImageTable,
    *,
    n_clusters: int,
    candidates: Sequence[int],
    rng: np.random.Generator,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the cluster of every image, and how well other numbers of clusters would fit.

    Everything is fitted to training images: their mean and standard deviation scale the features,
    and test images go to the nearest centroid.

    Parameters
    ----------
    features : float array (n_images, n_features)
    images : ImageTable
        Of all parts.
    n_clusters : int
    candidates : sequence of int
        Numbers of clusters to compare; `n_clusters` is compared, too.
    rng : numpy Generator

    Returns
    -------
    clusters : DataFrame, see `scripts.reconstruction.decoders.clusters.Clusters`
    choice : DataFrame
        n_clusters, silhouette, in_use.

    Raises
    ------
    InputError
        More clusters than training images, or features that do not vary.
    """
    parts = np.array(images.parts)
    training = features[parts == TRAINING].astype(np.float64)
    deviation = training.std(axis=0)
    varies = deviation > 0
    if not varies.any():
        raise InputError(
            "clusters: found the same features for all training images, expected features that "
            "vary; take another layer or other weights"
        )
    scaled = (features[:, varies] - training[:, varies].mean(axis=0)) / deviation[varies]
    model = fit_clusters(scaled[parts == TRAINING], n_clusters, rng)
    names = np.array(images.names)
    clusters = cluster_table(
        model,
        {
            part: (names[parts == part].tolist(), scaled[parts == part])
            for part in dict.fromkeys(images.parts)
        },
    )
    compared = sorted({n_clusters, *candidates})
    choice = silhouettes(scaled[parts == TRAINING], compared, rng)
    return clusters, choice.assign(in_use=choice["n_clusters"] == n_clusters)


if __name__ == "__main__":
    with script_job(snakemake), reused_memory():
        params = snakemake.params
        block, images = params.clusters, read_image_table(Path(snakemake.input.images))
        layer = layer_features(
            network=block["network"],
            layer=block["layer"],
            weights=block["weights"],
            pooling="mean",
            seed=params.seed,
            n_gpus=snakemake.resources.get("gpu", 0),
        )
        clusters, choice = cluster_images(
            layer.of(images.names, images.images),
            images,
            n_clusters=block["n_clusters"],
            candidates=block["candidates"],
            rng=generator(params.seed, "reconstruction", "clusters", snakemake.wildcards.study),
        )
        write_table(clusters, snakemake.output.clusters)
        write_table(choice, snakemake.output.choice)
