"""Categories of pictures: clusters of what a network sees in the training images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from workflow.lib.errors import InputError
from workflow.lib.sources import TRAINING
from workflow.lib.tables import read_table

# Starts of K-means, of which the best is kept.
N_STARTS = 10


@dataclass(frozen=True)
class Clusters:
    """The cluster of every image.

    Attributes
    ----------
    table : DataFrame
        part, name, cluster, distance (to the centroid), second_distance (to the second nearest).
    """

    table: pd.DataFrame

    @property
    def n_clusters(self) -> int:
        """Clusters that training images lie in, all there are."""
        return int(self.table.loc[self.table["part"] == TRAINING, "cluster"].max()) + 1

    def codes(self, part: str, names: Sequence[str]) -> np.ndarray:
        """Return the cluster of each of these images, int64 (n_images,).

        Raises
        ------
        InputError
            An image without a cluster.
        """
        own = self.table[self.table["part"] == part]
        cluster_of = dict(zip(own["name"], own["cluster"], strict=True))
        missing = [name for name in names if name not in cluster_of]
        if missing:
            raise InputError(
                f"tables/image_clusters.csv: found no cluster for the image {missing[0]!r} of "
                f"{part}, expected one for each; delete the file and run again"
            )
        return np.array([cluster_of[name] for name in names], dtype=np.int64)


def read_clusters(path: Path) -> Clusters:
    """Return the clusters of a table that `cluster_images` wrote."""
    return Clusters(read_table(path))


def fit_clusters(features: np.ndarray, n_clusters: int, rng: np.random.Generator) -> KMeans:
    """Return K-means fitted to training images.

    Parameters
    ----------
    features : float array (n_images, n_features)
    n_clusters : int
    rng : numpy Generator

    Raises
    ------
    InputError
        Fewer images than clusters.
    """
    if n_clusters > len(features):
        raise InputError(
            f"clusters.n_clusters: found {n_clusters} for {len(features)} training images, "
            "expected fewer clusters than images; lower it"
        )
    seed = int(rng.integers(2**31))
    return KMeans(n_clusters, n_init=N_STARTS, random_state=seed).fit(features)


def cluster_table(model: KMeans, parts: Mapping[str, tuple[Sequence[str], np.ndarray]]):
    """Return which cluster each image is nearest to.

    Parameters
    ----------
    model : KMeans
        Fitted to training images.
    parts : mapping, part -> (names of n_images, features (n_images, n_features))

    Returns
    -------
    DataFrame, see `Clusters`
    """
    tables = []
    for part, (names, features) in parts.items():
        distances = model.transform(features)
        near = np.partition(distances, 1, axis=1)
        tables.append(
            pd.DataFrame(
                {
                    "part": part,
                    "name": names,
                    "cluster": distances.argmin(axis=1),
                    "distance": near[:, 0],
                    "second_distance": near[:, 1],
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def silhouettes(
    features: np.ndarray, candidates: Sequence[int], rng: np.random.Generator
) -> pd.DataFrame:
    """Return how well numbers of clusters fit the training images.

    Parameters
    ----------
    features : float array (n_images, n_features)
    candidates : sequence of int, 2 to n_images - 1
    rng : numpy Generator

    Returns
    -------
    DataFrame
        n_clusters, silhouette (mean over images, -1 to 1).

    References
    ----------
    Rousseeuw 1987, Silhouettes: a graphical aid to the interpretation and validation of cluster
    analysis, J Comput Appl Math 20:53.
    """
    found = [silhouette_score(features, fit_clusters(features, n, rng).labels_) for n in candidates]
    return pd.DataFrame({"n_clusters": list(candidates), "silhouette": found})
